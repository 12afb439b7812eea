#include "kernels/loss.h"

#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

struct Problem {
  int64_t rows, classes;
  float smoothing = 0, focusing = 0;
  bool weighted = false;

  // Of classes.
  std::vector<float> Weights() const {
    auto weights = Numbers(classes, 7);
    for (float& weight : weights) weight = std::fabs(weight) + 0.1f;
    return weights;
  }

  std::vector<float> Logits(uint32_t seed = 1) const {
    auto x = Numbers(rows * classes, seed);
    for (float& v : x) v *= 5;
    return x;
  }
  // Every third row has none.
  std::vector<int32_t> Labels() const {
    auto labels = Integers(rows, static_cast<int32_t>(classes), 2);
    for (int64_t n = 0; n < rows; n += 3) labels[n] = -100;
    return labels;
  }
};

const Problem kProblems[] = {{70, 2},
                             {67, 33, 0.1f},
                             {5, 4099},
                             {3, 1},
                             {67, 33, 0, 2.0f},
                             {40, 3, 0, 0.5f, true},
                             {50, 4, 0.2f, 0, true}};
constexpr float kScale = 0.125f;

double CrossEntropyFormula(const Problem& p, const std::vector<double>& x,
                           const std::vector<int32_t>& labels) {
  double loss = 0;
  for (int64_t n = 0; n < p.rows; ++n) {
    if (labels[n] < 0) continue;
    double sum = 0, mean = 0;
    for (int64_t i = 0; i < p.classes; ++i) {
      sum += std::exp(x[n * p.classes + i]);
      mean += x[n * p.classes + i] / p.classes;
    }
    const double of_row =
        std::log(sum) - (1 - p.smoothing) * x[n * p.classes + labels[n]] - p.smoothing * mean;
    const double weight = p.weighted ? p.Weights()[labels[n]] : 1.0;
    loss += weight * of_row * std::pow(1 - std::exp(-of_row), p.focusing);
  }
  return loss;
}

struct Result {
  LossSum sum;
  std::vector<float> gradient, row_loss;
  std::vector<int32_t> predictions;
};

Result RunCrossEntropy(Device& device, const Problem& p, const std::vector<float>& logits,
                       const std::vector<int32_t>& labels) {
  Result r{{}, logits, std::vector<float>(p.rows), std::vector<int32_t>(p.rows)};
  CrossEntropyArgs args;
  args.logits = ConstTensor(r.gradient.data(), {p.rows, p.classes});  // in place
  args.labels = ConstTensor(labels.data(), {p.rows});
  args.label_smoothing = p.smoothing;
  args.focusing = p.focusing;
  const std::vector<float> weights = p.Weights();
  if (p.weighted) args.class_weights = ConstTensor(weights.data(), {p.classes});
  args.scale = kScale;
  args.d_logits = Tensor(r.gradient.data(), {p.rows, p.classes});
  args.row_loss = Tensor(r.row_loss.data(), {p.rows});
  args.predictions = Tensor(r.predictions.data(), {p.rows});
  r.sum = CrossEntropy(device, args);
  return r;
}

TEST_CASE("cross-entropy and its gradient are those of the formula; rows without a label count nothing") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    INFO(p.rows << " x " << p.classes);
    const auto logits = p.Logits();
    const auto labels = p.Labels();
    const Result r = RunCrossEntropy(*device, p, logits, labels);
    const auto loss = [&](const std::vector<double>& x) { return CrossEntropyFormula(p, x, labels); };
    CHECK(r.sum.loss == Approx(loss({logits.begin(), logits.end()})).epsilon(1e-6).margin(1e-5));
    CHECK(GradientError(logits, r.gradient, [&](const std::vector<double>& x) { return kScale * loss(x); }) <
          1e-6);
    int64_t rows = 0, correct = 0;
    double total = 0;
    for (int64_t n = 0; n < p.rows; ++n) {
      const auto begin = logits.begin() + n * p.classes;
      CHECK(r.predictions[n] == std::max_element(begin, begin + p.classes) - begin);
      rows += labels[n] >= 0;
      correct += labels[n] >= 0 && labels[n] == r.predictions[n];
      total += r.row_loss[n];
      if (labels[n] < 0) CHECK(r.row_loss[n] == 0);
    }
    CHECK(r.sum.rows == rows);
    CHECK(r.sum.correct == correct);
    CHECK(r.sum.loss == Approx(total).epsilon(1e-9));
  }
}

