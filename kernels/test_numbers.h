// What the kernel tests share: numbers, devices, and the comparison of bits across all the ways in which a
// kernel can run here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// Numbers in [-1, 1), a pure function of the seed.
std::vector<float> Numbers(int64_t size, uint32_t seed);
// Integers in [0, limit).
std::vector<int32_t> Integers(int64_t size, int32_t limit, uint32_t seed);

std::vector<Bf16> ToBf16s(const std::vector<float>& x);
std::vector<float> ToFloats(const std::vector<Bf16>& x);

// A device with these options; null, with a warning, when this processor lacks the instruction set.
std::unique_ptr<Device> MakeDevice(int threads = 1, const std::string& isa = "");

bool SameBits(const std::vector<float>& a, const std::vector<float>& b);

// The largest |actual - expected| / (1 + |expected|); infinite when a number is not finite or sizes differ.
double WorstError(const std::vector<float>& actual, const std::vector<double>& expected);

// Checks that `run` gives the same bits on 1 and 3 threads, on AVX2 and on AVX-512.
void CheckSameBitsEverywhere(const std::function<std::vector<float>(Device&)>& run);

// Compares a gradient with central differences of `loss`, an f64 formula of the flat inputs `at`, along a few
// directions in which every element takes part. Returns the largest difference relative to 1 + |gradient|.
double GradientError(const std::vector<float>& at, const std::vector<float>& gradient,
                     const std::function<double(const std::vector<double>&)>& loss);

// All parts, concatenated.
std::vector<float> Joined(const std::vector<std::vector<float>>& parts);

}  // namespace shoal::kernels
