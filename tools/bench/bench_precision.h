// The --precision of benchmarks, and the device for it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/tensor.h"

namespace shoal::bench {

// The type of activations. Errors: INVALID_ARGUMENT that lists the names.
inline absl::StatusOr<kernels::DType> ParsePrecision(const std::string& name) {
  if (name == "f32") return kernels::DType::kF32;
  if (name == "bf16") return kernels::DType::kBf16;
  return absl::InvalidArgumentError(absl::StrCat("--precision ", name, ": expected f32 or bf16"));
}

// As set in the environment (CpuDeviceOptions), with bf16 in the fastest class that the processor supports.
inline absl::StatusOr<std::unique_ptr<kernels::CpuDevice>> MakeBenchDevice(int threads) {
  const auto options = kernels::CpuDeviceOptions::FromEnvironment(threads);
  if (!options.ok()) return options.status();
  auto device = kernels::CpuDevice::Create(*options);
  if (!device.ok()) return device.status();
  const auto status = (*device)->UseBf16Class(
      (*device)->Computes(kernels::Bf16Class::kAmx) ? kernels::Bf16Class::kAmx : kernels::Bf16Class::kAvx512);
  if (!status.ok()) return status;
  return device;
}

}  // namespace shoal::bench