TEST_CASE("cross-entropy of huge logits neither overflows nor loses the label's gradient") {
  const auto device = MakeDevice();
  const Problem p{2, 3};
  const Result r = RunCrossEntropy(*device, p, {1e30f, -1e30f, 0, 100, 99, -100}, {1, 0});
  CHECK(r.row_loss[0] == Approx(2e30));
  CHECK(r.row_loss[1] == Approx(std::log1p(std::exp(-1.0))));
  CHECK(WorstError(r.gradient, {kScale, -kScale, 0, -kScale / (1 + std::exp(1.0)),
                                kScale / (1 + std::exp(1.0)), 0}) < 1e-7);
}

TEST_CASE("the focal loss of a certain row is 0, and so is its gradient") {
  const auto device = MakeDevice();
  const Problem p{2, 3, 0, 0.5f};
  const Result r = RunCrossEntropy(*device, p, {200, 0, 0, 40, 0, 0}, {0, 0});
  CHECK(r.row_loss[0] == 0);
  CHECK(WorstError(r.gradient, {0, 0, 0, 0, 0, 0}) < 1e-7);
}

TEST_CASE("of equal logits the first is predicted") {
  const auto device = MakeDevice();
  const Problem p{1, 40};
  std::vector<float> logits(40, 0.5f);
  CHECK(RunCrossEntropy(*device, p, logits, {3}).predictions[0] == 0);
  logits[21] = logits[38] = 2;
  CHECK(RunCrossEntropy(*device, p, logits, {3}).predictions[0] == 21);
}

TEST_CASE("the squared error and its gradient are those of the formula") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    const auto x = p.Logits(), targets = p.Logits(9);
    std::vector<float> gradient(x.size());
    RegressionArgs args;
    args.predictions = ConstTensor(x.data(), {p.rows, p.classes});
    args.targets = ConstTensor(targets.data(), {p.rows, p.classes});
    args.scale = kScale;
    args.d_predictions = Tensor(gradient.data(), {p.rows, p.classes});
    const LossSum sum = MeanSquaredError(*device, args);
    const auto loss = [&](const std::vector<double>& at) {
      double total = 0;
      for (size_t i = 0; i < at.size(); ++i) total += std::pow(at[i] - targets[i], 2) / p.classes;
      return total;
    };
    CHECK(sum.loss == Approx(loss({x.begin(), x.end()})).epsilon(1e-6));
    CHECK(sum.rows == p.rows);
    CHECK(GradientError(x, gradient, [&](const std::vector<double>& at) { return kScale * loss(at); }) <
          1e-6);
  }
}

Result RunMultiLabel(Device& device, const Problem& p, const std::vector<float>& x,
                     const std::vector<float>& targets) {
  Result r;
  r.gradient = x;
  MultiLabelArgs args;
  args.logits = ConstTensor(r.gradient.data(), {p.rows, p.classes});
  args.targets = ConstTensor(targets.data(), {p.rows, p.classes});
  args.scale = kScale;
  args.d_logits = Tensor(r.gradient.data(), {p.rows, p.classes});
  r.sum = SigmoidCrossEntropy(device, args);
  return r;
}

std::vector<float> Targets(const Problem& p) {
  std::vector<float> targets = Numbers(p.rows * p.classes, 9);
  for (float& t : targets) t = t < 0 ? 0.0f : t;
  return targets;
}

TEST_CASE("the cross-entropy of sigmoids and its gradient are those of the formula") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    const auto x = p.Logits(), targets = Targets(p);
    const Result r = RunMultiLabel(*device, p, x, targets);
    const auto loss = [&](const std::vector<double>& at) {
      double total = 0;
      for (size_t i = 0; i < at.size(); ++i) {
        total += (std::log1p(std::exp(at[i])) - at[i] * targets[i]) / p.classes;
      }
      return total;
    };
    CHECK(r.sum.loss == Approx(loss({x.begin(), x.end()})).epsilon(1e-6));
    CHECK(GradientError(x, r.gradient, [&](const std::vector<double>& at) { return kScale * loss(at); }) <
          1e-6);
  }
}

std::vector<float> Probabilities(Device& device, const Problem& p) {
  std::vector<float> y = p.Logits();
  Softmax(device, ConstTensor(y.data(), {p.rows, p.classes}), Tensor(y.data(), {p.rows, p.classes}));
  return y;
}

