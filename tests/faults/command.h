// Programs under test.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/storage/test_dir.h"
#include "tools/shoal/child_process.h"

namespace shoal {

// The path of a program in the runfiles: "tools/shoal/shoal".
std::string Program(const std::string& path);

struct CommandResult {
  std::string ended;   // "exit status 0"
  std::string output;  // standard output and error
};

// Runs it to its end; one that does not end in two minutes fails the test.
CommandResult RunCommand(const std::vector<std::string>& arguments);

// `shoal train ARGUMENTS --out DIR/run` to its end. Fails the test when it leaves a process behind.
CommandResult TrainIn(const TestDir& dir, std::vector<std::string> arguments);
// The same, begun; its output goes to DIR/output.
std::unique_ptr<ChildProcess> StartTraining(const TestDir& dir, std::vector<std::string> arguments);
// report.json of a training that has ended.
nlohmann::json ReportIn(const TestDir& dir);

// Files under `folder` that something was to be made of, and never was: *.tmp, *.partial, .fetched.
std::vector<std::string> UnfinishedFiles(const std::string& folder);

// Waits until the file holds `text`; fails the test when the process ends before.
void WaitForText(const std::string& file, const std::string& text, ChildProcess* process);

// Processes of this machine whose command line has `text` in it.
std::vector<pid_t> ProcessesOf(const std::string& text);
// Waits until there is none: those that the kernel kills for a dead parent take a moment.
void WaitForNoProcess(const std::string& text);

}  // namespace shoal
