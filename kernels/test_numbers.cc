#include "kernels/test_numbers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "catch2/catch.hpp"
#include "kernels/cpu/cpu_device.h"

namespace shoal::kernels {
namespace {

uint32_t NextWord(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return state;
}

}  // namespace

std::vector<float> Numbers(int64_t size, uint32_t seed) {
  std::vector<float> numbers(size);
  for (float& x : numbers) x = static_cast<float>(static_cast<int32_t>(NextWord(seed))) * 0x1p-31f;
  return numbers;
}

std::vector<int32_t> Integers(int64_t size, int32_t limit, uint32_t seed) {
  std::vector<int32_t> integers(size);
  for (int32_t& x : integers) x = static_cast<int32_t>(uint64_t{NextWord(seed)} * limit >> 32);
  return integers;
}

std::vector<Bf16> ToBf16s(const std::vector<float>& x) {
  std::vector<Bf16> y(x.size());
  std::transform(x.begin(), x.end(), y.begin(), [](float v) { return ToBf16(v); });
  return y;
}

std::vector<float> ToFloats(const std::vector<Bf16>& x) {
  std::vector<float> y(x.size());
  std::transform(x.begin(), x.end(), y.begin(), [](Bf16 v) { return ToFloat(v); });
  return y;
}

std::unique_ptr<Device> MakeDevice(int threads, const std::string& isa) {
  CpuDeviceOptions options;
  options.threads = threads;
  options.isa = isa;
  auto device = CpuDevice::Create(options);
  if (!device.ok()) WARN("skipped: " << device.status().message());
  return device.ok() ? *std::move(device) : nullptr;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size() || a.empty()) return a.size() == b.size();  // memcmp must not get null
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

double WorstError(const std::vector<float>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i]));
    if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, error);
  }
  return worst;
}

void CheckSameBitsEverywhere(const std::function<std::vector<float>(Device&)>& run) {
  const std::vector<float> expected = run(*MakeDevice(1, "avx2"));
  for (const char* isa : {"avx2", "avx512"}) {
    for (int threads : {1, 3}) {
      const auto device = MakeDevice(threads, isa);
      if (device == nullptr) continue;
      INFO(device->Describe());
      CHECK(SameBits(run(*device), expected));
    }
  }
  MakeDevice();  // the best instruction set again
}

double GradientError(const std::vector<float>& at, const std::vector<float>& gradient,
                     const std::function<double(const std::vector<double>&)>& loss) {
  if (at.size() != gradient.size()) return std::numeric_limits<double>::infinity();
  double norm = 0, worst = 0;
  for (float g : gradient) norm += static_cast<double>(g) * g;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    const std::vector<float> direction = Numbers(static_cast<int64_t>(at.size()), 900 + seed);
    constexpr double kStep = 1e-4;
    std::vector<double> more(at.begin(), at.end()), less = more;
    double slope = 0;
    for (size_t i = 0; i < at.size(); ++i) {
      more[i] += kStep * direction[i];
      less[i] -= kStep * direction[i];
      slope += static_cast<double>(gradient[i]) * direction[i];
    }
    const double expected = (loss(more) - loss(less)) / (2 * kStep);
    const double error = std::abs(expected - slope) / (1 + std::sqrt(norm));
    worst = std::isfinite(error) ? std::max(worst, error) : std::numeric_limits<double>::infinity();
  }
  return worst;
}

std::vector<float> Joined(const std::vector<std::vector<float>>& parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace shoal::kernels
