#include "common/base/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// A handler may touch only lock-free atomics.
std::atomic<bool> installed{false};
std::atomic<int> pipe_to_wake{-1};
std::atomic<bool> signalled{false};

struct sigaction former_term, former_int;

// Never read from the pipe, so every waiter sees it.
void WriteByte(int fd) {
  const char byte = 0;
  const ssize_t written = write(fd, &byte, 1);
  (void)written;  // a full pipe is readable, too
}

void OnSignal(int number) {
  if (signalled.exchange(true)) _exit(128 + number);
  const int saved_errno = errno;
  WriteByte(pipe_to_wake.load());
  errno = saved_errno;
}

// For poll(2): rounded up, so that a wait never ends early.
int PollMilliseconds(absl::Duration timeout) {
  constexpr int kMax = 1000 * 1000;
  if (timeout >= absl::Milliseconds(kMax)) return kMax;
  return static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1))));
}

}  // namespace

absl::StatusOr<std::unique_ptr<StopSignal>> StopSignal::Install() {
  if (installed.exchange(true)) return absl::FailedPreconditionError("signals are handled already");
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    const int error = errno;
    installed = false;
    return absl::ErrnoToStatus(error, "pipe for signals");
  }
  signalled = false;
  pipe_to_wake = fds[1];
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  SHOAL_CHECK(sigaction(SIGTERM, &action, &former_term) == 0);
  SHOAL_CHECK(sigaction(SIGINT, &action, &former_int) == 0);
  return absl::WrapUnique(new StopSignal(fds[0], fds[1]));
}

StopSignal::~StopSignal() {
  SHOAL_CHECK(sigaction(SIGTERM, &former_term, nullptr) == 0);
  SHOAL_CHECK(sigaction(SIGINT, &former_int, nullptr) == 0);
  pipe_to_wake = -1;
  close(read_fd_);
  close(write_fd_);
  installed = false;
}

bool StopSignal::Wait(absl::Duration timeout) const {
  const absl::Time deadline = MonotonicNow() + timeout;
  while (true) {
    const absl::Duration left = std::max(deadline - MonotonicNow(), absl::ZeroDuration());
    pollfd poll_fd = {read_fd_, POLLIN, 0};
    if (poll(&poll_fd, 1, PollMilliseconds(left)) > 0) return true;
    if (left == absl::ZeroDuration()) return false;
  }
}

void StopSignal::Request() { WriteByte(write_fd_); }

}  // namespace shoal
