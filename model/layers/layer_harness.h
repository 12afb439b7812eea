// What the layer tests share: a single layer with random parameters, on packed examples.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "catch2/catch.hpp"
#include "kernels/device.h"
#include "kernels/test_numbers.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/layers/plain_layers.h"
#include "model/parameter_builder.h"

namespace shoal::model {

// Declare parameters with `builder`, make the layer with `plan`, then Start().
class LayerHarness {
 public:
  // `offsets`: of the examples' first rows, and at last the number of rows.
  explicit LayerHarness(std::vector<int32_t> offsets = {0, 4, 14, 15})
      : device_(kernels::MakeDevice()), offsets_(std::move(offsets)), builder(1, &parameters_) {
    builder.EndGroup();  // group 0, which layers add to, is empty
    plan.buffers = &buffers_;
    plan.limits = {rows(), static_cast<int64_t>(offsets_.size()) - 1};
    plan.head = 2;
    plan.step = 1;
  }

  // Gives memory to the buffers and values to the parameters. The gradient starts as NaN: all of it must be
  // written.
  Pass Start() {
    builder.EndGroup();
    buffers_.Allocate(*device_);
    theta_ = kernels::Numbers(static_cast<int64_t>(parameters_.size), 1);
    gradient_.assign(parameters_.size, std::nanf(""));
    Pass pass;
    pass.device = device_.get();
    pass.theta = theta_.data();
    pass.batch = batch_;
    pass.batch.tokens = tokens_;
    pass.batch.types = types_;
    pass.batch.offsets = offsets_;
    pass.training = true;
    pass.gradient = gradient_.data();
    return pass;
  }
  // Zeroes the whole gradient, for layers that add to it.
  void ClearGradient() { gradient_.assign(gradient_.size(), 0); }

  // A float64 loss of θ and x, the layer's parameters and input.
  using PlainLoss = std::function<double(const Doubles& theta, const Doubles& x)>;

  // Checks that the pass's gradient and `d_x` are those of `loss` at θ and `x`.
  void CheckGradients(const std::vector<float>& x, const std::vector<float>& d_x,
                      const PlainLoss& loss) const {
    const size_t size = theta_.size();
    const auto of_both = [&](const Doubles& both) {
      return loss(Doubles(both.begin(), both.begin() + size), Doubles(both.begin() + size, both.end()));
    };
    CHECK(kernels::GradientError(kernels::Joined({theta_, x}), kernels::Joined({gradient_, d_x}), of_both) <
          2e-4);
  }

  // f(rows of an example) for each example, concatenated.
  Doubles ForExamples(const Doubles& x, const std::function<Doubles(const Doubles&)>& f) const {
    const int64_t channels = static_cast<int64_t>(x.size()) / rows();
    Doubles y;
    for (size_t e = 0; e + 1 < offsets_.size(); ++e) {
      const Doubles rows =
          f(Doubles(x.begin() + offsets_[e] * channels, x.begin() + offsets_[e + 1] * channels));
      y.insert(y.end(), rows.begin(), rows.end());
    }
    return y;
  }

  // Random tensors for the tests; seed 1 is used for θ.
  std::vector<float> Random(int64_t channels, uint32_t seed) const {
    return kernels::Numbers(rows() * channels, seed);
  }
  static double Dot(const Doubles& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  static Doubles Wide(const std::vector<float>& x) { return {x.begin(), x.end()}; }
  kernels::Tensor View(std::vector<float>& x) const {
    return {x.data(), {rows(), static_cast<int64_t>(x.size()) / rows()}};
  }

  int64_t rows() const { return offsets_.back(); }
  absl::Span<const int32_t> tokens() const { return tokens_; }
  absl::Span<const int32_t> types() const { return types_; }
  absl::Span<const int32_t> offsets() const { return offsets_; }
  const std::vector<float>& theta() const { return theta_; }
  Batch& batch() { return batch_; }

 private:
  const std::unique_ptr<kernels::Device> device_;
  BufferSet buffers_;
  Parameters parameters_;
  Batch batch_;
  const std::vector<int32_t> offsets_;
  const std::vector<int32_t> tokens_ = kernels::Integers(rows(), 7, 2),
                             types_ = kernels::Integers(rows(), 2, 3);
  std::vector<float> theta_, gradient_;

 public:
  ParameterBuilder builder;
  LayerPlan plan;
};

}  // namespace shoal::model
