// A model from the embeddings, stack and head of a recipe.
#include <memory>
#include <variant>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "model/layers/buffers.h"
#include "model/layers/embedding.h"
#include "model/layers/head.h"
#include "model/layers/pass.h"
#include "model/layers/stack.h"
#include "model/model.h"
#include "model/recipe.h"

namespace shoal::model {
namespace {

class TransformerModel : public Model {
 public:
  TransformerModel(kernels::Device* device, const Recipe& recipe, const BatchLimits& limits,
                   kernels::DType activations, Purpose purpose, const TrainingOptions& options)
      : device_(device),
        parameters_(recipe.parameters),
        options_(options),
        plan_{&buffers_,
              limits,
              activations,
              purpose == Purpose::kTraining,
              options.adversary != nullptr,
              static_cast<int>(recipe.stack.sublayers.size()) + 1},
        embedding_(plan_, recipe.embedding),
        stack_(plan_, recipe.stack),
        head_(
            std::visit([&](const auto& head) { return MakeHead(plan_.At(plan_.head), head); }, recipe.head)) {
    buffers_.Allocate(*device_);
  }

  bool Forward(const MicroBatch& step, WaitGroup wait_group, kernels::LossSum* loss) override {
    SHOAL_CHECK(plan_.training);
    pass_ = NewPass(step.theta, step.batch);
    pass_.training = true;
    pass_.dropout = step.dropout;
    pass_.gradient = step.gradient;
    pass_.accumulate = step.accumulate;
    SHOAL_CHECK(step.gradient_offsets.empty() ||
                step.gradient_offsets.size() == parameters_.group_begins.size());
    pass_.gradient_offsets = step.gradient_offsets;
    pass_.group_begins = parameters_.group_begins;
    pass_.trainable = options_.trainable;
    pass_.loss = options_.loss;
    pass_.adversary = options_.adversary;
    pass_.ascent = step.ascent;
    if (!RunStack(pass_, wait_group)) return false;
    if (!step.accumulate && pass_.first_trainable_group() == 0) ClearSharedGradients();
    *loss = head_->Train(pass_, stack_.Output(pass_.tokens()), stack_.OutputGradient(pass_.tokens()));
    return true;
  }

  void Backward(GroupFinal group_final) override {
    int begun = last_group();  // the head's, in Forward
    const auto begin = [&](int group) {
      for (; begun > group; --begun) group_final(begun);
    };
    const Stack::InputGradient d_input = stack_.Backward(pass_, begin);
    begin(0);
    if (pass_.first_trainable_group() == 0) embedding_.Backward(pass_, d_input.d_x, d_input.d_x_more);
    group_final(0);
    device_->EvenOutScratch();
  }

  kernels::LossSum Evaluate(const float* theta, const Batch& batch, absl::Span<float> logits) override {
    const Pass pass = NewPass(theta, batch);
    RunStack(pass, [](int) { return true; });
    return head_->Evaluate(pass, stack_.Output(pass.tokens()), logits);
  }

  int64_t memory_bytes() const override { return buffers_.size_bytes(); }

 private:
  int last_group() const { return static_cast<int>(parameters_.group_sizes.size()) - 1; }

  Pass NewPass(const float* theta, const Batch& batch) const {
    Pass pass;
    pass.device = device_;
    pass.theta = theta;
    pass.batch = batch;
    return pass;
  }

  // Runs from the embeddings to the stack's output; waits for each group once.
  bool RunStack(const Pass& pass, WaitGroup wait_group) {
    int waited = -1;
    const auto ready = [&](int group) {
      while (waited < group) {
        if (!wait_group(++waited)) return false;
      }
      return true;
    };
    if (!ready(0)) return false;
    embedding_.Forward(pass, stack_.Input(pass.tokens()));
    return stack_.Forward(pass, ready) && ready(last_group());
  }

  // Gradients that are added to start at 0.
  void ClearSharedGradients() {
    const auto size = static_cast<int64_t>(parameters_.group_sizes[0]);
    kernels::SetZero(*device_, pass_.Gradient(MatrixParameter{0, 1, size, 0}));
  }

  kernels::Device* const device_;
  const Parameters parameters_;
  const TrainingOptions options_;
  BufferSet buffers_;
  const LayerPlan plan_;
  Embedding embedding_;
  Stack stack_;
  const std::unique_ptr<Head> head_;
  Pass pass_;  // of the last Forward
};

}  // namespace

std::unique_ptr<Model> MakeModel(kernels::Device* device, const ModelConfig& config,
                                 const BatchLimits& limits, kernels::DType activations, Purpose purpose,
                                 const TrainingOptions& options) {
  SHOAL_CHECK_OK(CheckModelConfig(config));
  SHOAL_CHECK(activations == kernels::DType::kF32 || activations == kernels::DType::kBf16);
  return std::make_unique<TransformerModel>(device, MakeRecipe(config), limits, activations, purpose,
                                            options);
}

}  // namespace shoal::model
