// Runs small models on a batch, for tests: their gradients, and those compared with a plain forward pass in
// float64.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "kernels/cpu/cpu_device.h"
#include "model/model.h"
#include "model/model_oracle.h"
#include "model/parameters.h"

namespace shoal::model {

inline std::unique_ptr<kernels::Device> NewDevice(int threads, const std::string& isa = "") {
  kernels::CpuDeviceOptions options;
  options.threads = threads;
  options.isa = isa;
  auto device = kernels::CpuDevice::Create(options);
  REQUIRE(device.ok());
  return *std::move(device);
}

struct Gradient {
  std::vector<float> values;
  kernels::LossSum loss;
};

inline std::unique_ptr<Model> NewModel(kernels::Device* device, const ModelConfig& config,
                                       const Examples& examples,
                                       kernels::DType activations = kernels::DType::kF32) {
  return MakeModel(device, config,
                   {static_cast<int64_t>(examples.tokens.size()), examples.view().example_count()},
                   activations);
}

inline MicroBatch Step(const std::vector<float>& theta, const Batch& batch, std::vector<float>* gradient) {
  MicroBatch step;
  step.theta = theta.data();
  step.batch = batch;
  step.dropout.key = DeriveKey(1, "dropout");
  step.gradient = gradient->data();
  return step;
}

inline constexpr auto kGo = [](int) { return true; };
inline constexpr auto kIgnore = [](int) {};

inline Gradient GradientOn(kernels::Device* device, const ModelConfig& config,
                           const std::vector<float>& theta, const Examples& examples,
                           kernels::DType activations) {
  const auto model = NewModel(device, config, examples, activations);
  Gradient gradient;
  gradient.values.assign(theta.size(), std::nanf(""));  // every element is written
  REQUIRE(model->Forward(Step(theta, examples.view(), &gradient.values), kGo, &gradient.loss));
  model->Backward(kIgnore);
  return gradient;
}

inline Gradient GradientOf(const ModelConfig& config, const std::vector<float>& theta,
                           const Examples& examples, int threads = 1,
                           kernels::DType activations = kernels::DType::kF32) {
  return GradientOn(NewDevice(threads).get(), config, theta, examples, activations);
}

inline void CheckAgainstOracle(const ModelConfig& config) {
  const Examples examples(config);
  const std::vector<float> theta = RandomTheta(config);
  Doubles wide(theta.begin(), theta.end());
  const Oracle oracle(config, wide);
  const Gradient gradient = GradientOf(config, theta, examples);
  CHECK(gradient.loss.loss == Approx(oracle.Loss(examples)).epsilon(1e-5));

  PhiloxStream random(DeriveKey(7, "which"));
  for (const ParameterInfo& info : MakeParameters(config).infos) {
    uint64_t size = 1;
    for (uint64_t dimension : info.shape()) size *= dimension;
    double norm = 0;
    for (uint64_t i = 0; i < size; ++i)
      norm += gradient.values[info.offset() + i] * static_cast<double>(gradient.values[info.offset() + i]);
    norm = std::sqrt(norm);
    for (int sample = 0; sample < 8; ++sample) {
      const uint64_t i = info.offset() + random.UniformInt(size);
      constexpr double kStep = 1e-5;
      const double value = wide[i];
      wide[i] = value + kStep;
      const double above = oracle.Loss(examples);
      wide[i] = value - kStep;
      const double below = oracle.Loss(examples);
      wide[i] = value;
      INFO(info.name() << "[" << i - info.offset() << "]");
      CHECK(std::fabs(gradient.values[i] - (above - below) / (2 * kStep)) <= 1e-4 * norm + 1e-7);
    }
  }
}

}  // namespace shoal::model
