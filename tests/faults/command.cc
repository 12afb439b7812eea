#include "tests/faults/command.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(120);

}  // namespace

std::string Program(const std::string& path) {
  char cwd[4096];
  return JoinPath(getcwd(cwd, sizeof(cwd)), path);
}

EndedProcess RunCommand(const std::vector<std::string>& arguments) {
  const TestDir dir;
  const std::string log = dir / "output";
  auto process = tools::ChildProcess::Start(arguments, log);
  REQUIRE(process.ok());
  REQUIRE((*process)->WaitEnded(kDeadline));
  const auto output = PosixEnv()->ReadFile(log);
  REQUIRE(output.ok());
  return {*(*process)->Ended(), *output};
}

std::unique_ptr<tools::ChildProcess> StartTraining(const TestDir& dir, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {Program("tools/shoal/shoal"), "train"});
  arguments.insert(arguments.end(), {"--out", dir / "run"});
  auto process = tools::ChildProcess::Start(arguments, dir / "output");
  REQUIRE(process.ok());
  return *std::move(process);
}

EndedProcess TrainIn(const TestDir& dir, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {Program("tools/shoal/shoal"), "train"});
  arguments.insert(arguments.end(), {"--out", dir / "run"});
  EndedProcess result = RunCommand(arguments);
  CHECK(ProcessesOf(dir / "run").empty());
  return result;
}

nlohmann::json ReportIn(const TestDir& dir) {
  const auto text = PosixEnv()->ReadFile(dir / "run/report.json");
  REQUIRE(text.ok());
  return nlohmann::json::parse(*text);
}

std::vector<std::string> UnfinishedFiles(const std::string& folder) {
  std::vector<std::string> unfinished;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::filesystem::path extension = entry.path().extension();
    if (extension == ".tmp" || extension == ".partial" || entry.path().filename() == ".fetched")
      unfinished.push_back(entry.path());
  }
  return unfinished;
}

void WaitForText(const std::string& file, const std::string& text, tools::ChildProcess* process) {
  const absl::Time deadline = absl::Now() + kDeadline;
  while (true) {
    const auto content = PosixEnv()->ReadFile(file);
    if (content.ok() && absl::StrContains(*content, text)) return;
    INFO(content.value_or(""));
    REQUIRE_FALSE(process->WaitEnded(absl::Milliseconds(10)));
    REQUIRE(absl::Now() < deadline);
  }
}

std::vector<pid_t> ProcessesOf(const std::string& text) {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    // Not Env::ReadFile, which relies on the size of a file: here it is 0.
    std::ifstream file(entry.path() / "cmdline");
    const std::string command((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (absl::StrContains(command, text)) pids.push_back(pid);
  }
  return pids;
}

void WaitForNoProcess(const std::string& text) {
  const absl::Time deadline = absl::Now() + kDeadline;
  while (!ProcessesOf(text).empty()) REQUIRE(absl::Now() < deadline);
}

}  // namespace shoal
