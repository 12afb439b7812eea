// SIGTERM and SIGINT (Ctrl-C, a preemption notice) as an event that main can wait for.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shoal {

// While it lives, the first SIGTERM or SIGINT makes Wait return and a second one ends the process at once,
// with 128 + the signal's number. Its destructor restores the previous handlers. Signals go to the process,
// not to an object, so there is at most one at a time. Thread-safe.
class StopSignal {
 public:
  // Errors: FAILED_PRECONDITION when there is one already; those of pipe(2).
  static absl::StatusOr<std::unique_ptr<StopSignal>> Install();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Blocks until a stop is requested (true) or `timeout` has passed (false). Any number of threads may wait.
  bool Wait(absl::Duration timeout = absl::InfiniteDuration()) const;

  bool requested() const { return Wait(absl::ZeroDuration()); }

  // Acts as if a first signal had arrived.
  void Request();

  // Readable once a stop is requested, for poll(2). Owned by this object; don't read from it.
  int fd() const { return read_fd_; }

 private:
  StopSignal(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd) {}

  int read_fd_;
  int write_fd_;
};

}  // namespace shoal
