#include "tests/faults/command.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/test_dir.h"

namespace shoal {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(120);

}  // namespace

std::string Program(const std::string& path) {
  char cwd[4096];
  return JoinPath(getcwd(cwd, sizeof(cwd)), path);
}

CommandResult RunCommand(const std::vector<std::string>& arguments) {
  const TestDir dir;
  const std::string log = dir / "output";
  auto process = ChildProcess::Start(arguments, log);
  REQUIRE(process.ok());
  REQUIRE((*process)->WaitEnded(kDeadline));
  const auto output = PosixEnv()->ReadFile(log);
  REQUIRE(output.ok());
  return {*(*process)->Ended(), *output};
}

void WaitForText(const std::string& file, const std::string& text, ChildProcess* process) {
  const absl::Time deadline = absl::Now() + kDeadline;
  while (true) {
    const auto content = PosixEnv()->ReadFile(file);
    if (content.ok() && absl::StrContains(*content, text)) return;
    INFO(content.value_or(""));
    REQUIRE_FALSE(process->WaitEnded(absl::Milliseconds(10)));
    REQUIRE(absl::Now() < deadline);
  }
}

int CountProcesses(const std::string& text) {
  int count = 0;
  const auto entries = PosixEnv()->ListDir("/proc");
  REQUIRE(entries.ok());
  for (const std::string& entry : *entries) {
    if (entry.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto command = PosixEnv()->ReadFile(JoinPath(JoinPath("/proc", entry), "cmdline"));
    if (command.ok() && absl::StrContains(*command, text)) ++count;
  }
  return count;
}

}  // namespace shoal
