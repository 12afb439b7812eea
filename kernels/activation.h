// Activation functions, with the bias that is added first, forward and backward.
#pragma once

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

enum class Activation {
  kIdentity,
  kGelu,      // x Phi(x), Phi the normal distribution, by erf: Hendrycks and Gimpel, 2016; BERT's
  kGeluTanh,  // its approximation 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); GPT-2's
  kRelu,
  kTanh,
  kSilu,  // x sigmoid(x)
  kSigmoid,
};

// y = f(x + bias). Activations are f32 or bf16, all of one type; computed in f32.
struct ActivationForwardArgs {
  Activation activation = Activation::kIdentity;
  ConstTensor x;     // [N,F]; backward needs it, unless y aliases it in evaluation
  ConstTensor bias;  // [F] f32; optional
  Tensor y;          // [N,F] out; may alias x
};

void ActivationForward(Device& device, const ActivationForwardArgs& args);

// d_x = d_y f'(x + bias);  y = f(x + bias), as in forward;  d_bias += sum of d_x over the tokens: blocks of
// kTokenBlock tokens from 0, in order, and the tokens inside each block in order.
struct ActivationBackwardArgs {
  Activation activation = Activation::kIdentity;
  ConstTensor x;     // [N,F] as in forward, before the bias
  ConstTensor bias;  // [F] f32, as in forward; optional
  ConstTensor d_y;   // [N,F]
  Tensor d_x;        // [N,F] out; may alias d_y or x
  Tensor y;          // [N,F] out, for callers that did not keep it; optional; aliases nothing
  Tensor d_bias;     // [F] f32 in/out; optional
};

void ActivationBackward(Device& device, const ActivationBackwardArgs& args);

}  // namespace shoal::kernels
