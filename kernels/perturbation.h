// Adversarial perturbations of the vectors of tokens: one for each example, as long as the example's rows
// together.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// delta = for each example, numbers independent and uniform in [-1, 1] times radius / sqrt(its elements): at
// most `radius` long. The row of token n is a function of `key` and first_token + n.
//   offsets [B+1] i32: example b is the rows [offsets[b], offsets[b+1]); delta [N,C] f32 out
void RandomPerturbation(Device& device, uint64_t key, uint64_t first_token, const ConstTensor& offsets,
                        double radius, const Tensor& delta);

// delta += step * g / |g| for each example, whose g are its rows of the gradient; then scaled down to
// `radius` where it is longer. Norms are in f64, elements added in order. Where |g| is 0 or not finite
// nothing changes.
struct PerturbationStepArgs {
  ConstTensor gradient;  // [N,C] f32|bf16
  ConstTensor offsets;   // [B+1] i32
  double step = 0;
  double radius = 0;
  Tensor delta;  // [N,C] f32 in/out
};
void StepPerturbation(Device& device, const PerturbationStepArgs& args);

// y += delta.   delta [N,C] f32, y [N,C] f32|bf16
void AddPerturbation(Device& device, const ConstTensor& delta, const Tensor& y);

}  // namespace shoal::kernels
