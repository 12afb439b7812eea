#include "kernels/layer_norm.h"

#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "kernels/cpu/on_thread.h"
#include "kernels/test_numbers.h"
#include "kernels/token_blocks.h"

namespace shoal::kernels {
namespace {

constexpr float kEpsilon = 1e-5f;

// A norm with all optional inputs, or with none.
struct Problem {
  int64_t rows, channels;
  bool full;

  Dropout MakeDropout() const {
    Dropout dropout;
    dropout.rate = full ? 0.25f : 0.0f;
    dropout.key = 0x1122334455667788u;
    dropout.first_token = 3;
    return dropout;
  }
  double KeepFactor(int64_t n, int64_t c) const {
    if (!full) return 1;
    const int64_t block = c / 16 % 8;
    const Dropout dropout = MakeDropout();
    const uint32_t word =
        Philox4x32(dropout.key, {static_cast<uint32_t>(c / 128 * 16 + c % 16),
                                 dropout.first_token + static_cast<uint32_t>(n), 0, 0})[block / 2];
    return (word >> (block % 2 * 16) & 0xffff) < 0.25 * 65536 ? 0 : 1 / 0.75;
  }
};

const Problem kProblems[] = {
    {kTokenBlock + 6, 131, true}, {kTokenBlock + 6, 131, false}, {3, 384, true}, {1, 16, false}};

struct Inputs {
  explicit Inputs(const Problem& p)
      : x(Numbers(p.rows * p.channels, 1)),
        residual(Numbers(p.full ? p.rows * p.channels : 0, 2)),
        bias(Numbers(p.full ? p.channels : 0, 3)),
        gamma(Numbers(p.channels, 4)),
        beta(Numbers(p.channels, 5)),
        d_y(Numbers(p.rows * p.channels, 6)),
        d_y_more(Numbers(p.full ? p.rows * p.channels : 0, 7)),
        d_sum_more(Numbers(p.full ? p.rows * p.channels : 0, 8)) {}

  std::vector<float> x, residual, bias, gamma, beta, d_y, d_y_more, d_sum_more;
  std::vector<float> Parameters() const { return Joined({x, residual, bias, gamma, beta}); }
};

struct Result {
  std::vector<float> y, sum, d_x, d_residual, d_bias, d_gamma, d_beta;
};

ConstTensor View(const std::vector<float>& x, const Problem& p) {
  return x.empty() ? ConstTensor() : ConstTensor(x.data(), {p.rows, p.channels});
}
ConstTensor VectorView(const std::vector<float>& x) {
  return x.empty() ? ConstTensor() : ConstTensor(x.data(), {static_cast<int64_t>(x.size())});
}
Tensor VectorView(std::vector<float>& x) {
  return x.empty() ? Tensor() : Tensor(x.data(), {static_cast<int64_t>(x.size())});
}

Result Run(Device& device, const Problem& p, const Inputs& in) {
  const size_t size = in.x.size();
  Result r;
  r.y.resize(size), r.sum.resize(p.full ? size : 0);
  std::vector<float> mean(p.rows), rstd(p.rows);
  NormForwardArgs forward;
  forward.x = View(in.x, p), forward.residual = View(in.residual, p);
  forward.bias = VectorView(in.bias);
  forward.dropout = p.MakeDropout();
  if (p.full) forward.sum = Tensor(r.sum.data(), {p.rows, p.channels});
  forward.gamma = VectorView(in.gamma), forward.beta = VectorView(in.beta);
  forward.epsilon = kEpsilon;
  forward.y = Tensor(r.y.data(), {p.rows, p.channels});
  forward.mean = VectorView(mean), forward.rstd = VectorView(rstd);
  NormForward(device, forward);

  r.d_residual.resize(size), r.d_x.resize(p.full ? size : 0);
  r.d_gamma.resize(p.channels), r.d_beta.resize(p.channels), r.d_bias.resize(p.full ? p.channels : 0);
  NormBackwardArgs backward;
  backward.sum = p.full ? ConstTensor(forward.sum) : forward.x;
  backward.mean = forward.mean, backward.rstd = forward.rstd, backward.gamma = forward.gamma;
  backward.d_y = View(in.d_y, p), backward.d_y_more = View(in.d_y_more, p);
  backward.d_sum_more = View(in.d_sum_more, p);
  backward.dropout = forward.dropout;
  backward.d_sum = Tensor(r.d_residual.data(), {p.rows, p.channels});
  if (p.full) backward.d_x = Tensor(r.d_x.data(), {p.rows, p.channels});
  backward.d_gamma = VectorView(r.d_gamma), backward.d_beta = VectorView(r.d_beta);
  backward.d_bias = VectorView(r.d_bias);
  NormBackward(device, backward);
  return r;
}

// The formula in f64 of the flat inputs; y and, where wanted, the sum before the norm.
std::vector<double> Formula(const Problem& p, const std::vector<double>& flat, std::vector<double>* sums) {
  const int64_t size = p.rows * p.channels, c = p.channels;
  const double* x = flat.data();
  const double* residual = x + size;
  const double* bias = residual + size;
  const double* gamma = p.full ? bias + c : x + size;
  const double* beta = gamma + c;
  std::vector<double> y(size);
  for (int64_t n = 0; n < p.rows; ++n) {
    std::vector<double> sum(c);
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < c; ++i) {
      sum[i] = x[n * c + i];
      if (p.full) sum[i] = residual[n * c + i] + (sum[i] + bias[i]) * p.KeepFactor(n, i);
      mean += sum[i] / c;
    }
    for (double s : sum) variance += (s - mean) * (s - mean) / c;
    for (int64_t i = 0; i < c; ++i) {
      y[n * c + i] = (sum[i] - mean) / std::sqrt(variance + kEpsilon) * gamma[i] + beta[i];
    }
    if (sums != nullptr) sums->insert(sums->end(), sum.begin(), sum.end());
  }
  return y;
}

TEST_CASE("a norm, with its residual, bias and dropout, is that of the formula") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    INFO(p.rows << " x " << p.channels << (p.full ? " with all options" : ""));
    const Inputs in(p);
    const auto flat = in.Parameters();
    std::vector<double> sums;
    const auto y = Formula(p, {flat.begin(), flat.end()}, &sums);
    const Result result = Run(*device, p, in);
    CHECK(WorstError(result.y, y) < 3e-6);
    if (p.full) CHECK(WorstError(result.sum, sums) < 1e-6);
  }
}

