#include "common/base/standard_output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace shoal {

void PrepareStandardStreams() {
  signal(SIGPIPE, SIG_IGN);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // open returns the lowest free number. Standard output is opened for reading, so that writing to it still
    // fails.
    (void)open("/dev/null", fd == STDERR_FILENO ? O_RDWR : O_RDONLY);
  }
}

bool ReaderGone(int fd) {
  pollfd poll_fd = {fd, POLLOUT, 0};
  return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLERR) != 0;
}

absl::Status FlushStandardOutput() {
  static int first_error = 0;  // stdio forgets the reason, but not that there was one
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int error = errno;
  if (flushed && std::ferror(stdout) == 0) return absl::OkStatus();
  if (first_error == 0) first_error = error;
  if (first_error == EPIPE || ReaderGone(STDOUT_FILENO))
    return absl::CancelledError("the reader of standard output has gone");
  constexpr char kProblem[] = "can't write to standard output";
  return first_error == 0 ? absl::UnavailableError(kProblem) : absl::ErrnoToStatus(first_error, kProblem);
}

int ExitCodeWithOutput(const std::string& program, int code) {
  const absl::Status written = FlushStandardOutput();
  if (written.ok()) return code;
  if (absl::IsCancelled(written)) return kExitReaderGone;
  std::fprintf(stderr, "%s: %s\n", program.c_str(), std::string(written.message()).c_str());
  return code == 0 ? 1 : code;
}

}  // namespace shoal
