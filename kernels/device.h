// Where kernels run: the threads, the instruction set, the GEMM path and the scratch memory of one CPU
// device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/isa.h"
#include "kernels/memory_plan.h"
#include "kernels/op_profile.h"
#include "kernels/thread_pool.h"

namespace shoal {

class OnednnGemm;

// What multiplies f32 matrices. Both give the same bits (kernels/gemm.h).
enum class GemmPath { kAuto, kOnednn, kOwn };

absl::string_view GemmPathName(GemmPath path);

struct DeviceOptions {
  int threads = 1;                       // including the caller's
  std::string isa;                       // "": the best available; otherwise a name that ParseIsa accepts
  GemmPath gemm_path = GemmPath::kAuto;  // kAuto: our own, which is as fast as oneDNN

  // Reads SHOAL_ISA (names as for ParseIsa) and SHOAL_GEMM (onednn|own) from the environment where they are
  // set; for tests and for tracking down differences. Errors: INVALID_ARGUMENT that names the variable.
  static absl::StatusOr<DeviceOptions> FromEnvironment(int threads);
};

// What a device has done since it was created; a planned program leaves these unchanged after its first
// steps.
struct DeviceCounters {
  int64_t primitives_created = 0;   // oneDNN primitives
  int64_t scratch_allocations = 0;  // times that scratch memory grew
};

// Owned by one compute thread; kernels take it as their first argument, and only one kernel runs on it at a
// time.
class Device {
 public:
  // Starts the threads, selects the instruction set (process-wide, see UseIsa), and checks the GEMM paths
  // against the definition on a few shapes, which takes milliseconds. Errors: INVALID_ARGUMENT for invalid
  // options; FAILED_PRECONDITION when the processor lacks the instruction set, or when the requested path
  // does not meet the definition here.
  static absl::StatusOr<std::unique_ptr<Device>> Create(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  ThreadPool& pool() { return pool_; }
  Isa isa() const { return isa_; }
  // kOnednn or kOwn.
  GemmPath gemm_path() const { return gemm_path_; }

  // Whether the class amx-bf16 can be computed: the processor has AMX, the operating system grants it, and it
  // meets the definition. The first call finds out, in milliseconds; without a call no tile is touched.
  bool has_amx();
  // Sets the class of the products that follow; avx512-bf16 at first. Call it between kernels. Errors:
  // FAILED_PRECONDITION with the reason, for amx-bf16 without has_amx().
  absl::Status UseBf16Class(Bf16Class bf16_class);
  Bf16Class bf16_class() const { return bf16_class_; }

  // One line for the log: instruction set, threads, GEMM path and why it was chosen.
  std::string Describe() const;
  DeviceCounters counters() const;

  // Kernels add their time and work to `profile` until another one or null is set. It must live until then.
  void set_profile(OpProfile* profile) { profile_ = profile; }
  OpProfile* profile() const { return profile_; }

  // Scratch memory of a thread of the pool (`thread` as ParallelFor passes it), at least `size_bytes`,
  // aligned to kBufferAlignment_bytes, contents undefined. Valid until the next call for the same thread;
  // kernels don't nest their use. Grows on first use only; never shrinks.
  std::byte* ThreadScratch(int thread, int64_t size_bytes);
  // The same for the whole device: memory that threads share inside one kernel.
  std::byte* SharedScratch(int64_t size_bytes);

  // Gives every thread as much scratch memory as the thread that has most. Which thread takes which item is
  // chance, so a later pass may need on one thread what another grew to in the first. Call it between
  // kernels.
  void EvenOutScratch();

  // Packing buffers, for the GEMM alone. Separate from the above, so that other kernels may call the GEMM
  // inside an item.
  std::byte* GemmScratch(int thread, int64_t size_bytes);
  std::byte* SharedGemmScratch(int64_t size_bytes);
  // Created on first use, which must be outside of any item.
  OnednnGemm& onednn();

 private:
  Device(int threads, Isa isa);
  absl::Status ChooseGemmPath(GemmPath wanted);
  absl::Status TakeOnednn();
  // Returns why AMX can't be used, or "".
  std::string TakeAmx();

  ThreadPool pool_;
  Isa isa_;
  OpProfile* profile_ = nullptr;
  GemmPath gemm_path_ = GemmPath::kOwn;
  std::string gemm_reason_;
  std::optional<std::string> amx_problem_;  // "": none; no value: not asked yet
  Bf16Class bf16_class_ = Bf16Class::kAvx512;
  std::unique_ptr<OnednnGemm> onednn_;
  std::vector<Arena> thread_scratch_;
  std::vector<Arena> gemm_scratch_;
  Arena shared_scratch_;
  Arena shared_gemm_scratch_;
};

}  // namespace shoal
