// Programs under test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/storage/test_dir.h"
#include "nlohmann/json.hpp"
#include "tools/shoal/child_process.h"

namespace shoal {

// The path of a program in the runfiles: "tools/shoal/shoal".
std::string Program(const std::string& path);

struct EndedProcess {
  std::string ended;   // "exit status 0"
  std::string output;  // standard output and error
};

// Runs the program to its end; fails the test if that takes more than two minutes.
EndedProcess RunCommand(const std::vector<std::string>& arguments);

// `shoal train ARGUMENTS --out DIR/run` to its end. Fails the test when it leaves a process behind.
EndedProcess TrainIn(const TestDir& dir, std::vector<std::string> arguments);
// Starts the same; its output goes to DIR/output.
std::unique_ptr<tools::ChildProcess> StartTraining(const TestDir& dir, std::vector<std::string> arguments);
// report.json of a training that has ended.
nlohmann::json ReportIn(const TestDir& dir);

// Files under `folder` that were left unfinished: *.tmp, *.partial, .fetched.
std::vector<std::string> UnfinishedFiles(const std::string& folder);

// Waits until the file contains `text`; fails the test when the process ends before that.
void WaitForText(const std::string& file, const std::string& text, tools::ChildProcess* process);

// Processes of this machine whose command line contains `text`.
std::vector<pid_t> ProcessesOf(const std::string& text);
// Waits until there is none: those that the kernel kills for a dead parent take a moment.
void WaitForNoProcess(const std::string& text);

}  // namespace shoal
