#include "kernels/device.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "kernels/gemm_bf16_amx.h"
#include "kernels/gemm_check.h"
#include "kernels/gemm_onednn_driver.h"
#include "kernels/gemm_own_driver.h"
#include "kernels/onednn_gemm.h"

namespace shoal {
namespace {

absl::StatusOr<Isa> ChooseIsa(const std::string& name) { return name.empty() ? DetectIsa() : ParseIsa(name); }

}  // namespace

absl::string_view GemmPathName(GemmPath path) {
  switch (path) {
    case GemmPath::kAuto:
      return "auto";
    case GemmPath::kOnednn:
      return "onednn";
    case GemmPath::kOwn:
      return "own";
  }
  return "?";
}

absl::StatusOr<DeviceOptions> DeviceOptions::FromEnvironment(int threads) {
  DeviceOptions options;
  options.threads = threads;
  if (const char* isa = std::getenv("SHOAL_ISA")) options.isa = isa;
  if (const char* path = std::getenv("SHOAL_GEMM")) {
    const absl::string_view name = path;
    if (name != "onednn" && name != "own") {
      return absl::InvalidArgumentError(absl::StrCat("SHOAL_GEMM=", name, ": expected onednn or own"));
    }
    options.gemm_path = name == "own" ? GemmPath::kOwn : GemmPath::kOnednn;
  }
  return options;
}

Device::Device(int threads, Isa isa)
    : pool_(threads), isa_(isa), thread_scratch_(threads), gemm_scratch_(threads) {}

Device::~Device() = default;

absl::StatusOr<std::unique_ptr<Device>> Device::Create(const DeviceOptions& options) {
  if (options.threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("threads: ", options.threads, ", expected at least 1"));
  }
  const absl::StatusOr<Isa> isa = ChooseIsa(options.isa);
  if (!isa.ok()) return isa.status();
  const absl::Status used = UseIsa(*isa);
  if (!used.ok()) return used;
  std::unique_ptr<Device> device(new Device(options.threads, *isa));
  const absl::Status chosen = device->ChooseGemmPath(options.gemm_path);
  if (!chosen.ok()) return chosen;
  return device;
}

absl::Status Device::ChooseGemmPath(GemmPath wanted) {
  for (DType type : {DType::kF32, DType::kBf16}) {
    const std::string own = CheckGemm(
        type, Bf16Class::kAvx512, [this](const GemmProblem& problem) { OwnGemmOnThread(*this, 0, problem); });
    if (!own.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("this processor's sums differ from their definition at ", own));
  }
  gemm_path_ = GemmPath::kOwn;
  gemm_reason_ = wanted == GemmPath::kOwn ? "asked for" : "as fast as oneDNN, and on every processor";
  return wanted == GemmPath::kOnednn ? TakeOnednn() : absl::OkStatus();
}

absl::Status Device::TakeOnednn() {
  const std::string difference =
      CheckGemm(DType::kF32, Bf16Class::kAvx512, [this](const GemmProblem& problem) {
        OnednnGemmTile(*this, 0, problem, {0, problem.m}, {0, problem.n});
      });
  if (!difference.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the GEMM path onednn was asked for, but here it differs from the definition at ", difference));
  }
  gemm_path_ = GemmPath::kOnednn;
  gemm_reason_ = "asked for, and equal to the definition here";
  return absl::OkStatus();
}

std::string Device::TakeAmx() {
  if (isa_ < Isa::kAmxBf16) return absl::StrCat("the instruction set is ", IsaName(isa_));
  if (!StartAmx()) return "the operating system grants no AMX tiles";
  const std::string difference = CheckGemm(DType::kBf16, Bf16Class::kAmx, [this](const GemmProblem& problem) {
    OwnGemmOnThread(*this, 0, problem);
  });
  return difference.empty() ? "" : absl::StrCat("AMX differs from its definition at ", difference);
}

bool Device::has_amx() {
  if (!amx_problem_.has_value()) amx_problem_ = TakeAmx();
  return amx_problem_->empty();
}

absl::Status Device::UseBf16Class(Bf16Class bf16_class) {
  if (bf16_class == Bf16Class::kAmx && !has_amx()) {
    return absl::FailedPreconditionError(
        absl::StrCat("bf16 in the class amx-bf16 can't be computed here: ", *amx_problem_));
  }
  bf16_class_ = bf16_class;
  return absl::OkStatus();
}

OnednnGemm& Device::onednn() {
  if (onednn_ == nullptr) onednn_ = std::make_unique<OnednnGemm>(pool_.threads(), isa_);
  return *onednn_;
}

std::string Device::Describe() const {
  return absl::StrCat("cpu: ", IsaName(isa_), ", ", pool_.threads(),
                      pool_.threads() == 1 ? " thread" : " threads", ", f32 GEMM by ",
                      GemmPathName(gemm_path_), " (", gemm_reason_, "), bf16 as ",
                      Bf16ClassName(bf16_class_));
}

DeviceCounters Device::counters() const {
  DeviceCounters counters;
  counters.primitives_created = onednn_ == nullptr ? 0 : onednn_->primitives_created();
  counters.scratch_allocations = shared_scratch_.allocations() + shared_gemm_scratch_.allocations();
  for (const Arena& arena : thread_scratch_) counters.scratch_allocations += arena.allocations();
  for (const Arena& arena : gemm_scratch_) counters.scratch_allocations += arena.allocations();
  return counters;
}

std::byte* Device::ThreadScratch(int thread, int64_t size_bytes) {
  thread_scratch_[thread].Reserve(size_bytes);
  return thread_scratch_[thread].At(0);
}

std::byte* Device::SharedScratch(int64_t size_bytes) {
  shared_scratch_.Reserve(size_bytes);
  return shared_scratch_.At(0);
}

void Device::EvenOutScratch() {
  for (std::vector<Arena>* arenas : {&thread_scratch_, &gemm_scratch_}) {
    int64_t most = 0;
    for (const Arena& arena : *arenas) most = std::max(most, arena.size_bytes());
    for (Arena& arena : *arenas) arena.Reserve(most);
  }
}

std::byte* Device::GemmScratch(int thread, int64_t size_bytes) {
  gemm_scratch_[thread].Reserve(size_bytes);
  return gemm_scratch_[thread].At(0);
}

std::byte* Device::SharedGemmScratch(int64_t size_bytes) {
  shared_gemm_scratch_.Reserve(size_bytes);
  return shared_gemm_scratch_.At(0);
}

}  // namespace shoal
