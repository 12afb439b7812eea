// What all layers of one pass have in common.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/device.h"
#include "kernels/dropout.h"
#include "kernels/loss.h"
#include "kernels/tensor.h"
#include "model/adversary.h"
#include "model/batch.h"
#include "model/loss_options.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"

namespace shoal::model {

// Borrowed. A pass writes each parameter's gradient once: it replaces the old value, or with `accumulate`
// adds to it. Gradients of group 0 are always added to, since several layers may share their parameters.
// Those of frozen parameters are undefined, but may be written.
struct Pass {
  kernels::Device* device = nullptr;  // whose memory holds θ and the gradient
  const float* theta = nullptr;
  Batch batch;
  // In training only.
  bool training = false;
  DropoutSeed dropout;
  float* gradient = nullptr;
  bool accumulate = false;
  absl::Span<const uint64_t> gradient_offsets;     // of groups; empty: as in θ
  absl::Span<const uint64_t> group_begins;         // in θ
  const TrainableParameters* trainable = nullptr;  // null: all
  const LossOptions* loss = nullptr;               // null: none
  const AdversaryOptions* adversary = nullptr;     // null: none
  int ascent = 0;                                  // how many passes over this batch came before

  int64_t tokens() const { return batch.token_count(); }
  bool adds_to(int group) const { return accumulate || group == 0; }
  // The lowest one in which a parameter is not frozen.
  int first_trainable_group() const { return trainable == nullptr ? 0 : trainable->first_group(); }
  // Whether any of its elements is not frozen.
  bool Trains(const MatrixParameter& matrix) const {
    return trainable == nullptr || trainable->AnyTrains(matrix.offset, matrix.rows * matrix.columns);
  }

  kernels::ConstTensor Value(const VectorParameter& vector) const {
    return kernels::ConstTensor(theta + vector.offset, {vector.size}).On(device->kind());
  }
  kernels::ConstTensor Value(const MatrixParameter& matrix) const {
    return kernels::ConstTensor(theta + matrix.offset, {matrix.rows, matrix.columns}).On(device->kind());
  }
  // For kernels that add to the gradient: set to zero first, unless the pass adds to it.
  kernels::Tensor Gradient(const VectorParameter& vector) const;
  // Not set to zero.
  kernels::Tensor Gradient(const MatrixParameter& matrix) const {
    return kernels::Tensor(GradientAt(matrix.offset, matrix.group), {matrix.rows, matrix.columns})
        .On(device->kind());
  }

 private:
  float* GradientAt(uint64_t offset, int group) const;
};

// Arguments for the cross-entropy over a job's classes, with the options of training.
kernels::CrossEntropyArgs ClassLossArgs(const Pass& pass);

// Dropout of [N,C]; none outside of training. Each `site` draws different masks; `index` distinguishes layers
// (or sub-layers).
kernels::Dropout DropoutAt(const Pass& pass, double rate, const char* site, int64_t index = 0);
// The same for one row per example.
kernels::Dropout DropoutOfExamples(const Pass& pass, double rate, const char* site);
// x = dropout(x); it is its own backward.
void Drop(const Pass& pass, const kernels::Dropout& dropout, const kernels::Tensor& x);

}  // namespace shoal::model
