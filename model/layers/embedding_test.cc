#include "model/layers/embedding.h"

#include "model/layers/layer_bench.h"

namespace shoal {
namespace {

constexpr int64_t kChannels = 12;

// `full`: with everything that is optional, or with nothing of it.
void CheckEmbedding(bool full) {
  LayerBench bench;
  EmbeddingSpec spec;
  spec.words = bench.builder.Matrix("words", 7, kChannels);
  spec.first_position = full ? 2 : 0;
  spec.positions = bench.builder.Matrix("positions", 10 + spec.first_position, kChannels);
  if (full) {
    spec.types = bench.builder.Matrix("types", 2, kChannels);
    spec.norm = bench.builder.Norm("norm", kChannels, 1e-5);
  }
  Embedding embedding(bench.plan, spec);
  const Pass pass = bench.Start();
  std::vector<float> y = bench.Random(kChannels, 10), d_y = bench.Random(kChannels, 11),
                     d_more = bench.Random(kChannels, 12);
  const auto plain = [&](const Doubles& theta) {
    Doubles rows;
    for (size_t e = 0; e + 1 < bench.offsets().size(); ++e) {
      const size_t begin = bench.offsets()[e], size = bench.offsets()[e + 1] - begin;
      const Doubles of_one = PlainLayers(theta).Embedding(spec, bench.tokens().subspan(begin, size),
                                                          bench.types().subspan(begin, size));
      rows.insert(rows.end(), of_one.begin(), of_one.end());
    }
    return rows;
  };
  embedding.Forward(pass, bench.View(y));
  CHECK(WorstError(y, plain(bench.Wide(bench.theta()))) < 1e-5);
  bench.ClearGradient();  // tables are added to
  embedding.Backward(pass, bench.View(d_y), bench.View(d_more));
  bench.CheckGradients({}, {}, [&](const Doubles& theta, const Doubles&) {
    const Doubles rows = plain(theta);
    return bench.Dot(rows, d_y) + bench.Dot(rows, d_more);
  });
}

TEST_CASE("Embeddings and their tables' gradients are those of float64") {
  CheckEmbedding(true);
  CheckEmbedding(false);
}

}  // namespace
}  // namespace shoal
