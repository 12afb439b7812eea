// Embeddings, stack and head.
#include <algorithm>
#include <memory>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "model/buffers.h"
#include "model/embeddings.h"
#include "model/head.h"
#include "model/model.h"
#include "model/sublayers.h"
#include "model/transformer_stack.h"

namespace shoal {
namespace {

class TransformerModel : public Model {
 public:
  TransformerModel(Device* device, const ModelConfig& config, const BatchLimits& limits, DType activations)
      : device_(device),
        config_(config),
        parameters_(MakeParameters(config_)),
        plan_{config_, parameters_, limits, activations, &buffers_},
        x_(plan_.AddActivation(limits.tokens, config_.hidden_size)),
        embeddings_(plan_, x_),
        stack_(plan_, x_),
        head_(config_.causal() ? MakeLanguageModelHead(plan_) : MakeClassificationHead(plan_)) {
    buffers_.Allocate();
  }

  bool Forward(const MicroBatch& step, WaitGroup wait_group, LossSum* loss) override {
    pass_ = NewPass(step.theta, step.batch);
    pass_.training = true;
    pass_.dropout = step.dropout;
    pass_.gradient = step.gradient;
    pass_.accumulate = step.accumulate;
    SHOAL_CHECK(step.gradient_offsets.empty() ||
                step.gradient_offsets.size() == parameters_.group_begins.size());
    pass_.gradient_offsets = step.gradient_offsets;
    pass_.group_begins = parameters_.group_begins;
    if (!RunStack(pass_, wait_group)) return false;
    if (!step.accumulate) ClearTables();
    *loss = head_->Train(pass_, Output(pass_), stack_.OutputGradient(pass_.tokens()));
    return true;
  }

  void Backward(GroupFinal group_final) override {
    // Pre-norm: the norm at the end belongs to the head's group and is the stack's to do.
    if (config_.norm != NORM_PLACEMENT_PRE) group_final(head_group());
    stack_.Backward(pass_, group_final);
    const int64_t tokens = pass_.tokens();
    embeddings_.Backward(pass_, {stack_.InputGradient(tokens), stack_.InputGradientMore(tokens),
                                 stack_.Scratch(tokens), stack_.OutputGradient(tokens)});
    group_final(0);
    device_->EvenOutScratch();
  }

  LossSum Evaluate(const float* theta, const Batch& batch, absl::Span<float> logits) override {
    const Pass pass = NewPass(theta, batch);
    RunStack(pass, [](int) { return true; });
    return head_->Evaluate(pass, Output(pass), logits);
  }

 private:
  int head_group() const { return static_cast<int>(parameters_.layers.size()) + 1; }
  ConstTensor Output(const Pass& pass) const { return stack_.Output(pass.tokens()); }

  Pass NewPass(const float* theta, const Batch& batch) const {
    Pass pass;
    pass.device = device_;
    pass.config = &config_;
    pass.theta = theta;
    pass.batch = batch;
    return pass;
  }

  bool RunStack(const Pass& pass, WaitGroup wait_group) {
    if (!wait_group(0)) return false;
    embeddings_.Forward(pass);
    return stack_.Forward(pass, wait_group) && wait_group(head_group());
  }

  // Rows are added to embedding tables, which start at 0.
  void ClearTables() {
    SetZero(*device_, pass_.MatrixGradient(0, 1, static_cast<int64_t>(parameters_.group_sizes[0])));
  }

  Device* const device_;
  const ModelConfig config_;
  const Parameters parameters_;
  BufferSet buffers_;
  const ModelPlan plan_;
  const int x_;
  Embeddings embeddings_;
  TransformerStack stack_;
  const std::unique_ptr<Head> head_;
  Pass pass_;  // of the last Forward
};

}  // namespace

std::unique_ptr<Model> MakeModel(Device* device, const ModelConfig& config, const BatchLimits& limits,
                                 DType activations) {
  SHOAL_CHECK_OK(CheckModelConfig(config));
  SHOAL_CHECK(activations == DType::kF32 || activations == DType::kBf16);
  return std::make_unique<TransformerModel>(device, config, limits, activations);
}

}  // namespace shoal
