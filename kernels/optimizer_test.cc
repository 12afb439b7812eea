#include "kernels/optimizer.h"

#include <cmath>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kSize = 1003;
constexpr int kSteps = 5;

struct Rule {
  std::string name;
  OptimizerConfig config;
  bool decay = true;
};

std::vector<Rule> Rules() {
  OptimizerConfig sgd;
  sgd.kind = OptimizerKind::kSgd;
  sgd.weight_decay = 0.1;
  OptimizerConfig momentum = sgd;
  momentum.momentum = 0.9;
  OptimizerConfig nesterov = momentum;
  nesterov.nesterov = true;
  OptimizerConfig adam_w;
  adam_w.weight_decay = 0.1;
  OptimizerConfig adam = adam_w;
  adam.kind = OptimizerKind::kAdam;
  return {{"SGD", sgd},   {"momentum", momentum}, {"nesterov", nesterov},
          {"Adam", adam}, {"AdamW", adam_w},      {"AdamW without decay", adam_w, false}};
}

OptimizerStep StepOf(const Rule& rule, int t) {
  OptimizerStep step;
  step.step = t;
  step.learning_rate = 0.01 * t;
  step.gradient_scale = 0.25;
  step.decay = rule.decay;
  return step;
}

std::vector<float> GradientOf(int t) { return Numbers(kSize, 100 + t); }

struct State {
  std::vector<float> parameters = Numbers(kSize, 1), first, second;

  explicit State(const Rule& rule)
      : first(MomentCount(rule.config) >= 1 ? kSize : 0), second(MomentCount(rule.config) >= 2 ? kSize : 0) {}
};

// One step of elements [begin, end), in place.
void Step(const Rule& rule, int t, int64_t begin, int64_t end, State& state) {
  const std::vector<float> gradient = GradientOf(t);
  const auto part = [&](std::vector<float>& x) {
    return x.empty() ? absl::Span<float>() : absl::MakeSpan(x).subspan(begin, end - begin);
  };
  OptimizerArrays arrays;
  arrays.parameters = arrays.out = part(state.parameters);
  arrays.gradient = absl::MakeConstSpan(gradient).subspan(begin, end - begin);
  arrays.first_moment = part(state.first);
  arrays.second_moment = part(state.second);
  UpdateParameters(rule.config, StepOf(rule, t), arrays);
}

// The published rules for one parameter, in f64.
double Formula(const Rule& rule, int64_t i) {
  const OptimizerConfig& c = rule.config;
  double p = Numbers(kSize, 1)[i], m = 0, v = 0;
  for (int t = 1; t <= kSteps; ++t) {
    const double lr = 0.01 * t, decay = rule.decay ? c.weight_decay : 0;
    double g = GradientOf(t)[i] * 0.25;
    if (c.kind == OptimizerKind::kAdamW) {
      p -= lr * decay * p;
    } else {
      g += decay * p;
    }
    if (c.kind == OptimizerKind::kSgd) {
      m = c.momentum * m + g;
      p -= lr * (c.nesterov ? g + c.momentum * m : m);
      continue;
    }
    m = c.beta1 * m + (1 - c.beta1) * g;
    v = c.beta2 * v + (1 - c.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(c.beta1, t)), v_hat = v / (1 - std::pow(c.beta2, t));
    p -= lr * m_hat / (std::sqrt(v_hat) + c.epsilon);
  }
  return p;
}

TEST_CASE("each rule's parameters after some steps are those of the published rule") {
  for (const Rule& rule : Rules()) {
    INFO(rule.name);
    State state(rule);
    for (int t = 1; t <= kSteps; ++t) Step(rule, t, 0, kSize, state);
    std::vector<double> expected;
    std::vector<float> actual;
    for (int64_t i = 0; i < kSize; i += 17) {
      expected.push_back(Formula(rule, i));
      actual.push_back(state.parameters[i]);
    }
    CHECK(WorstError(actual, expected) < 1e-6);
  }
}

TEST_CASE("an update has the same bits however it is cut and on every instruction set") {
  for (const Rule& rule : Rules()) {
    INFO(rule.name);
    State whole(rule), cut(rule);
    for (int t = 1; t <= kSteps; ++t) {
      Step(rule, t, 0, kSize, whole);
      for (const auto& range : {std::pair(500, 1003), std::pair(0, 1), std::pair(1, 500)}) {
        Step(rule, t, range.first, range.second, cut);
      }
    }
    CHECK(SameBits(Joined({whole.parameters, whole.first, whole.second}),
                   Joined({cut.parameters, cut.first, cut.second})));
    CheckSameBitsEverywhere([&](Device&) {
      State state(rule);
      for (int t = 1; t <= kSteps; ++t) Step(rule, t, 0, kSize, state);
      return Joined({state.parameters, state.first, state.second});
    });
  }
}

TEST_CASE("the squared norm is in f64 and says when an element is not finite") {
  std::vector<float> x = Numbers(kSize, 1);
  double expected = 0;
  for (float v : x) expected += static_cast<double>(v) * v;
  CHECK(SquaredNorm(x) == Approx(expected).epsilon(1e-13));
  CHECK(SquaredNorm({}) == 0);
  CHECK(std::isfinite(SquaredNorm({1e30f, 1e38f})));
  x[1001] = INFINITY;
  CHECK_FALSE(std::isfinite(SquaredNorm(x)));
  x[1001] = NAN;
  CHECK_FALSE(std::isfinite(SquaredNorm(x)));
}

TEST_CASE("the squared norm has the bits of 16 sums on every instruction set") {
  const std::vector<float> x = Numbers(kSize, 1);
  double s[16] = {};
  for (int64_t i = 0; i < kSize; ++i) s[i % 16] = std::fma(x[i], static_cast<double>(x[i]), s[i % 16]);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) s[i] += s[i + half];
  }
  CheckSameBitsEverywhere([&](Device&) -> std::vector<float> {
    CHECK(SquaredNorm(x) == s[0]);
    return {};
  });
}

}  // namespace
}  // namespace shoal::kernels
