#include "tools/shoal/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/file.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);

// Runs in the child, between fork and exec: only system calls.
[[noreturn]] void Execute(char* const* arguments, int log, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before the line above
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(arguments[0], arguments);
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const std::vector<std::string>& arguments,
                                                                  const std::string& log_file) {
  if (access(arguments[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(arguments[0], ": ", std::strerror(errno)));
  }
  // First in this way, which does not wait for somebody to read a pipe.
  SHOAL_RETURN_IF_ERROR(PosixEnv()->NewWritableFile(log_file, WriteMode::kAppend).status());
  const int log = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return absl::ErrnoToStatus(errno, log_file);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Execute(pointers.data(), log, parent);
  const int error = errno;
  close(log);
  if (pid < 0) return absl::ErrnoToStatus(error, "fork");
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() {
  if (Ended()) return;
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::optional<std::string> ChildProcess::Ended() {
  int status = 0;
  if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = WIFSIGNALED(status) ? absl::StrCat("signal ", WTERMSIG(status))
                                 : absl::StrCat("exit status ", WEXITSTATUS(status));
  }
  return ended_;
}

void ChildProcess::Signal(int number) {
  if (!Ended()) kill(pid_, number);
}

bool ChildProcess::WaitEnded(absl::Duration timeout) {
  const absl::Time deadline = MonotonicNow() + timeout;
  while (!Ended()) {
    if (MonotonicNow() >= deadline) return false;
    absl::SleepFor(kPoll);
  }
  return true;
}

}  // namespace shoal::tools
