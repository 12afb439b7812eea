// The arithmetic of the update rules, on a piece of the parameters. Every copy of a block runs it on
// its own processor, so its bits are defined: each element is computed in f32 by the formulas below, with an
// FMA where one is written; scalars are computed once in f64 and then rounded.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal::kernels {

enum class OptimizerKind { kSgd, kAdam, kAdamW };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double beta1 = 0.9;       // Adam, AdamW: decay of the first moment
  double beta2 = 0.999;     // Adam, AdamW: decay of the second moment
  double epsilon = 1e-8;    // Adam, AdamW: added to the denominator
  double momentum = 0;      // SGD; 0: none, and no moment is kept
  bool nesterov = false;    // SGD, with momentum
  double weight_decay = 0;  // decoupled with AdamW; L2, added to the gradient, with SGD and Adam
};

// The number of moment arrays that the rule keeps: 0, 1 or 2. They start at 0.
int MomentCount(const OptimizerConfig& config);

// What changes from round to round, or between ranges of parameters.
struct OptimizerStep {
  uint64_t step = 1;  // number of this update, from 1: t of the bias correction
  double learning_rate = 0;
  double gradient_scale = 1;  // 1 / weight, times the clip factor
  bool decay = true;          // false: these parameters (biases, norms) have no weight decay
};

// Spans of equal size. Moments that the rule does not keep may be empty.
struct OptimizerArrays {
  absl::Span<const float> parameters;  // version t
  absl::Span<const float> gradient;    // sum over the round, not yet scaled
  absl::Span<float> first_moment;      // in/out: momentum, or Adam's m
  absl::Span<float> second_moment;     // in/out: Adam's v
  absl::Span<float> out;               // version t+1; may alias parameters or gradient
};

// Runs on the calling thread, in one pass; any thread may call it, for pieces that don't overlap, and how the
// parameters are cut into pieces changes no bit. With g = gradient * gradient_scale:
//   SGD    g += decay p;  m = momentum m + g;  p -= lr (nesterov ? g + momentum m : m)
//          as in PyTorch
//   Adam   g += decay p;  m += (1-beta1) (g - m);  v = beta2 v + (1-beta2) g^2;
//          p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//          (Kingma and Ba, 2015)
//   AdamW  Adam without g += decay p, after p -= lr decay p
//          (Loshchilov and Hutter, 2019)
void UpdateParameters(const OptimizerConfig& config, const OptimizerStep& step,
                      const OptimizerArrays& arrays);

// Sum of squares in f64: 16 interleaved partial sums joined by halves, element i of the span goes to sum
// i mod 16. Not finite when an element is not.
double SquaredNorm(absl::Span<const float> x);

}  // namespace shoal::kernels
