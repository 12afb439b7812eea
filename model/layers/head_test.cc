#include "model/layers/head.h"

#include <utility>
#include <vector>

#include "model/layers/layer_harness.h"

namespace shoal::model {
namespace {

constexpr int64_t kChannels = 12, kLabels = 3, kWords = 7;

// `plain` gives the loss in float64, in training and in an evaluation.
template <typename Spec>
void CheckHead(LayerHarness& harness, const Spec& spec, const LayerHarness::PlainLoss& plain,
               const LayerHarness::PlainLoss& evaluation) {
  const std::unique_ptr<Head> head = MakeHead(harness.plan, spec);
  const Pass pass = harness.Start();
  harness.ClearGradient();
  // No row of these comes near ReLU's kink, where finite differences don't give the gradient.
  std::vector<float> x = harness.Random(kChannels, 14), d_x(x.size(), std::nanf(""));
  const auto expected = [&](const LayerHarness::PlainLoss& loss) {
    return Approx(loss(harness.Wide(harness.theta()), harness.Wide(x))).epsilon(1e-5);
  };
  CHECK(head->Train(pass, harness.View(x), harness.View(d_x)).loss == expected(plain));
  harness.CheckGradients(x, d_x, plain);
  CHECK(head->Evaluate(pass, harness.View(x), {}).loss == expected(evaluation));
}

void CheckClassificationHead(LayerHarness& harness, ClassificationHeadSpec spec) {
  const std::vector<int32_t> classes = {2, 0, 1};
  spec.labels = harness.builder.Linear("labels", kLabels, kChannels);
  harness.batch().classes = classes;
  const auto loss_of = [&](auto of_example) {
    return [&harness, &spec, &classes, of_example](const Doubles& theta, const Doubles& x) {
      double loss = 0;
      for (size_t e = 0; e < classes.size(); ++e) {
        const int32_t begin = harness.offsets()[e], end = harness.offsets()[e + 1];
        const Doubles rows(x.begin() + begin * kChannels, x.begin() + end * kChannels);
        const auto tokens = harness.tokens().subspan(begin, end - begin);
        loss += (PlainLayers(theta).*of_example)(spec, tokens, rows, classes[e]);
      }
      return loss;
    };
  };
  CheckHead(harness, spec, loss_of(&PlainLayers::ClassLoss), loss_of(&PlainLayers::PredictionLoss));
}

TEST_CASE("A classification head, its loss and its gradients are those of float64") {
  for (kernels::Activation activation : {kernels::Activation::kTanh, kernels::Activation::kRelu}) {
    for (Pooling pooling : {Pooling::kFirst, Pooling::kMean}) {
      LayerHarness harness;
      ClassificationHeadSpec spec;
      spec.dense = harness.builder.Linear("dense", kChannels, kChannels);
      spec.activation = activation;
      spec.pooling = pooling;
      CheckClassificationHead(harness, spec);
    }
  }
}

TEST_CASE("So are those of a head without a dense layer, with a bag of n-grams, and with both") {
  for (bool dense : {false, true}) {
    for (bool ngrams : {false, true}) {
      LayerHarness harness;
      ClassificationHeadSpec spec;
      spec.pooling = Pooling::kMean;
      if (dense) spec.dense = harness.builder.Linear("dense", kChannels, kChannels);
      if (ngrams)
        spec.ngrams = NgramBagSpec{harness.builder.Matrix("ngrams", 19, kLabels), dense ? 2 : 3, 1.5};
      CheckClassificationHead(harness, spec);
    }
  }
}

TEST_CASE("A head for tokens, its loss and its gradients are those of float64") {
  LayerHarness harness;
  const TokenClassificationHeadSpec spec = {0, harness.builder.Linear("labels", kLabels, kChannels)};
  std::vector<int32_t> classes;
  for (int32_t token = 0; token < harness.rows(); ++token) classes.push_back(token % (kLabels + 1) - 1);
  harness.batch().classes = classes;
  const auto plain = [&](const Doubles& theta, const Doubles& x) {
    return PlainLayers(theta).TokenLoss(spec, x, classes);
  };
  CheckHead(harness, spec, plain, plain);
}

TEST_CASE("A head for tokens gives the logits of labelled tokens, or of all in a batch without labels") {
  LayerHarness harness;
  const TokenClassificationHeadSpec spec = {0, harness.builder.Linear("labels", kLabels, kChannels)};
  const std::unique_ptr<Head> head = MakeHead(harness.plan, spec);
  Pass pass = harness.Start();
  pass.training = false;
  std::vector<float> x = harness.Random(kChannels, 14);
  std::vector<float> all(harness.rows() * kLabels), one(kLabels);
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(all)).rows == 0);
  std::vector<int32_t> classes(harness.rows(), -1);
  classes[2] = 1;
  pass.batch.classes = classes;
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(one)).rows == 1);
  CHECK(one == std::vector<float>(all.begin() + 2 * kLabels, all.begin() + 3 * kLabels));
  classes[2] = -1;
  CHECK(head->Evaluate(pass, harness.View(x), {}).rows == 0);  // no token has a label
}

TEST_CASE("A head for spans, its loss and its gradients are those of float64") {
  LayerHarness harness;
  const SpanHeadSpec spec = {0, harness.builder.Linear("ends", 2, kChannels)};
  std::vector<int32_t> classes(harness.rows(), 0);  // the last example has no span
  classes[0] = -1;
  classes[1] = kSpanFirst | kSpanLast;
  classes[harness.offsets()[1] + 2] = kSpanFirst;
  classes[harness.offsets()[1] + 5] = kSpanLast;
  harness.batch().classes = classes;
  const auto plain = [&](const Doubles& theta, const Doubles& x) {
    double loss = 0;
    for (size_t e = 0; e + 1 < harness.offsets().size(); ++e) {
      const int32_t begin = harness.offsets()[e], end = harness.offsets()[e + 1];
      loss += PlainLayers(theta).SpanLoss(spec,
                                          Doubles(x.begin() + begin * kChannels, x.begin() + end * kChannels),
                                          absl::MakeConstSpan(classes).subspan(begin, end - begin));
    }
    return loss;
  };
  CheckHead(harness, spec, plain, plain);
}

