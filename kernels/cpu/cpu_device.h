// The device of the CPU backend: threads, the instruction set, the GEMM and scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/thread_pool.h"
#include "kernels/cpu/gemm/gemm_engine.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/scratch.h"
#include "kernels/device.h"

namespace shoal::kernels {

struct CpuDeviceOptions {
  int threads = 1;                       // including the caller's
  std::string isa;                       // "": the best available; otherwise a name that ParseIsa accepts
  GemmPath gemm_path = GemmPath::kAuto;  // kAuto: our own, which runs on every processor

  // Reads SHOAL_ISA (names as for ParseIsa) and SHOAL_GEMM (onednn|own) from the environment where they are
  // set; for tests and for tracking down differences. Errors, with the variable: INVALID_ARGUMENT for
  // an unknown value; FAILED_PRECONDITION for an instruction set that the processor lacks.
  static absl::StatusOr<CpuDeviceOptions> FromEnvironment(int threads);
};

class CpuDevice : public Device {
 public:
  // Starts the threads, selects the instruction set (process-wide, see UseIsa), and checks the GEMM paths
  // against the definition on a few shapes, which takes milliseconds. Errors: INVALID_ARGUMENT for invalid
  // options; FAILED_PRECONDITION when the processor lacks the instruction set, or when the requested path
  // does not meet the definition here.
  static absl::StatusOr<std::unique_ptr<CpuDevice>> Create(const CpuDeviceOptions& options);

  DeviceKind kind() const override { return DeviceKind::kCpu; }
  std::unique_ptr<DeviceMemory> Allocate(int64_t size_bytes) override;
  // For amx-bf16, see GemmEngine::has_amx.
  bool Computes(Bf16Class bf16_class) override;
  absl::Status UseBf16Class(Bf16Class bf16_class) override { return gemm_.UseBf16Class(bf16_class); }
  Bf16Class bf16_class() const override { return gemm_.bf16_class(); }
  void EvenOutScratch() override;
  // Instruction set, threads, GEMM path and why it was chosen.
  std::string Describe() const override;
  DeviceCounters counters() const override;

  ThreadPool& pool() { return pool_; }
  Isa isa() const { return isa_; }
  GemmEngine& gemm() { return gemm_; }
  // For all kernels but the GEMM, which has its own.
  Scratch& scratch() { return scratch_; }

 private:
  CpuDevice(int threads, Isa isa);

  ThreadPool pool_;
  const Isa isa_;
  GemmEngine gemm_;
  Scratch scratch_;
};

// Returns `device`, which must be a CpuDevice (checked). Every kernel of this backend gets its device here.
CpuDevice& Cpu(Device& device);

}  // namespace shoal::kernels
