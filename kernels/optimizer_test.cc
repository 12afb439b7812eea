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
  OptimizerConfig lamb = adam_w;
  lamb.kind = OptimizerKind::kLamb;
  return {{"SGD", sgd},   {"momentum", momentum}, {"nesterov", nesterov},
          {"Adam", adam}, {"AdamW", adam_w},      {"AdamW without decay", adam_w, false},
          {"LAMB", lamb}};
}

OptimizerStep StepOf(const Rule& rule, int t) {
  OptimizerStep step;
  step.step = t;
  step.learning_rate = 0.01 * t;
  step.gradient_scale = 0.25;
  step.decay = rule.decay;
  step.trust_ratio = rule.config.kind == OptimizerKind::kLamb ? 0.7 : 1;
  return step;
}

std::vector<float> GradientOf(int t) { return Numbers(kSize, 100 + t); }

struct State {
  std::vector<float> parameters = Numbers(kSize, 1), first, second;

  explicit State(const Rule& rule)
      : first(KeepsFirstMoment(rule.config) ? kSize : 0),
        second(KeepsSecondMoment(rule.config) ? kSize : 0) {}
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
    } else if (c.kind != OptimizerKind::kLamb) {
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
    const double direction = m_hat / (std::sqrt(v_hat) + c.epsilon);
    p -= c.kind == OptimizerKind::kLamb ? lr * 0.7 * (direction + decay * p) : lr * direction;
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

TEST_CASE("LAMB's norms are those of the parameters and of the step that it would take, and change nothing") {
  OptimizerConfig config;
  config.kind = OptimizerKind::kLamb;
  config.weight_decay = 0.1;
  const Rule rule = {"LAMB", config};
  State state(rule);
  for (int t = 1; t <= 2; ++t) Step(rule, t, 0, kSize, state);
  State before = state;
  const std::vector<float> gradient = GradientOf(3);
  std::vector<float> r(kSize);
  OptimizerStep step = StepOf(rule, 3);
  const LambNorms norms = LambSquaredNorms(config, step,
                                           {state.parameters, gradient, absl::MakeSpan(state.first),
                                            absl::MakeSpan(state.second), absl::MakeSpan(r)});
  CHECK(SameBits(Joined({state.parameters, state.first, state.second}),
                 Joined({before.parameters, before.first, before.second})));
  CHECK(norms.parameters == SquaredNorm(state.parameters));
  Step(rule, 3, 0, kSize, state);
  double moved = 0;
  for (int64_t i = 0; i < kSize; ++i)
    moved += std::pow(double{before.parameters[i]} - state.parameters[i], 2);
  CHECK(norms.update == Approx(moved / std::pow(step.learning_rate * 0.7, 2)).epsilon(1e-4));
}

// ---- Adafactor ----

OptimizerConfig Adafactor() {
  OptimizerConfig config;
  config.kind = OptimizerKind::kAdafactor;
  config.weight_decay = 0.1;
  return config;
}

// One step of `size` elements of a matrix, from `place` on.
OptimizerStep AdafactorStep(int t, RowPlace place) {
  OptimizerStep step = StepOf({"Adafactor", Adafactor()}, t);
  step.place = place;
  return step;
}

// The parameters after some steps.
std::vector<float> AfterAdafactor(RowPlace place, int64_t size) {
  const OptimizerConfig config = Adafactor();
  std::vector<float> parameters = Numbers(size, 1), out(size), moment(SecondMomentSize(config, place, size));
  for (int t = 1; t <= kSteps; ++t) {
    const std::vector<float> gradient = Numbers(size, 100 + t);
    UpdateParameters(config, AdafactorStep(t, place),
                     {parameters, gradient, {}, absl::MakeSpan(moment), absl::MakeSpan(out)});
    parameters = out;
  }
  return parameters;
}

// The published rule for a matrix, or for what of it lies at `place`, in f64.
std::vector<double> AdafactorFormula(RowPlace place, int64_t size) {
  const std::vector<float> start = Numbers(size, 1);
  std::vector<double> p(start.begin(), start.end()), v(size);
  const auto row = [&](int64_t i) { return (place.column + i) / place.columns; };
  const auto column = [&](int64_t i) { return (place.column + i) % place.columns; };
  const size_t rows = row(size - 1) + 1;
  const bool factored = place.columns > 1 && rows > 1 && rows + place.columns < static_cast<uint64_t>(size);
  std::vector<double> r(rows), c(place.columns);
  for (int t = 1; t <= kSteps; ++t) {
    const std::vector<float> gradient = Numbers(size, 100 + t);
    const double b = 1 - std::pow(t, -0.8), lr = 0.01 * t;
    std::vector<double> row_sum(rows), column_sum(place.columns), row_count(rows),
        column_count(place.columns);
    for (int64_t i = 0; i < size; ++i) {
      const double square = std::pow(gradient[i] * 0.25, 2) + 1e-30;
      row_sum[row(i)] += square;
      column_sum[column(i)] += square;
      ++row_count[row(i)];
      ++column_count[column(i)];
      v[i] = b * v[i] + (1 - b) * square;
    }
    double mean = 0;
    for (size_t i = 0; i < rows; ++i) {
      r[i] = b * r[i] + (1 - b) * row_sum[i] / row_count[i];
      mean += r[i] / static_cast<double>(rows);
    }
    for (size_t j = 0; j < place.columns; ++j) c[j] = b * c[j] + (1 - b) * column_sum[j] / column_count[j];
    std::vector<double> u(size);
    double square = 0;
    for (int64_t i = 0; i < size; ++i) {
      u[i] = gradient[i] * 0.25 / std::sqrt(factored ? r[row(i)] * c[column(i)] / mean : v[i]);
      square += u[i] * u[i] / static_cast<double>(size);
    }
    for (int64_t i = 0; i < size; ++i) p[i] -= lr * 0.1 * p[i] + lr * u[i] / std::max(1.0, std::sqrt(square));
  }
  return p;
}

TEST_CASE("Adafactor's parameters after some steps are those of the published rule") {
  for (const auto& [place, size] :
       {std::pair(RowPlace{37, 0}, int64_t{37 * 21}), std::pair(RowPlace{}, int64_t{100}),
        std::pair(RowPlace{64, 60}, int64_t{200}), std::pair(RowPlace{64, 10}, int64_t{54}),
        std::pair(RowPlace{50, 10}, int64_t{145}), std::pair(RowPlace{50, 30}, int64_t{90})}) {
    INFO(place.columns << " columns, from " << place.column << ", " << size);
    CHECK(WorstError(AfterAdafactor(place, size), AdafactorFormula(place, size)) < 1e-5);
  }
}

// Five steps by transformers 5.24's Adafactor(lr=0.01, scale_parameter=False, relative_step=False,
// warmup_init=False, weight_decay=0.1), in float64, of linspace(-1, 1, 12) as 3 rows with gradients sin(i +
// t).
TEST_CASE("Adafactor's parameters are those of transformers") {
  const std::vector<double> expected = {-0.9963901215995145,  -0.8020842103746154,  -0.6170230982129009,
                                        -0.44860859790364493, -0.28439609159099466, -0.10793314151490263,
                                        0.08392664556458436,  0.2825954741265542,   0.4701510281089718,
                                        0.6449900688773192,   0.8081244205371667,   0.9773845199104797};
  std::vector<float> parameters, gradient(12), out(12), moment(SecondMomentSize(Adafactor(), {4, 0}, 12));
  for (int i = 0; i < 12; ++i) parameters.push_back(static_cast<float>(-1 + 2.0 * i / 11));
  for (int t = 1; t <= 5; ++t) {
    for (int i = 0; i < 12; ++i) gradient[i] = static_cast<float>(std::sin(i + t));
    OptimizerStep step;
    step.step = t;
    step.learning_rate = 0.01;
    step.place = {4, 0};
    UpdateParameters(Adafactor(), step,
                     {parameters, gradient, {}, absl::MakeSpan(moment), absl::MakeSpan(out)});
    parameters = out;
  }
  CHECK(WorstError(parameters, expected) < 1e-6);
}

TEST_CASE("Adafactor keeps a matrix's second moment as that of its rows and columns") {
  const OptimizerConfig config = Adafactor();
  CHECK_FALSE(KeepsFirstMoment(config));
  CHECK(SecondMomentSize(config, {384, 0}, 384 * 100) == 384 + 100);
  CHECK(SecondMomentSize(config, {384, 383}, 2) == 2);    // two rows, but few elements
  CHECK(SecondMomentSize(config, {384, 0}, 384) == 384);  // a row
  CHECK(SecondMomentSize(config, {}, 384) == 384);        // a vector
}

TEST_CASE("Adafactor's step has the same bits on every instruction set, and in place of the gradient") {
  CheckSameBitsEverywhere([&](Device&) { return AfterAdafactor({37, 5}, 37 * 21); });
  const OptimizerConfig config = Adafactor();
  const std::vector<float> parameters = Numbers(kSize, 1), gradient = Numbers(kSize, 2);
  const auto step = [&](const std::vector<float>& from, std::vector<float>* out) {
    std::vector<float> moment(SecondMomentSize(config, {59, 0}, kSize));
    UpdateParameters(config, AdafactorStep(1, {59, 0}),
                     {parameters, from, {}, absl::MakeSpan(moment), absl::MakeSpan(*out)});
  };
  std::vector<float> apart(kSize), in_place = gradient;
  step(gradient, &apart);
  step(in_place, &in_place);
  CHECK(SameBits(apart, in_place));
}

TEST_CASE("an average moves by its share of the difference, with the same bits everywhere") {
  const std::vector<float> parameters = Numbers(kSize, 1), before = Numbers(kSize, 2);
  CheckSameBitsEverywhere([&](Device&) {
    std::vector<float> average = before;
    UpdateAverage(0.9, parameters, absl::MakeSpan(average));
    for (int64_t i = 0; i < kSize; i += 31)
      CHECK(average[i] == Approx(0.9 * before[i] + 0.1 * parameters[i]));
    return average;
  });
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
