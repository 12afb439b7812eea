#include "model/layers/head.h"

#include "model/layers/layer_bench.h"

namespace shoal {
namespace {

constexpr int64_t kChannels = 12, kLabels = 3, kWords = 7;

// `plain` gives the loss in float64.
template <typename Spec>
void CheckHead(LayerBench& bench, const Spec& spec, const LayerBench::PlainLoss& plain) {
  const std::unique_ptr<Head> head = MakeHead(bench.plan, spec);
  const Pass pass = bench.Start();
  bench.ClearGradient();
  // No row of these comes near ReLU's kink, where differences are no gradient.
  std::vector<float> x = bench.Random(kChannels, 14), d_x(x.size(), std::nanf(""));
  const LossSum loss = head->Train(pass, bench.View(x), bench.View(d_x));
  CHECK(loss.loss == Approx(plain(bench.Wide(bench.theta()), bench.Wide(x))).epsilon(1e-5));
  bench.CheckGradients(x, d_x, plain);
  CHECK(head->Evaluate(pass, bench.View(x), {}).loss == loss.loss);
}

TEST_CASE("A classification head, its loss and its gradients are those of float64") {
  const std::vector<int32_t> classes = {2, 0, 1};
  for (Activation activation : {Activation::kTanh, Activation::kRelu}) {
    LayerBench bench;
    ClassificationHeadSpec spec;
    spec.dense = bench.builder.Linear("dense", kChannels, kChannels);
    spec.labels = bench.builder.Linear("labels", kLabels, kChannels);
    spec.activation = activation;
    bench.batch().classes = classes;
    CheckHead(bench, spec, [&](const Doubles& theta, const Doubles& x) {
      double loss = 0;
      for (size_t e = 0; e < classes.size(); ++e) {
        const auto first = x.begin() + bench.offsets()[e] * kChannels;
        loss +=
            PlainCrossEntropy(PlainLayers(theta).Labels(spec, Doubles(first, first + kChannels)), classes[e]);
      }
      return loss;
    });
  }
}

TEST_CASE("A language model's head, its loss and its gradients are those of float64") {
  LayerBench bench;
  const LanguageModelHeadSpec spec = {bench.builder.Matrix("words", kWords, kChannels)};
  CheckHead(bench, spec, [&](const Doubles& theta, const Doubles& x) {
    const Doubles logits = PlainLayers(theta).Linear({spec.words, {}}, x);
    double loss = 0;
    for (size_t e = 0; e + 1 < bench.offsets().size(); ++e) {
      for (int32_t i = bench.offsets()[e]; i + 1 < bench.offsets()[e + 1]; ++i) {
        const auto row = logits.begin() + i * kWords;
        loss += PlainCrossEntropy(Doubles(row, row + kWords), bench.tokens()[i + 1]);
      }
    }
    return loss;
  });
}

}  // namespace
}  // namespace shoal
