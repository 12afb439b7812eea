#include "model/layers/embedding.h"

#include "model/layers/layer_harness.h"

namespace shoal::model {
namespace {

constexpr int64_t kChannels = 12;

// `full`: with all optional parts; otherwise with none.
void CheckEmbedding(bool full) {
  LayerHarness harness;
  EmbeddingSpec spec;
  spec.words = harness.builder.Matrix("words", 7, kChannels);
  spec.first_position = full ? 2 : 0;
  spec.positions = harness.builder.Matrix("positions", 10 + spec.first_position, kChannels);
  if (full) {
    spec.types = harness.builder.Matrix("types", 2, kChannels);
    spec.scale = 1.5;
    spec.norm = harness.builder.Norm("norm", kChannels, 1e-5);
  }
  Embedding embedding(harness.plan, spec);
  const Pass pass = harness.Start();
  std::vector<float> y = harness.Random(kChannels, 10), d_y = harness.Random(kChannels, 11),
                     d_more = harness.Random(kChannels, 12);
  const auto plain = [&](const Doubles& theta) {
    Doubles rows;
    for (size_t e = 0; e + 1 < harness.offsets().size(); ++e) {
      const size_t begin = harness.offsets()[e], size = harness.offsets()[e + 1] - begin;
      const Doubles of_one = PlainLayers(theta).Embedding(spec, harness.tokens().subspan(begin, size),
                                                          harness.types().subspan(begin, size));
      rows.insert(rows.end(), of_one.begin(), of_one.end());
    }
    return rows;
  };
  embedding.Forward(pass, harness.View(y));
  CHECK(kernels::WorstError(y, plain(harness.Wide(harness.theta()))) < 1e-5);
  harness.ClearGradient();  // gradients of tables are added to it
  embedding.Backward(pass, harness.View(d_y), harness.View(d_more));
  harness.CheckGradients({}, {}, [&](const Doubles& theta, const Doubles&) {
    const Doubles rows = plain(theta);
    return harness.Dot(rows, d_y) + harness.Dot(rows, d_more);
  });
}

TEST_CASE("Embeddings and their tables' gradients are those of float64") {
  CheckEmbedding(true);
  CheckEmbedding(false);
}

}  // namespace
}  // namespace shoal::model
