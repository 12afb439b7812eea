// What matrix products of a CPU device run on: its threads, the path that multiplies f32, the class of bf16,
// and memory to pack operands in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/thread_pool.h"
#include "kernels/bf16_class.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/scratch.h"

namespace shoal::kernels {

class OnednnGemm;

// What multiplies f32 matrices. Both give the same bits (kernels/gemm.h).
enum class GemmPath { kAuto, kOnednn, kOwn };

absl::string_view GemmPathName(GemmPath path);

// Owned by a device and, like the device, used by one kernel at a time.
class GemmEngine {
 public:
  // `pool` must outlive it. Call ChoosePath next.
  GemmEngine(ThreadPool* pool, Isa isa);
  ~GemmEngine();
  GemmEngine(const GemmEngine&) = delete;
  GemmEngine& operator=(const GemmEngine&) = delete;

  // Checks the paths against the definition on a few shapes, which takes milliseconds. Errors:
  // FAILED_PRECONDITION when our own path or the requested one does not meet it on this processor.
  absl::Status ChoosePath(GemmPath wanted);
  // kOnednn or kOwn.
  GemmPath path() const { return path_; }

  // Whether the class amx-bf16 can be computed: the processor has AMX, the operating system grants it, and it
  // meets the definition. The first call checks this, in milliseconds; without a call no tile is used.
  bool has_amx();
  // See Device.
  absl::Status UseBf16Class(Bf16Class bf16_class);
  Bf16Class bf16_class() const { return bf16_class_; }

  // "f32 GEMM by PATH (why), bf16 as CLASS".
  std::string Describe() const;

  ThreadPool& pool() { return pool_; }
  Isa isa() const { return isa_; }
  // Packing buffers. Separate from the device's scratch memory, so that other kernels may call the GEMM
  // inside an item.
  Scratch& scratch() { return scratch_; }
  // Created on first use, which must be outside of any item.
  OnednnGemm& onednn();
  int64_t primitives_created() const;
  int64_t scratch_allocations() const { return scratch_.allocations(); }

 private:
  absl::Status TakeOnednn();
  // Returns why AMX can't be used, or "".
  std::string TakeAmx();

  ThreadPool& pool_;
  const Isa isa_;
  GemmPath path_ = GemmPath::kOwn;
  std::string reason_;
  std::optional<std::string> amx_problem_;  // "": none; no value: not asked yet
  Bf16Class bf16_class_ = Bf16Class::kAvx512;
  std::unique_ptr<OnednnGemm> onednn_;
  Scratch scratch_;
};

}  // namespace shoal::kernels
