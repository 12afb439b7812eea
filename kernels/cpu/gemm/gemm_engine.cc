#include "kernels/cpu/gemm/gemm_engine.h"

#include "absl/strings/str_cat.h"
#include "kernels/cpu/gemm/gemm_bf16_amx.h"
#include "kernels/cpu/gemm/gemm_check.h"
#include "kernels/cpu/gemm/gemm_onednn_driver.h"
#include "kernels/cpu/gemm/gemm_own_driver.h"
#include "kernels/cpu/gemm/onednn_gemm.h"

namespace shoal::kernels {

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

GemmEngine::GemmEngine(ThreadPool* pool, Isa isa) : pool_(*pool), isa_(isa), scratch_(pool->threads()) {}

GemmEngine::~GemmEngine() = default;

absl::Status GemmEngine::ChoosePath(GemmPath wanted) {
  for (DType type : {DType::kF32, DType::kBf16}) {
    const std::string own = CheckGemm(
        type, Bf16Class::kAvx512, [this](const GemmProblem& problem) { OwnGemmOnThread(*this, 0, problem); });
    if (!own.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("this processor's sums differ from their definition at ", own));
  }
  path_ = GemmPath::kOwn;
  reason_ = wanted == GemmPath::kOwn ? "requested" : "the default: it runs on every processor";
  return wanted == GemmPath::kOnednn ? TakeOnednn() : absl::OkStatus();
}

absl::Status GemmEngine::TakeOnednn() {
  const std::string difference =
      CheckGemm(DType::kF32, Bf16Class::kAvx512, [this](const GemmProblem& problem) {
        OnednnGemmTile(*this, 0, problem, {0, problem.m}, {0, problem.n});
      });
  if (!difference.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the GEMM path onednn was requested, but on this processor it differs from the definition at ",
        difference));
  }
  path_ = GemmPath::kOnednn;
  reason_ = "requested, and equal to the definition on this processor";
  return absl::OkStatus();
}

std::string GemmEngine::TakeAmx() {
  if (isa_ < Isa::kAmxBf16) return absl::StrCat("the instruction set is ", IsaName(isa_));
  if (!StartAmx()) return "the operating system grants no AMX tiles";
  const std::string difference = CheckGemm(DType::kBf16, Bf16Class::kAmx, [this](const GemmProblem& problem) {
    OwnGemmOnThread(*this, 0, problem);
  });
  return difference.empty() ? "" : absl::StrCat("AMX differs from its definition at ", difference);
}

bool GemmEngine::has_amx() {
  if (!amx_problem_.has_value()) amx_problem_ = TakeAmx();
  return amx_problem_->empty();
}

absl::Status GemmEngine::UseBf16Class(Bf16Class bf16_class) {
  if (bf16_class == Bf16Class::kAmx && !has_amx()) {
    return absl::FailedPreconditionError(
        absl::StrCat("bf16 in the class amx-bf16 can't be computed here: ", *amx_problem_));
  }
  bf16_class_ = bf16_class;
  return absl::OkStatus();
}

std::string GemmEngine::Describe() const {
  return absl::StrCat("f32 GEMM by ", GemmPathName(path_), " (", reason_, "), bf16 as ",
                      Bf16ClassName(bf16_class_));
}

OnednnGemm& GemmEngine::onednn() {
  if (onednn_ == nullptr) onednn_ = std::make_unique<OnednnGemm>(pool_.threads(), isa_);
  return *onednn_;
}

int64_t GemmEngine::primitives_created() const {
  return onednn_ == nullptr ? 0 : onednn_->primitives_created();
}

}  // namespace shoal::kernels
