#include "kernels/loss.h"

#include <algorithm>

#include "absl/functional/function_ref.h"
#include "common/base/status.h"
#include "kernels/cpu/row_loops.h"
#include "kernels/cpu/token_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/loss.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/row-inl.h"
#include "kernels/cpu/softmax-inl.h"

#ifndef SHOAL_KERNELS_LOSS_CPU_ONCE
#define SHOAL_KERNELS_LOSS_CPU_ONCE
namespace shoal::kernels {

// What a row contributes to the sum.
struct RowResult {
  float loss = 0;
  int32_t prediction = 0;
};

}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE float LogOf(float x) { return hn::GetLane(Log(RowTag(), RowSet(x))); }
HWY_INLINE float ExpOf(float x) { return hn::GetLane(Exp(RowTag(), RowSet(x))); }

// log sum exp(x) - x[label], smoothed.
template <class T>
float SmoothedLoss(const CrossEntropyArgs& args, const T* x, float log_sum, float logit) {
  const float loss = log_sum - logit, smoothing = args.label_smoothing;
  if (smoothing == 0) return loss;
  const int64_t classes = args.logits.dim(1);
  const float mean = RowTotal(classes, x) / static_cast<float>(classes);
  return (1 - smoothing) * loss + smoothing * (log_sum - mean);
}

// What a row's loss, and its gradient, are multiplied by.
struct RowFactors {
  float loss = 1;
  float gradient = 1;
};

// With p = e^-loss the derivative of (1 - p)^γ loss is that of the loss times
// (1 - p)^γ + γ (1 - p)^(γ-1) p loss.
RowFactors FactorsOf(const CrossEntropyArgs& args, int32_t label, float loss) {
  RowFactors factors;
  if (args.focusing > 0) {
    const float p = ExpOf(-loss), rest = 1 - p;
    // At p = 1 both are 0, as is the loss.
    const float power = rest > 0 ? ExpOf(args.focusing * LogOf(rest)) : 0.0f;
    factors.loss = power;
    factors.gradient = rest > 0 ? power + args.focusing * (power / rest) * (p * loss) : 0.0f;
  }
  if (args.class_weights.present()) {
    const float weight = args.class_weights.f32()[label];
    factors.loss *= weight;
    factors.gradient *= weight;
  }
  return factors;
}

// d_x = scale (exp(x - maximum) / sum - smoothing / V), less scale (1 - smoothing) at the label.
template <class T>
void CrossEntropyGradient(const CrossEntropyArgs& args, float scale, int32_t label, float maximum, float sum,
                          const T* x, T* d_x) {
  const int64_t classes = args.logits.dim(1);
  const float factor = scale / sum;
  const float shift = -scale * args.label_smoothing / static_cast<float>(classes);
  float at_label = ValueOf(x[label]);  // kept in f32 to the end, since it may be a small difference
  ExpRowScaled(1, &at_label, maximum, factor, shift, &at_label);
  ExpRowScaled(classes, x, maximum, factor, shift, d_x);
  Assign(at_label - scale * (1 - args.label_smoothing), d_x[label]);
}

template <class T>
RowResult CrossEntropyRow(const CrossEntropyArgs& args, int64_t n) {
  const int64_t classes = args.logits.dim(1);
  const T* x = RowOf<T>(args.logits, n);
  T* d_x = RowOf<T>(args.d_logits, n);
  const int32_t label = args.labels.i32()[n];
  const float maximum = RowMaximum(classes, x);
  RowResult result;
  result.prediction = static_cast<int32_t>(FirstEqual(classes, x, maximum));
  if (label < 0) {
    if (d_x != nullptr) std::fill_n(d_x, classes, T());
    return result;
  }
  const float sum = ExpSum(classes, x, maximum);
  const float loss = SmoothedLoss(args, x, maximum + LogOf(sum), ValueOf(x[label]));
  const RowFactors factors = FactorsOf(args, label, loss);
  result.loss = loss * factors.loss;
  if (d_x != nullptr) CrossEntropyGradient(args, args.scale * factors.gradient, label, maximum, sum, x, d_x);
  return result;
}

