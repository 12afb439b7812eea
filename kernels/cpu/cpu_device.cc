#include "kernels/cpu/cpu_device.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/status.h"

namespace shoal::kernels {
namespace {

absl::StatusOr<Isa> ChooseIsa(const std::string& name) { return name.empty() ? DetectIsa() : ParseIsa(name); }

absl::Status CheckIsaName(absl::string_view name) {
  SHOAL_ASSIGN_OR_RETURN(const Isa isa, ParseIsa(name));
  return CheckIsa(isa);
}

class HostMemory : public DeviceMemory {
 public:
  HostMemory(LargeMemory memory, int64_t size_bytes)
      : DeviceMemory(memory.get(), size_bytes), memory_(std::move(memory)) {}

 private:
  const LargeMemory memory_;
};

}  // namespace

absl::StatusOr<CpuDeviceOptions> CpuDeviceOptions::FromEnvironment(int threads) {
  CpuDeviceOptions options;
  options.threads = threads;
  if (const char* isa = std::getenv("SHOAL_ISA")) options.isa = isa;
  if (!options.isa.empty()) SHOAL_RETURN_IF_ERROR(Annotate(CheckIsaName(options.isa), "SHOAL_ISA"));
  if (const char* path = std::getenv("SHOAL_GEMM")) {
    const absl::string_view name = path;
    if (name != "onednn" && name != "own") {
      return absl::InvalidArgumentError(absl::StrCat("SHOAL_GEMM=", name, ": expected onednn or own"));
    }
    options.gemm_path = name == "own" ? GemmPath::kOwn : GemmPath::kOnednn;
  }
  return options;
}

CpuDevice::CpuDevice(int threads, Isa isa)
    : pool_(threads), isa_(isa), gemm_(&pool_, isa), scratch_(threads) {}

absl::StatusOr<std::unique_ptr<CpuDevice>> CpuDevice::Create(const CpuDeviceOptions& options) {
  if (options.threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("threads: ", options.threads, ", expected at least 1"));
  }
  const absl::StatusOr<Isa> isa = ChooseIsa(options.isa);
  if (!isa.ok()) return isa.status();
  const absl::Status used = UseIsa(*isa);
  if (!used.ok()) return used;
  std::unique_ptr<CpuDevice> device(new CpuDevice(options.threads, *isa));
  const absl::Status chosen = device->gemm_.ChoosePath(options.gemm_path);
  if (!chosen.ok()) return chosen;
  return device;
}

std::unique_ptr<DeviceMemory> CpuDevice::Allocate(int64_t size_bytes) {
  LargeMemory memory = size_bytes > 0 ? AllocateLarge(size_bytes) : LargeMemory();
  return std::make_unique<HostMemory>(std::move(memory), size_bytes);
}

bool CpuDevice::Computes(Bf16Class bf16_class) { return bf16_class == Bf16Class::kAvx512 || gemm_.has_amx(); }

void CpuDevice::EvenOutScratch() {
  scratch_.EvenOut();
  gemm_.scratch().EvenOut();
}

std::string CpuDevice::Describe() const {
  return absl::StrCat("cpu: ", IsaName(isa_), ", ", pool_.threads(),
                      pool_.threads() == 1 ? " thread" : " threads", ", ", gemm_.Describe());
}

DeviceCounters CpuDevice::counters() const {
  DeviceCounters counters;
  counters.primitives_created = gemm_.primitives_created();
  counters.scratch_allocations = scratch_.allocations() + gemm_.scratch_allocations();
  return counters;
}

CpuDevice& Cpu(Device& device) {
  SHOAL_CHECK(device.kind() == DeviceKind::kCpu);
  return static_cast<CpuDevice&>(device);
}

}  // namespace shoal::kernels