TEST_CASE("A head for spans gives the logits of all tokens") {
  LayerHarness harness;
  const SpanHeadSpec spec = {0, harness.builder.Linear("ends", 2, kChannels)};
  const std::unique_ptr<Head> head = MakeHead(harness.plan, spec);
  Pass pass = harness.Start();
  pass.training = false;
  std::vector<float> x = harness.Random(kChannels, 14);
  std::vector<float> all(harness.rows() * 2), again(all.size());
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(all)).rows == 0);
  const std::vector<int32_t> classes(harness.rows(), -1);
  pass.batch.classes = classes;
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(again)).rows == 3);
  CHECK(all == again);
}

MaskedLanguageModelHeadSpec MaskedSpec(LayerHarness* harness, kernels::Activation activation) {
  MaskedLanguageModelHeadSpec spec;
  spec.words = harness->builder.Matrix("words", kWords, kChannels);
  spec.bias = harness->builder.Bias("bias", kWords);
  spec.dense = harness->builder.Linear("dense", kChannels, kChannels);
  spec.norm = harness->builder.Norm("norm", kChannels, 1e-5);
  spec.activation = activation;
  return spec;
}

void CheckMaskedHead(std::vector<int32_t> offsets, int32_t every, kernels::Activation activation) {
  LayerHarness harness(std::move(offsets));
  const MaskedLanguageModelHeadSpec spec = MaskedSpec(&harness, activation);
  std::vector<int32_t> classes;
  for (int32_t t = 0; t < harness.rows(); ++t) classes.push_back(t % every == 0 ? t % kWords : -1);
  harness.batch().classes = classes;
  const auto plain = [&](const Doubles& theta, const Doubles& x) {
    return PlainLayers(theta).MaskedLoss(spec, x, classes);
  };
  CheckHead(harness, spec, plain, plain);
}

TEST_CASE("A head for hidden tokens, its loss and its gradients are those of float64") {
  CheckMaskedHead({0, 4, 14, 15}, 3, kernels::Activation::kGelu);
  CheckMaskedHead({0, 4, 14, 15}, 4, kernels::Activation::kGeluTanh);
  CheckMaskedHead({0, 200, 600}, 1,
                  kernels::Activation::kGelu);  // more rows than it has logits for at a time
}

TEST_CASE("A batch in which no token is hidden has no loss, and its gradients are zeros") {
  LayerHarness harness;
  const std::unique_ptr<Head> head = MakeHead(harness.plan, MaskedSpec(&harness, kernels::Activation::kGelu));
  const std::vector<int32_t> classes(harness.rows(), -1);
  harness.batch().classes = classes;
  const Pass pass = harness.Start();
  std::vector<float> x = harness.Random(kChannels, 14), d_x(x.size(), std::nanf(""));
  const kernels::LossSum loss = head->Train(pass, harness.View(x), harness.View(d_x));
  CHECK(loss.rows == 0);
  CHECK(loss.loss == 0);
  CHECK(d_x == std::vector<float>(x.size(), 0));
  harness.CheckGradients(x, d_x, [](const Doubles&, const Doubles&) { return 0.0; });
}

TEST_CASE("A head for hidden tokens gives their logits, or those of all in a batch without labels") {
  LayerHarness harness;
  const std::unique_ptr<Head> head = MakeHead(harness.plan, MaskedSpec(&harness, kernels::Activation::kGelu));
  Pass pass = harness.Start();
  pass.training = false;
  std::vector<float> x = harness.Random(kChannels, 14);
  std::vector<float> all(harness.rows() * kWords), one(kWords);
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(all)).rows == 0);
  std::vector<int32_t> classes(harness.rows(), -1);
  classes[2] = 1;
  pass.batch.classes = classes;
  CHECK(head->Evaluate(pass, harness.View(x), absl::MakeSpan(one)).rows == 1);
  CHECK(one == std::vector<float>(all.begin() + 2 * kWords, all.begin() + 3 * kWords));
}

// The matrix is the head's own, not the word embeddings, whose gradient is added to in any case.
void CheckLanguageModelHead(std::vector<int32_t> offsets) {
  LayerHarness harness(std::move(offsets));
  const LanguageModelHeadSpec spec = {harness.builder.Matrix("words", kWords, kChannels)};
  const auto plain = [&](const Doubles& theta, const Doubles& x) {
    const Doubles logits = PlainLayers(theta).Linear({spec.words, {}}, x);
    double loss = 0;
    for (size_t e = 0; e + 1 < harness.offsets().size(); ++e) {
      for (int32_t i = harness.offsets()[e]; i + 1 < harness.offsets()[e + 1]; ++i) {
        const auto row = logits.begin() + i * kWords;
        loss += PlainCrossEntropy(Doubles(row, row + kWords), harness.tokens()[i + 1]);
      }
    }
    return loss;
  };
  CheckHead(harness, spec, plain, plain);
}

TEST_CASE("A language model's head, its loss and its gradients are those of float64") {
  CheckLanguageModelHead({0, 4, 14, 15});
  CheckLanguageModelHead({0, 200, 400});  // more rows than it has logits for at a time
}

}  // namespace
}  // namespace shoal::model