void CrossEntropyRows(const CrossEntropyArgs& args, int64_t begin, int64_t end, RowResult* results) {
  const auto row = args.logits.type() == DType::kF32 ? &CrossEntropyRow<float> : &CrossEntropyRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) results[n] = row(args, n);
}

// A column of an example, copied to `x` [rows]. Returns the loss, and in `correct` whether the label's logit
// is the first of the largest ones.
float ChoiceOfColumn(const RowChoiceArgs& args, int64_t b, int64_t column, float* x, int32_t* correct) {
  const int32_t* const offsets = args.offsets.i32();
  const int64_t columns = args.logits.dim(1), begin = offsets[b], rows = offsets[b + 1] - begin;
  const int32_t label = args.labels.i32()[b * columns + column];
  for (int64_t n = 0; n < rows; ++n) x[n] = RowOf<float>(args.logits, begin + n)[column];
  const float maximum = RowMaximum(rows, x), sum = ExpSum(rows, x, maximum), at_label = x[label];
  *correct = FirstEqual(rows, x, maximum) == label ? 1 : 0;
  if (args.d_logits.present()) {
    const float scale = args.scale / static_cast<float>(columns);
    ExpRowScaled(rows, x, maximum, scale / sum, 0.0f, x);
    x[label] -= scale;
    for (int64_t n = 0; n < rows; ++n) RowOf<float>(args.d_logits, begin + n)[column] = x[n];
  }
  return maximum + LogOf(sum) - at_label;
}

// `x`: memory for a column of the example. The result's prediction is 1 if all columns are correct, or 0.
void RowChoice(const RowChoiceArgs& args, int64_t b, float* x, RowResult* result) {
  const int64_t columns = args.logits.dim(1);
  *result = {0, 1};
  for (int64_t column = 0; column < columns; ++column) {
    int32_t correct = 0;
    result->loss += ChoiceOfColumn(args, b, column, x, &correct);
    result->prediction &= correct;
  }
  result->loss /= static_cast<float>(columns);
}

template <class T>
float SquaredErrorRow(const RegressionArgs& args, int64_t n) {
  const int64_t columns = args.predictions.dim(1);
  const T* x = RowOf<T>(args.predictions, n);
  const float* target = RowOf<float>(args.targets, n);
  T* d_x = RowOf<T>(args.d_predictions, n);
  const RowVec factor = RowSet(2 * args.scale / static_cast<float>(columns));
  RowSum sum;
  ForRow(columns, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
    const RowVec difference = hn::Sub(lanes.Load(x + i), lanes.Load(target + i));
    sum.MulAdd(part, difference, difference);
    if (d_x != nullptr) lanes.Store(hn::Mul(difference, factor), d_x + i);
  });
  return sum.Join() / static_cast<float>(columns);
}

void SquaredErrorRows(const RegressionArgs& args, int64_t begin, int64_t end, RowResult* results) {
  const auto row = args.predictions.type() == DType::kF32 ? &SquaredErrorRow<float> : &SquaredErrorRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) results[n].loss = row(args, n);
}

// max(x, 0) - x target + log(1 + exp(-|x|)), which never overflows; its derivative is sigmoid(x) - target.
template <class T>
float SigmoidCrossEntropyRow(const MultiLabelArgs& args, int64_t n) {
  const int64_t columns = args.logits.dim(1);
  const T* x = RowOf<T>(args.logits, n);
  const float* targets = RowOf<float>(args.targets, n);
  T* d_x = RowOf<T>(args.d_logits, n);
  const RowVec factor = RowSet(args.scale / static_cast<float>(columns));
  RowSum sum;
  ForRow(columns, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
    const RowTag d;
    const RowVec v = lanes.Load(x + i), target = lanes.Load(targets + i);
    const RowVec soft = Log1p(d, Exp(d, hn::Neg(hn::Abs(v))));
    const RowVec hinge = hn::NegMulAdd(v, target, hn::Max(hn::Zero(d), v));
    sum.Add(part, lanes.ZeroOutside(hn::Add(hinge, soft)));
    if (d_x != nullptr) lanes.Store(hn::Mul(hn::Sub(Sigmoid(d, v), target), factor), d_x + i);
  });
  return sum.Join() / static_cast<float>(columns);
}

