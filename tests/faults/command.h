// Programs under test.
#pragma once

#include <memory>
#include <string>
#include <vector>

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

// Waits until the file holds `text`; fails the test when the process ends before.
void WaitForText(const std::string& file, const std::string& text, ChildProcess* process);

// Processes of this machine whose command line has `text` in it.
int CountProcesses(const std::string& text);

}  // namespace shoal
