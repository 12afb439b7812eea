#include <algorithm>
#include <cstdint>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/token_ids.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

constexpr int64_t kChunk = kernels::kGemmBlockK;  // rows

class LanguageModelHead : public Head {
 public:
  LanguageModelHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec)
      : words_({spec.words, {}}),
        logits_(plan.Add(Use::kKept, std::min(kChunk, plan.limits.tokens), words_.out(), plan.activations)),
        labels_(plan.Add(Use::kForward, plan.limits.tokens, 1, kernels::DType::kI32)) {}

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    return ForChunks(pass, hidden, [&](int64_t begin, int64_t end, const kernels::Tensor& logits) {
      const kernels::LossSum loss = Loss(pass, begin, logits, logits);
      words_.BackwardWeight(pass, hidden.Rows(begin, end), logits, /*more=*/begin > 0);
      words_.BackwardInput(pass, logits, d_hidden.Rows(begin, end));
      return loss;
    });
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const int64_t vocabulary = words_.out();
    SHOAL_CHECK(out.empty() || static_cast<int64_t>(out.size()) == pass.tokens() * vocabulary);
    return ForChunks(pass, hidden, [&](int64_t begin, int64_t end, const kernels::Tensor& logits) {
      if (!out.empty())
        kernels::CopyToHost(*pass.device, logits,
                            out.subspan(begin * vocabulary, (end - begin) * vocabulary));
      return Loss(pass, begin, logits, {});
    });
  }

 private:
  // The sum of chunk(begin, end, logits of these rows) over all rows.
  template <typename Chunk>
  kernels::LossSum ForChunks(const Pass& pass, const kernels::ConstTensor& hidden, const Chunk& chunk) {
    kernels::NextTokenLabels(*pass.device, kernels::ViewOf(pass.batch.tokens),
                             kernels::ViewOf(pass.batch.offsets), labels_.Vector(pass.tokens()));
    kernels::LossSum sum;
    for (int64_t begin = 0; begin < pass.tokens(); begin += kChunk) {
      const int64_t end = std::min(pass.tokens(), begin + kChunk);
      const kernels::Tensor logits = logits_.Matrix(end - begin);
      words_.Forward(pass, hidden.Rows(begin, end), logits);
      const kernels::LossSum part = chunk(begin, end, logits);
      sum.loss += part.loss;
      sum.rows += part.rows;
      sum.correct += part.correct;
    }
    return sum;
  }

  // The loss of the rows from `begin` on. `d_logits` may be `logits`, or absent.
  kernels::LossSum Loss(const Pass& pass, int64_t begin, const kernels::Tensor& logits,
                        const kernels::Tensor& d_logits) const {
    kernels::CrossEntropyArgs args;
    args.logits = logits;
    args.labels = labels_.Vector(pass.tokens()).Rows(begin, begin + logits.dim(0));
    args.d_logits = d_logits;
    return kernels::CrossEntropy(*pass.device, args);
  }

  const Linear words_;
  const Buffer logits_;
  const Buffer labels_;  // [N] i32
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec) {
  return std::make_unique<LanguageModelHead>(plan, spec);
}

}  // namespace shoal::model