void SigmoidCrossEntropyRows(const MultiLabelArgs& args, int64_t begin, int64_t end, RowResult* results) {
  const auto row =
      args.logits.type() == DType::kF32 ? &SigmoidCrossEntropyRow<float> : &SigmoidCrossEntropyRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) results[n].loss = row(args, n);
}

template <class T>
void SoftmaxRow(const ConstTensor& x, const Tensor& y, int64_t n) {
  const T* from = RowOf<T>(x, n);
  const float maximum = RowMaximum(x.dim(1), from);
  ExpRowScaled(x.dim(1), from, maximum, 1 / ExpSum(x.dim(1), from, maximum), 0.0f, RowOf<T>(y, n));
}

void SoftmaxRows(const ConstTensor& x, const Tensor& y, int64_t begin, int64_t end) {
  const auto row = x.type() == DType::kF32 ? &SoftmaxRow<float> : &SoftmaxRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) row(x, y, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(RowChoice);
HWY_EXPORT(SquaredErrorRows);
HWY_EXPORT(SigmoidCrossEntropyRows);
HWY_EXPORT(SoftmaxRows);

bool Alike(const ConstTensor& like, const ConstTensor& x) {
  return !x.present() || (SameShape(like, x) && x.type() == like.type());
}

RowResult* ResultsOf(CpuDevice& device, int64_t rows) {
  return reinterpret_cast<RowResult*>(
      device.scratch().Shared(rows * static_cast<int64_t>(sizeof(RowResult))));
}

// In blocks of rows; rows for which has_label is false do not count.
LossSum SumOf(const RowResult* results, int64_t rows, absl::FunctionRef<bool(int64_t n)> has_label) {
  LossSum sum;
  for (int64_t begin = 0; begin < rows; begin += kTokenBlock) {
    double block = 0;
    for (int64_t n = begin; n < std::min(rows, begin + kTokenBlock); ++n) {
      if (!has_label(n)) continue;
      block += results[n].loss;
      ++sum.rows;
    }
    sum.loss += block;
  }
  return sum;
}

LossSum SumOf(const RowResult* results, int64_t rows) {
  return SumOf(results, rows, [](int64_t) { return true; });
}

void CheckTargets(const ConstTensor& x, const ConstTensor& targets, const ConstTensor& d_x) {
  SHOAL_CHECK(x.rank() == 2 && x.dim(1) >= 1);
  SHOAL_CHECK(SameShape(x, targets) && targets.type() == DType::kF32 && Alike(x, d_x));
}

void Check(const CrossEntropyArgs& args) {
  const int64_t rows = args.logits.dim(0);
  SHOAL_CHECK(args.logits.rank() == 2 && args.logits.dim(1) >= 1 && Alike(args.logits, args.d_logits));
  SHOAL_CHECK(args.labels.rank() == 1 && args.labels.dim(0) == rows);
  SHOAL_CHECK(!args.row_loss.present() || args.row_loss.dim(0) == rows);
  SHOAL_CHECK(!args.predictions.present() || args.predictions.dim(0) == rows);
  const int32_t* labels = args.labels.i32();
  for (int64_t n = 0; n < rows; ++n) SHOAL_CHECK(labels[n] < args.logits.dim(1));
}

// Returns the number of rows of the longest example.
int64_t Check(const RowChoiceArgs& args) {
  const int64_t examples = args.offsets.dim(0) - 1, columns = args.logits.dim(1);
  SHOAL_CHECK(args.logits.rank() == 2 && args.logits.type() == DType::kF32 && columns >= 1);
  SHOAL_CHECK(Alike(args.logits, args.d_logits) && args.labels.rank() == 1);
  SHOAL_CHECK(args.labels.dim(0) == examples * columns);
  const int32_t *offsets = args.offsets.i32(), *labels = args.labels.i32();
  SHOAL_CHECK(offsets[0] == 0 && offsets[examples] == args.logits.dim(0));
  int64_t longest = 0;
  for (int64_t b = 0; b < examples; ++b) {
    const int32_t rows = offsets[b + 1] - offsets[b];
    longest = std::max<int64_t>(longest, rows);
    for (int64_t v = 0; v < columns; ++v)
      SHOAL_CHECK(labels[b * columns + v] >= 0 && labels[b * columns + v] < rows);
  }
  return longest;
}

}  // namespace

