// A linear map and what follows it, in one op: each part of the product is finished while it is in cache.
//
// The bits are those of the ops one after another: Gemm (gemm.h), then ActivationForward (activation.h) or
// NormForward (layer_norm.h).   N: tokens, K: channels of x, C, F: channels of the product
#pragma once

#include "kernels/activation.h"
#include "kernels/device.h"
#include "kernels/layer_norm.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// y = f(product + bias);  product = x weight^T
struct LinearActivationArgs {
  ConstTensor x;       // [N,K] f32|bf16
  ConstTensor weight;  // [F,K] f32, or the type of x
  ConstTensor bias;    // [F] f32; optional
  Activation activation = Activation::kIdentity;
  Tensor product;  // [N,F] out, the type of x: what ActivationBackward takes as x
  Tensor y;        // [N,F] out, the type of x; may alias product when there is no backward
};

void LinearActivation(Device& device, const LinearActivationArgs& args);

// norm.sum = norm.residual + dropout(x weight^T + norm.bias);  norm.y = its norm, as in NormForward
struct LinearResidualNormArgs {
  ConstTensor x;         // [N,K] f32|bf16
  ConstTensor weight;    // [C,K] f32, or the type of x
  NormForwardArgs norm;  // activations of the type of x. Its x is not read; its sum is required and aliases
                         // none of the others
};

void LinearResidualNorm(Device& device, const LinearResidualNormArgs& args);

}  // namespace shoal::kernels
