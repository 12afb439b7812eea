// Layer normalization, with the residual sum before it, forward and backward.
//
// Mean and variance of a row take two passes over it, with 16 interleaved partial sums each
// (kernels/README.md). Gradients of gamma, beta and the bias are sums over tokens: blocks of kTokenBlock
// tokens from 0, in order, and the tokens inside each block in order. The total is added to what the gradient
// holds.
#pragma once

#include "kernels/device.h"
#include "kernels/dropout.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// sum = residual + dropout(x + bias);  y = (sum - mean) * rstd * gamma + beta, with
// rstd = 1 / sqrt(variance + epsilon). Activations are f32 or bf16, all of one type; computed in f32.
struct NormForwardArgs {
  ConstTensor x;         // [N,C]
  ConstTensor bias;      // [C] f32; optional
  ConstTensor residual;  // [N,C]; optional
  Dropout dropout;       // of x + bias
  Tensor sum;            // [N,C] out, for backward; may alias x or residual. Not needed (then the sum is x)
                         // when there is no bias, residual or dropout
  ConstTensor gamma;     // [C] f32
  ConstTensor beta;      // [C] f32
  float epsilon = 1e-12f;
  Tensor y;     // [N,C] out; may alias x, or residual, but not sum
  Tensor mean;  // [N] f32 out, for backward; optional together with rstd
  Tensor rstd;  // [N] f32 out, for backward
};

void NormForward(Device& device, const NormForwardArgs& args);

// Gradients of what NormForward computed.
//   d_y' = d_y + d_y_more;  d_sum = (gradient of sum through the norm) + d_sum_more;
//   d_x = dropout(d_sum), which is the gradient of x and, summed over tokens, of the bias.
struct NormBackwardArgs {
  ConstTensor sum;         // [N,C] as forward computed it (x where forward had no sum)
  ConstTensor mean, rstd;  // [N] f32 as forward computed them
  ConstTensor gamma;       // [C] f32
  ConstTensor d_y;         // [N,C]
  ConstTensor d_y_more;    // [N,C], a second gradient that reaches y (post-norm's next residual); optional
  ConstTensor d_sum_more;  // [N,C], a second gradient that reaches sum (pre-norm's residual); optional
  Dropout dropout;         // as in forward
  Tensor d_sum;            // [N,C] out, the gradient of the residual; may alias any [N,C] input
  Tensor d_x;              // [N,C] out; needed only with dropout (otherwise it equals d_sum); aliases nothing
  Tensor d_gamma, d_beta;  // [C] f32 in/out: += the gradient
  Tensor d_bias;           // [C] f32 in/out: += the gradient; optional
};

void NormBackward(Device& device, const NormBackwardArgs& args);

}  // namespace shoal::kernels