LossSum CrossEntropy(Device& device, const CrossEntropyArgs& args) {
  const OpTimer timer(device.profile(), "cross-entropy", MovedBytes({args.logits, args.d_logits}));
  Check(args);
  const int64_t rows = args.logits.dim(0);
  const int32_t* labels = args.labels.i32();
  RowResult* results = ResultsOf(Cpu(device), rows);
  ForRows(Cpu(device), rows, args.logits.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(CrossEntropyRows)(args, begin, end, results);
  });
  LossSum sum = SumOf(results, rows, [labels](int64_t n) { return labels[n] >= 0; });
  for (int64_t n = 0; n < rows; ++n) {
    if (labels[n] >= 0 && labels[n] == results[n].prediction) ++sum.correct;
    if (args.row_loss.present()) args.row_loss.f32()[n] = results[n].loss;
    if (args.predictions.present()) args.predictions.i32()[n] = results[n].prediction;
  }
  return sum;
}

LossSum RowChoiceCrossEntropy(Device& device, const RowChoiceArgs& args) {
  const OpTimer timer(device.profile(), "row choice", MovedBytes({args.logits, args.d_logits}));
  const int64_t longest = Check(args), examples = args.offsets.dim(0) - 1;
  CpuDevice& cpu = Cpu(device);
  RowResult* const results = ResultsOf(cpu, examples);
  cpu.pool().ParallelFor(examples, [&](int64_t b, int thread) {
    auto* const x = reinterpret_cast<float*>(
        cpu.scratch().OfThread(thread, longest * static_cast<int64_t>(sizeof(float))));
    HWY_DYNAMIC_DISPATCH(RowChoice)(args, b, x, results + b);
  });
  LossSum sum = SumOf(results, examples);
  for (int64_t b = 0; b < examples; ++b) sum.correct += results[b].prediction;
  return sum;
}

LossSum MeanSquaredError(Device& device, const RegressionArgs& args) {
  const OpTimer timer(device.profile(), "squared error",
                      MovedBytes({args.predictions, args.targets, args.d_predictions}));
  CheckTargets(args.predictions, args.targets, args.d_predictions);
  const int64_t rows = args.predictions.dim(0);
  RowResult* results = ResultsOf(Cpu(device), rows);
  ForRows(Cpu(device), rows, args.predictions.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(SquaredErrorRows)(args, begin, end, results);
  });
  return SumOf(results, rows);
}

LossSum SigmoidCrossEntropy(Device& device, const MultiLabelArgs& args) {
  const OpTimer timer(device.profile(), "sigmoid cross-entropy",
                      MovedBytes({args.logits, args.targets, args.d_logits}));
  CheckTargets(args.logits, args.targets, args.d_logits);
  const int64_t rows = args.logits.dim(0);
  RowResult* results = ResultsOf(Cpu(device), rows);
  ForRows(Cpu(device), rows, args.logits.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(SigmoidCrossEntropyRows)(args, begin, end, results);
  });
  return SumOf(results, rows);
}

void Softmax(Device& device, const ConstTensor& x, const Tensor& y) {
  const OpTimer timer(device.profile(), "softmax", MovedBytes({x, y}));
  SHOAL_CHECK(x.rank() == 2 && x.dim(1) >= 1 && y.present() && Alike(x, y));
  ForRows(Cpu(device), x.dim(0), x.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(SoftmaxRows)(x, y, begin, end);
  });
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
