#include "model/layers/vocabulary_output.h"

#include <algorithm>
#include <cstdint>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace shoal::model {
namespace {

constexpr int64_t kChunk = kernels::kGemmBlockK;  // rows

// `d_logits` may be `logits`, or absent.
kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits, const kernels::ConstTensor& labels,
                      const kernels::Tensor& d_logits) {
  kernels::CrossEntropyArgs args;
  args.logits = logits;
  args.labels = labels;
  args.d_logits = d_logits;
  return kernels::CrossEntropy(*pass.device, args);
}

}  // namespace

VocabularyOutput::VocabularyOutput(const LayerPlan& plan, const LinearSpec& words)
    : words_(words),
      logits_(plan.Add(Use::kKept, std::min(kChunk, plan.limits.tokens), words_.out(), plan.activations)) {}

// The sum of chunk(begin, end, logits of these rows) over all rows.
template <typename Chunk>
kernels::LossSum VocabularyOutput::ForChunks(const Pass& pass, const kernels::ConstTensor& x,
                                             const Chunk& chunk) const {
  kernels::LossSum sum;
  for (int64_t begin = 0; begin < x.dim(0); begin += kChunk) {
    const int64_t end = std::min(x.dim(0), begin + kChunk);
    const kernels::Tensor logits = logits_.Matrix(end - begin);
    words_.Forward(pass, x.Rows(begin, end), logits);
    const kernels::LossSum part = chunk(begin, end, logits);
    sum.loss += part.loss;
    sum.rows += part.rows;
    sum.correct += part.correct;
  }
  return sum;
}

kernels::LossSum VocabularyOutput::Train(const Pass& pass, const kernels::ConstTensor& x,
                                         const kernels::ConstTensor& labels,
                                         const kernels::Tensor& d_x) const {
  Pass of_chunk = pass;
  return ForChunks(pass, x, [&](int64_t begin, int64_t end, const kernels::Tensor& logits) {
    const kernels::LossSum loss = Loss(pass, logits, labels.Rows(begin, end), logits);
    words_.BackwardBias(of_chunk, logits);
    words_.BackwardWeight(of_chunk, x.Rows(begin, end), logits);
    words_.BackwardInput(pass, logits, d_x.Rows(begin, end));
    of_chunk.accumulate = true;
    return loss;
  });
}

kernels::LossSum VocabularyOutput::Evaluate(const Pass& pass, const kernels::ConstTensor& x,
                                            const kernels::ConstTensor& labels, absl::Span<float> out) const {
  SHOAL_CHECK(out.empty() || static_cast<int64_t>(out.size()) == x.dim(0) * vocabulary());
  return ForChunks(pass, x, [&](int64_t begin, int64_t end, const kernels::Tensor& logits) {
    if (!out.empty()) {
      kernels::CopyToHost(*pass.device, logits,
                          out.subspan(begin * vocabulary(), (end - begin) * vocabulary()));
    }
    return labels.present() ? Loss(pass, logits, labels.Rows(begin, end), {}) : kernels::LossSum();
  });
}

}  // namespace shoal::model