TEST_CASE("a norm's gradients are the central differences of the formula") {
  const auto device = MakeDevice(2);
  for (const Problem& p : kProblems) {
    INFO(p.rows << " x " << p.channels << (p.full ? " with all options" : ""));
    const Inputs in(p);
    const Result r = Run(*device, p, in);
    const auto gradient = p.full ? Joined({r.d_x, r.d_residual, r.d_bias, r.d_gamma, r.d_beta})
                                 : Joined({r.d_residual, r.d_gamma, r.d_beta});
    const auto loss = [&](const std::vector<double>& flat) {
      std::vector<double> sums;
      const auto y = Formula(p, flat, &sums);
      double total = 0;
      for (size_t i = 0; i < y.size(); ++i) {
        total += y[i] * (in.d_y[i] + (p.full ? static_cast<double>(in.d_y_more[i]) : 0.0));
        if (p.full) total += sums[i] * in.d_sum_more[i];
      }
      return total;
    };
    CHECK(GradientError(in.Parameters(), gradient, loss) < 3e-6);
  }
}

TEST_CASE("gradients of a norm's parameters are added to what was there") {
  const auto device = MakeDevice();
  const Problem p{kTokenBlock + 6, 131, false};
  const Inputs in(p);
  std::vector<float> mean(p.rows), rstd(p.rows), y(in.x.size()), d_sum(in.x.size());
  std::vector<float> d_gamma(p.channels, 100.0f), d_beta(p.channels, 100.0f);
  const Result expected = Run(*device, p, in);
  NormForwardArgs forward;
  forward.x = View(in.x, p), forward.gamma = VectorView(in.gamma), forward.beta = VectorView(in.beta);
  forward.epsilon = kEpsilon, forward.y = Tensor(y.data(), {p.rows, p.channels});
  forward.mean = VectorView(mean), forward.rstd = VectorView(rstd);
  NormForwardOnThread(forward);
  NormBackwardArgs backward;
  backward.sum = forward.x, backward.mean = forward.mean, backward.rstd = forward.rstd;
  backward.gamma = forward.gamma, backward.d_y = View(in.d_y, p);
  backward.d_sum = Tensor(d_sum.data(), {p.rows, p.channels});
  backward.d_gamma = VectorView(d_gamma), backward.d_beta = VectorView(d_beta);
  NormBackward(*device, backward);
  for (int64_t c = 0; c < p.channels; ++c) {
    CHECK(d_gamma[c] == 100.0f + expected.d_gamma[c]);
    CHECK(d_beta[c] == 100.0f + expected.d_beta[c]);
  }
}

TEST_CASE("a norm has the same bits on any number of threads and instruction set") {
  for (const Problem& p : kProblems) {
    const Inputs in(p);
    CheckSameBitsEverywhere([&](Device& device) {
      const Result r = Run(device, p, in);
      return Joined({r.y, r.sum, r.d_x, r.d_residual, r.d_bias, r.d_gamma, r.d_beta});
    });
  }
}

TEST_CASE("a norm of bf16 is that of f32 numbers, rounded") {
  const auto device = MakeDevice();
  const int64_t rows = 5, channels = 77;
  const auto gamma = Numbers(channels, 1), beta = Numbers(channels, 2);
  const auto x = ToBf16s(Numbers(rows * channels, 3));
  const auto x_as_float = ToFloats(x);
  std::vector<Bf16> y(x.size());
  std::vector<float> expected(x.size());
  NormForwardArgs args;
  args.gamma = VectorView(gamma), args.beta = VectorView(beta);
  args.x = ConstTensor(x.data(), {rows, channels}), args.y = Tensor(y.data(), {rows, channels});
  NormForward(*device, args);
  args.x = ConstTensor(x_as_float.data(), {rows, channels});
  args.y = Tensor(expected.data(), {rows, channels});
  NormForward(*device, args);
  CHECK(SameBits(ToFloats(y), ToFloats(ToBf16s(expected))));
}

TEST_CASE("a norm of a constant row is beta") {
  const auto device = MakeDevice();
  const int64_t channels = 100;
  const std::vector<float> x(channels, 1e6f), gamma(channels, 3.0f), beta = Numbers(channels, 2);
  std::vector<float> y(channels);
  NormForwardArgs args;
  args.gamma = VectorView(gamma), args.beta = VectorView(beta);
  args.x = ConstTensor(x.data(), {1, channels}), args.y = Tensor(y.data(), {1, channels});
  NormForward(*device, args);
  CHECK(SameBits(y, beta));
}

}  // namespace
}  // namespace shoal::kernels