TEST_CASE("softmax is that of the formula") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    const auto x = p.Logits();
    std::vector<double> expected;
    for (int64_t n = 0; n < p.rows; ++n) {
      double sum = 0;
      for (int64_t i = 0; i < p.classes; ++i) sum += std::exp(static_cast<double>(x[n * p.classes + i]));
      for (int64_t i = 0; i < p.classes; ++i) {
        expected.push_back(std::exp(static_cast<double>(x[n * p.classes + i])) / sum);
      }
    }
    CHECK(WorstError(Probabilities(*device, p), expected) < 1e-6);
  }
}

// Examples of several lengths, one of a single row.
struct ChoiceProblem {
  std::vector<int32_t> offsets = {0, 5, 6, 47, 120};
  std::vector<int32_t> labels = {4, 0, 0, 0, 40, 3, 17, 17};  // [4,2]
  int64_t rows() const { return offsets.back(); }
  std::vector<float> Logits() const { return Problem{rows(), 2}.Logits(4); }
};

double ChoiceFormula(const ChoiceProblem& p, const std::vector<double>& x) {
  double loss = 0;
  for (size_t b = 0; b + 1 < p.offsets.size(); ++b) {
    for (size_t v = 0; v < 2; ++v) {
      double sum = 0;
      for (int32_t n = p.offsets[b]; n < p.offsets[b + 1]; ++n) sum += std::exp(x[n * 2 + v]);
      loss += (std::log(sum) - x[(p.offsets[b] + p.labels[b * 2 + v]) * 2 + v]) / 2;
    }
  }
  return loss;
}

Result RunChoice(Device& device, const ChoiceProblem& p, const std::vector<float>& logits) {
  Result r;
  r.gradient = logits;
  RowChoiceArgs args;
  args.logits = ConstTensor(r.gradient.data(), {p.rows(), 2});  // in place
  args.offsets = ConstTensor(p.offsets.data(), {static_cast<int64_t>(p.offsets.size())});
  args.labels = ConstTensor(p.labels.data(), {static_cast<int64_t>(p.labels.size())});
  args.scale = kScale;
  args.d_logits = Tensor(r.gradient.data(), {p.rows(), 2});
  r.sum = RowChoiceCrossEntropy(device, args);
  return r;
}

TEST_CASE("the cross-entropy of a choice among rows and its gradient are those of the formula") {
  const auto device = MakeDevice(2);
  const ChoiceProblem p;
  const std::vector<float> logits = p.Logits();
  const Result r = RunChoice(*device, p, logits);
  CHECK(r.sum.loss == Approx(ChoiceFormula(p, {logits.begin(), logits.end()})).epsilon(1e-6));
  CHECK(r.sum.rows == 4);
  CHECK(GradientError(logits, r.gradient,
                      [&](const std::vector<double>& at) { return kScale * ChoiceFormula(p, at); }) < 1e-6);
}

TEST_CASE("a choice is correct when both columns are, and the first of equal logits is chosen") {
  const auto device = MakeDevice();
  const ChoiceProblem p;
  std::vector<float> logits(p.rows() * 2);
  const auto raise = [&](int32_t row, int32_t column) { logits[row * 2 + column] = 3; };
  CHECK(RunChoice(*device, p, logits).sum.correct == 1);  // of the single row
  raise(4, 0);                                            // the other column's is the first row
  CHECK(RunChoice(*device, p, logits).sum.correct == 2);
  raise(6 + 40, 0);
  CHECK(RunChoice(*device, p, logits).sum.correct == 2);
  raise(6 + 3, 1);
  CHECK(RunChoice(*device, p, logits).sum.correct == 3);
  raise(6 + 2, 1);
  CHECK(RunChoice(*device, p, logits).sum.correct == 2);
}

TEST_CASE("losses have the same bits on any number of threads and instruction set") {
  for (const Problem& p : kProblems) {
    CheckSameBitsEverywhere([&](Device& device) {
      const Result a = RunCrossEntropy(device, p, p.Logits(), p.Labels());
      const Result b = RunMultiLabel(device, p, p.Logits(), Targets(p));
      const Result choice = RunChoice(device, {}, ChoiceProblem().Logits());
      return Joined({a.gradient,
                     a.row_loss,
                     b.gradient,
                     {static_cast<float>(a.sum.loss), static_cast<float>(b.sum.loss)},
                     choice.gradient,
                     {static_cast<float>(choice.sum.loss)},
                     Probabilities(device, p)});
    });
  }
}

}  // namespace
}  // namespace shoal::kernels
