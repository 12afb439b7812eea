#include "kernels/token_ids.h"
#include "model/layers/head.h"
#include "model/layers/vocabulary_output.h"

namespace shoal::model {
namespace {

class LanguageModelHead : public Head {
 public:
  LanguageModelHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec)
      : output_(plan, {spec.words, {}}),
        labels_(plan.Add(Use::kForward, plan.limits.tokens, 1, kernels::DType::kI32)) {}

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    return output_.Train(pass, hidden, Labels(pass), d_hidden);
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    return output_.Evaluate(pass, hidden, Labels(pass), out);
  }

 private:
  kernels::Tensor Labels(const Pass& pass) const {
    const kernels::Tensor labels = labels_.Vector(pass.tokens());
    kernels::NextTokenLabels(*pass.device, kernels::ViewOf(pass.batch.tokens),
                             kernels::ViewOf(pass.batch.offsets), labels);
    return labels;
  }

  const VocabularyOutput output_;
  const Buffer labels_;  // [N] i32
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const LanguageModelHeadSpec& spec) {
  return std::make_unique<LanguageModelHead>(plan, spec);
}

}  // namespace shoal::model
