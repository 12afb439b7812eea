// A model's forward and backward passes over flat θ.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "kernels/device.h"
#include "kernels/loss.h"
#include "model/adversary.h"
#include "model/batch.h"
#include "model/loss_options.h"
#include "model/model_config.h"
#include "model/trainable_parameters.h"

namespace shoal::model {

// A training step's input and output: θ and its gradient in the device's memory, the batch in the host's.
// Borrowed from Forward to the end of Backward.
struct MicroBatch {
  const float* theta = nullptr;
  Batch batch;
  DropoutSeed dropout;
  // Out, flat like θ: the gradient of the *sum* of the losses, which replaces the contents, or with
  // `accumulate` is added to them. The elements of frozen parameters are undefined.
  float* gradient = nullptr;
  bool accumulate = false;
  // With TrainingOptions::adversary: how many passes over this batch, forward and backward, came right
  // before.
  int ascent = 0;
  // Where each group begins in `gradient`, for callers that move each group away once it is final; empty: as
  // in θ. Layers (and the head) whose numbers differ by two or more may share memory, but not with
  // `accumulate`.
  absl::Span<const uint64_t> gradient_offsets;
};

// Used by one thread at a time; computes on its device's threads. All memory is planned and allocated when
// the model is made: a step allocates nothing.
class Model {
 public:
  virtual ~Model() = default;

  // Called before a group's parameters are read; returns once they may be. False aborts the pass.
  using WaitGroup = absl::FunctionRef<bool(int group)>;
  using GroupFinal = absl::FunctionRef<void(int group)>;

  // Forward with dropout, loss, and backward through the head, so that logits need not be kept. `loss`: the
  // sum over the rows that have a label: examples; with HEAD_TYPE_TOKEN_CLASSES and
  // HEAD_TYPE_MASKED_TOKEN tokens; with HEAD_TYPE_NEXT_TOKEN the tokens after the first of each example.
  // Returns false when the pass was aborted; then the gradient is undefined.
  virtual bool Forward(const MicroBatch& step, WaitGroup wait_group, kernels::LossSum* loss) = 0;

  // Computes the rest of the gradient of the last Forward. Calls `group_final` for each group, the last one
  // first, once its part is written.
  virtual void Backward(GroupFinal group_final) = 0;

  // Forward without dropout; the loss is that of the logits. `logits` out: [B, labels]; with
  // HEAD_TYPE_TOKEN_CLASSES [R, labels] of the R tokens that have a label, or [N, labels] in a batch without
  // targets; with HEAD_TYPE_MASKED_TOKEN likewise [R, vocabulary]; with HEAD_TYPE_NEXT_TOKEN [N, vocabulary];
  // empty when they are not wanted. Returns the loss if the batch has targets (otherwise `rows` is 0);
  // `correct` only for heads with cross-entropy.
  virtual kernels::LossSum Evaluate(const float* theta, const Batch& batch, absl::Span<float> logits) = 0;

  // The planned memory, without the kernels' scratch memory.
  virtual int64_t memory_bytes() const = 0;
};

// What a model has memory for.
enum class Purpose {
  kTraining,    // and evaluation
  kEvaluation,  // only: a layer's memory is reused by the next one
};

// What a job changes in training. What it points to must outlive the model.
struct TrainingOptions {
  const TrainableParameters* trainable = nullptr;  // null: all
  const LossOptions* loss = nullptr;               // null: none
  const AdversaryOptions* adversary = nullptr;     // null: none; only where the embeddings are trained
};

// `activations`: f32; or bf16, which also rounds weights to bf16 for their products (kernels/gemm.h), while
// statistics, gradients of parameters and a classification head stay f32. `device` must outlive the model.
// The config is already checked.
std::unique_ptr<Model> MakeModel(kernels::Device* device, const ModelConfig& config,
                                 const BatchLimits& limits, kernels::DType activations = kernels::DType::kF32,
                                 Purpose purpose = Purpose::kTraining, const TrainingOptions& options = {});

}  // namespace shoal::model
