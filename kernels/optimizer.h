// The arithmetic of the update rules, on a piece of the parameters. Every copy of a block runs it on
// its own processor, so its bits are defined: each element is computed in f32 by the formulas below, with an
// FMA where one is written; scalars are computed once in f64 and then rounded.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal::kernels {

enum class OptimizerKind { kSgd, kAdam, kAdamW, kLamb, kAdafactor };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double beta1 = 0.9;       // Adam, AdamW, LAMB: decay of the first moment
  double beta2 = 0.999;     // Adam, AdamW, LAMB: decay of the second moment
  double epsilon = 1e-8;    // Adam, AdamW, LAMB: added to the denominator
  double momentum = 0;      // SGD; 0: none, and no moment is kept
  bool nesterov = false;    // SGD, with momentum
  double weight_decay = 0;  // L2, added to the gradient, with SGD and Adam; otherwise decoupled
};

// Which moments the rule keeps. They start at 0.
bool KeepsFirstMoment(const OptimizerConfig& config);
bool KeepsSecondMoment(const OptimizerConfig& config);

// Where consecutive elements of a tensor lie in its rows. Vectors have rows of 1 element.
struct RowPlace {
  uint64_t columns = 1;  // length of a row
  uint64_t column = 0;   // of the first element
};

// The second moment's number of floats for `size` elements at `place`: as many, but fewer with Adafactor
// where that helps: the means of each (piece of a) row, then those of each column.
uint64_t SecondMomentSize(const OptimizerConfig& config, const RowPlace& place, uint64_t size);

// What changes from round to round, or between ranges of parameters.
struct OptimizerStep {
  uint64_t step = 1;  // number of this update, from 1: t of the bias correction
  double learning_rate = 0;
  double gradient_scale = 1;  // 1 / weight, times the clip factor
  bool decay = true;          // false: these parameters (biases, norms) have no weight decay
  double trust_ratio = 1;     // LAMB
  RowPlace place;             // Adafactor
};

// Spans of equal size, but for the second moment: SecondMomentSize. Moments that the rule does not keep may
// be empty.
struct OptimizerArrays {
  absl::Span<const float> parameters;  // version t
  absl::Span<const float> gradient;    // sum over the round, not yet scaled
  absl::Span<float> first_moment;      // in/out: momentum, or Adam's m
  absl::Span<float> second_moment;     // in/out: Adam's v
  absl::Span<float> out;               // version t+1; may alias gradient or, but with Adafactor, parameters
};

// Runs on the calling thread; any thread may call it, for pieces that don't overlap. How the parameters are
// cut into pieces changes no bit, except with Adafactor, for which each piece is a matrix of its own. With
// g = gradient * gradient_scale:
//   SGD    g += decay p;  m = momentum m + g;  p -= lr (nesterov ? g + momentum m : m)
//          as in PyTorch
//   Adam   g += decay p;  m += (1-beta1) (g - m);  v = beta2 v + (1-beta2) g^2;
//          p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//          (Kingma and Ba, 2015)
//   AdamW  Adam without g += decay p, after p -= lr decay p
//          (Loshchilov and Hutter, 2019)
//   LAMB   r = Adam's m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) + decay p;
//          p -= lr trust_ratio r
//          (You et al., 2020)
//   Adafactor  with b = 1 - t^-0.8, R and C of the rows and columns:
//          R = b R + (1-b) mean of g^2 + 1e-30 over the row, C likewise over the column;
//          u = g / sqrt(R C / mean(R)), or of vectors g / sqrt(v), v = b v + (1-b) (g^2 + 1e-30);
//          p -= lr decay p;  p -= lr u / max(1, root mean square of u)
//          (Shazeer and Stern, 2018; with a given rate, not one relative to the parameters)
void UpdateParameters(const OptimizerConfig& config, const OptimizerStep& step,
                      const OptimizerArrays& arrays);

// LAMB's trust ratio of a tensor is the norm of its parameters divided by that of its r, or 1 when one of
// them is 0. These are the squares of both for a piece, each as SquaredNorm. The moments don't change; `out`
// is overwritten with r.
struct LambNorms {
  double parameters = 0;
  double update = 0;
};
LambNorms LambSquaredNorms(const OptimizerConfig& config, const OptimizerStep& step,
                           const OptimizerArrays& arrays);

// average += (1 - decay) (parameters - average). Spans of equal size.
void UpdateAverage(double decay, absl::Span<const float> parameters, absl::Span<float> average);

// Sum of squares in f64: 16 interleaved partial sums joined by halves, element i of the span goes to sum
// i mod 16. Not finite when an element is not.
double SquaredNorm(absl::Span<const float> x);

}  // namespace shoal::kernels
