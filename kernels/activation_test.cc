#include "kernels/activation.h"

#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/cpu/on_thread.h"
#include "kernels/test_numbers.h"
#include "kernels/token_blocks.h"

namespace shoal::kernels {
namespace {

constexpr Activation kAll[] = {Activation::kIdentity, Activation::kGelu, Activation::kGeluTanh,
                               Activation::kRelu,     Activation::kTanh, Activation::kSilu,
                               Activation::kSigmoid};

double Formula(Activation activation, double x) {
  switch (activation) {
    case Activation::kIdentity:
      return x;
    case Activation::kGelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return x > 0 ? x : 0;
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return 0;
}

constexpr int64_t kRows = 3 * kTokenBlock + 5;
constexpr int64_t kColumns = 37;

struct Result {
  std::vector<float> y, d_x, d_bias, y_again;
};

struct Inputs {
  std::vector<float> x = Numbers(kRows * kColumns, 1), bias = Numbers(kColumns, 2);
  std::vector<float> d_y = Numbers(kRows * kColumns, 3), d_bias_before = Numbers(kColumns, 4);

  Inputs() {
    for (float& v : x) v *= 6;
  }
};

Result Run(Device& device, Activation activation, const Inputs& in) {
  Result r{in.x, in.d_y, in.d_bias_before, std::vector<float>(in.x.size())};  // in place
  ActivationForwardArgs forward;
  forward.activation = activation;
  forward.x = ConstTensor(r.y.data(), {kRows, kColumns});
  forward.bias = ConstTensor(in.bias.data(), {kColumns});
  forward.y = Tensor(r.y.data(), {kRows, kColumns});
  ActivationForward(device, forward);
  ActivationBackwardArgs backward;
  backward.activation = activation;
  backward.x = ConstTensor(in.x.data(), {kRows, kColumns});
  backward.bias = forward.bias;
  backward.d_y = ConstTensor(r.d_x.data(), {kRows, kColumns});
  backward.d_x = Tensor(r.d_x.data(), {kRows, kColumns});
  backward.y = Tensor(r.y_again.data(), {kRows, kColumns});
  backward.d_bias = Tensor(r.d_bias.data(), {kColumns});
  ActivationBackward(device, backward);
  return r;
}

TEST_CASE("activations and their gradients are those of the formula") {
  const auto device = MakeDevice(2);
  const Inputs in;
  for (Activation activation : kAll) {
    INFO("activation " << static_cast<int>(activation));
    const Result result = Run(*device, activation, in);
    std::vector<double> y, d_x, d_bias(in.d_bias_before.begin(), in.d_bias_before.end());
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      const double x = static_cast<double>(in.x[i]) + in.bias[i % kColumns], h = 1e-5;
      y.push_back(Formula(activation, x));
      d_x.push_back(in.d_y[i] * (Formula(activation, x + h) - Formula(activation, x - h)) / (2 * h));
      d_bias[i % kColumns] += d_x.back();
    }
    CHECK(WorstError(result.y, y) < 1e-6);
    CHECK(SameBits(result.y_again, result.y));
    CHECK(WorstError(result.d_x, d_x) < 1e-6);
    CHECK(WorstError(result.d_bias, d_bias) < 2e-6);
  }
}

TEST_CASE("activations have the same bits on any number of threads and instruction set") {
  const Inputs in;
  CheckSameBitsEverywhere([&](Device& device) {
    std::vector<float> all;
    for (Activation activation : kAll) {
      const Result r = Run(device, activation, in);
      const auto part = Joined({r.y, r.d_x, r.d_bias});
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  });
}

TEST_CASE("an epilogue's activation of columns has the bits of the whole matrix") {
  const auto device = MakeDevice();
  const Inputs in;
  const Result whole = Run(*device, Activation::kGelu, in);
  std::vector<float> y(kRows * kColumns);
  for (int64_t begin : {0, 20}) {
    const int64_t end = begin == 0 ? 20 : kColumns;
    ActivationForwardArgs args;
    args.activation = Activation::kGelu;
    args.x = ConstTensor(in.x.data(), {kRows, kColumns}).Columns(begin, end);
    args.bias = ConstTensor(in.bias.data() + begin, {end - begin});
    args.y = Tensor(y.data(), {kRows, kColumns}).Columns(begin, end);
    ActivationForwardOnThread(args);
  }
  CHECK(SameBits(y, whole.y));
}

TEST_CASE("activations of bf16 are computed in f32 and rounded once") {
  const auto device = MakeDevice();
  const Inputs in;
  const std::vector<Bf16> x = ToBf16s(in.x), d_y = ToBf16s(in.d_y);
  const std::vector<float> x_as_float = ToFloats(x), d_y_as_float = ToFloats(d_y);
  std::vector<Bf16> y(x.size()), d_x(x.size()), y_again(x.size());
  std::vector<float> expected_y(x.size()), expected_d_x(x.size());
  const auto run = [&](ConstTensor x, ConstTensor d_y, Tensor y, Tensor d_x, Tensor y_again) {
    ActivationForward(*device, {Activation::kSilu, x, ConstTensor(), y});
    ActivationBackward(*device, {Activation::kSilu, x, ConstTensor(), d_y, d_x, y_again, Tensor()});
  };
  const auto view = [](auto* data) { return Tensor(data, {kRows, kColumns}); };
  const auto const_view = [](const auto* data) { return ConstTensor(data, {kRows, kColumns}); };
  run(const_view(x.data()), const_view(d_y.data()), view(y.data()), view(d_x.data()), view(y_again.data()));
  run(const_view(x_as_float.data()), const_view(d_y_as_float.data()), view(expected_y.data()),
      view(expected_d_x.data()), Tensor());
  CHECK(SameBits(ToFloats(y), ToFloats(ToBf16s(expected_y))));
  CHECK(SameBits(ToFloats(y_again), ToFloats(y)));
  CHECK(SameBits(ToFloats(d_x), ToFloats(ToBf16s(expected_d_x))));
}

}  // namespace
}  // namespace shoal::kernels
