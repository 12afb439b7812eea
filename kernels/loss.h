// Losses and their gradients in one pass, and the statistics that they report.
//
// All are sums over rows (examples or labelled tokens), because a contribution is a sum and the server
// divides by the weight. Losses of rows are f32; they are added in f64: blocks of kTokenBlock rows in order,
// and the rows inside each block in order.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

struct LossSum {
  double loss = 0;      // sum over the rows that have a label
  int64_t rows = 0;     // that have a label
  int64_t correct = 0;  // rows among them whose largest logit is the label's (cross-entropy only)
};

// Softmax and cross-entropy.  N: rows, V: classes
//   loss(n) = (1 - s) (log sum exp(x) - x[label]) + s (log sum exp(x) - mean of x),  s: label_smoothing
// as in PyTorch. With `focusing` γ it is multiplied by (1 - e^-loss)^γ, which without label smoothing is
// (1 - p)^γ for the label's probability p (focal loss; Lin et al., 2017). With class weights it is multiplied
// by the label's. d_logits = scale * d loss / d logits, and 0 in rows without a label.
struct CrossEntropyArgs {
  ConstTensor logits;  // [N,V] f32|bf16
  ConstTensor labels;  // [N] i32 in [0,V); negative: the row has no label
  float label_smoothing = 0;
  float focusing = 0;         // 0: none
  ConstTensor class_weights;  // [V] f32; optional: all are 1
  float scale = 1;            // of the gradient
  Tensor d_logits;            // [N,V] out, the type of logits; may alias them; optional (evaluation)
  Tensor row_loss;            // [N] f32 out, 0 where there is no label; optional
  Tensor predictions;         // [N] i32 out: the largest logit, the first of equal ones; optional
};

LossSum CrossEntropy(Device& device, const CrossEntropyArgs& args);

// Softmax and cross-entropy down the columns: in each example every column chooses one of the example's rows.
//   N: rows, B: examples, V: columns
//   loss(b) = mean over v of log sum exp(x[n,v]) over the example's rows n, - x[label(b,v),v]
// Rows of LossSum are examples; one is correct when every column's largest logit, the first of equal ones, is
// its label's.
struct RowChoiceArgs {
  ConstTensor logits;   // [N,V] f32
  ConstTensor offsets;  // [B+1] i32, increasing from 0 to N: example b is rows [offsets[b], offsets[b+1])
  ConstTensor labels;   // [B V] i32: for each example and column a row of the example, from 0
  float scale = 1;      // of the gradient
  Tensor d_logits;      // [N,V] f32 out; may alias logits; optional (evaluation)
};

LossSum RowChoiceCrossEntropy(Device& device, const RowChoiceArgs& args);

// Mean over the columns of (prediction - target)^2.  N: rows, V: columns
struct RegressionArgs {
  ConstTensor predictions;  // [N,V] f32|bf16
  ConstTensor targets;      // [N,V] f32
  float scale = 1;          // of the gradient
  Tensor d_predictions;     // [N,V] out, the type of predictions; may alias them; optional
};

LossSum MeanSquaredError(Device& device, const RegressionArgs& args);

// Mean over the columns of the cross-entropy of sigmoid(logit) and target: several labels per row.
struct MultiLabelArgs {
  ConstTensor logits;   // [N,V] f32|bf16
  ConstTensor targets;  // [N,V] f32 in [0,1]
  float scale = 1;      // of the gradient
  Tensor d_logits;      // [N,V] out, the type of logits; may alias them; optional
};

LossSum SigmoidCrossEntropy(Device& device, const MultiLabelArgs& args);

// Probabilities: y = softmax of each row of x [N,V] f32|bf16; y [N,V] of the same type, may alias x.
void Softmax(Device& device, const ConstTensor& x, const Tensor& y);

}  // namespace shoal::kernels
