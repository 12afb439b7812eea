#include <algorithm>
#include <cstdint>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/token_ids.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"

namespace shoal {
namespace {

constexpr int64_t kChunk = kGemmBlockK;  // rows

class LanguageModelHead : public Head {
 public:
  LanguageModelHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec)
      : words_({spec.words, {}}),
        logits_(plan.Add(Use::kKept, std::min(kChunk, plan.limits.tokens), words_.out(), plan.activations)),
        labels_(plan.Add(Use::kForward, plan.limits.tokens, 1, DType::kI32)) {}

  LossSum Train(const Pass& pass, const ConstTensor& hidden, const Tensor& d_hidden) override {
    return ForChunks(pass, hidden, [&](int64_t begin, int64_t end, const Tensor& logits) {
      const LossSum loss = Loss(pass, begin, logits, logits);
      words_.BackwardWeight(pass, hidden.Rows(begin, end), logits);
      words_.BackwardInput(pass, logits, d_hidden.Rows(begin, end));
      return loss;
    });
  }

  LossSum Evaluate(const Pass& pass, const ConstTensor& hidden, absl::Span<float> out) override {
    const int64_t vocabulary = words_.out();
    SHOAL_CHECK(out.empty() || static_cast<int64_t>(out.size()) == pass.tokens() * vocabulary);
    return ForChunks(pass, hidden, [&](int64_t begin, int64_t end, const Tensor& logits) {
      if (!out.empty())
        CopyToHost(*pass.device, logits, out.subspan(begin * vocabulary, (end - begin) * vocabulary));
      return Loss(pass, begin, logits, {});
    });
  }

 private:
  // The sum of chunk(begin, end, logits of these rows) over all rows.
  template <typename Chunk>
  LossSum ForChunks(const Pass& pass, const ConstTensor& hidden, const Chunk& chunk) {
    NextTokenLabels(*pass.device, ViewOf(pass.batch.tokens), ViewOf(pass.batch.offsets),
                    labels_.Vector(pass.tokens()));
    LossSum sum;
    for (int64_t begin = 0; begin < pass.tokens(); begin += kChunk) {
      const int64_t end = std::min(pass.tokens(), begin + kChunk);
      const Tensor logits = logits_.Matrix(end - begin);
      words_.Forward(pass, hidden.Rows(begin, end), logits);
      const LossSum part = chunk(begin, end, logits);
      sum.loss += part.loss;
      sum.rows += part.rows;
      sum.correct += part.correct;
    }
    return sum;
  }

  // The loss of the rows from `begin` on. `d_logits` may be `logits`, or absent.
  LossSum Loss(const Pass& pass, int64_t begin, const Tensor& logits, const Tensor& d_logits) const {
    CrossEntropyArgs args;
    args.logits = logits;
    args.labels = labels_.Vector(pass.tokens()).Rows(begin, begin + logits.dim(0));
    args.d_logits = d_logits;
    return CrossEntropy(*pass.device, args);
  }

  const Linear words_;
  const Buffer logits_;
  const Buffer labels_;  // [N] i32
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec) {
  return std::make_unique<LanguageModelHead>(plan, spec);
}

}  // namespace shoal
