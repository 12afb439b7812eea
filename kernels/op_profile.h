// Where the time of a pass goes: the time and the work of each kernel while a device has a profile.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal::kernels {

// The work of one call of a kernel, computed from its shape: the arithmetic of matrix products and attention,
// and the bytes of the arrays that are read or written, each counted once.
struct OpWork {
  double flops = 0;
  double bytes = 0;
};

struct OpTotals {
  absl::string_view name;  // a string literal in the kernel
  int64_t calls = 0;
  double seconds = 0;
  OpWork work;
};

// Not thread-safe: used by the thread that calls the kernels.
class OpProfile {
 public:
  OpProfile() { totals_.reserve(64); }

  void Add(absl::string_view name, double seconds, const OpWork& work);
  void Clear() { totals_.clear(); }
  // In order of first use.
  absl::Span<const OpTotals> totals() const { return totals_; }

 private:
  std::vector<OpTotals> totals_;
};

// Measures its scope when there is a profile, otherwise costs a branch. `name` must outlive the profile.
class OpTimer {
 public:
  OpTimer(OpProfile* profile, absl::string_view name, const OpWork& work)
      : profile_(profile), name_(name), work_(work) {
    if (profile_ != nullptr) start_ = Clock::now();
  }
  ~OpTimer() {
    if (profile_ == nullptr) return;
    profile_->Add(name_, std::chrono::duration<double>(Clock::now() - start_).count(), work_);
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  OpProfile* profile_;
  absl::string_view name_;
  OpWork work_;
  Clock::time_point start_;
};

}  // namespace shoal::kernels
