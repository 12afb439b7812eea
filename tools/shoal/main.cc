// shoal: the command line.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/command_line.h"
#include "common/base/nearest_name.h"
#include "common/base/plain_text.h"
#include "common/base/release.h"
#include "common/base/standard_output.h"
#include "common/rpc/log_setup.h"
#include "common/rpc/rpc.h"
#include "tools/shoal/commands.h"

namespace shoal::tools {
namespace {

// Why the first argument is not a command; "" when it is. CLI11 would only say that one is missing.
std::string UnknownCommand(const CLI::App& app, int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "-";
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  if (name[0] == '-' || std::count(commands.begin(), commands.end(), name) > 0) return "";
  return absl::StrCat("unknown command '", name, "'", DidYouMean(name, commands),
                      " (all: ", absl::StrJoin(commands, ", "), ")");
}

// Why an argument can't be taken as it is; "": all can. CLI11 reads a text like "[a, b]" as a list, with no
// way to say that it is none.
std::string BracketProblem(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.size() > 1 && argument.front() == '[' && argument.back() == ']')
      return absl::StrCat("an argument can't both begin with [ and end with ], got '", argument,
                          "': give such texts on standard input");
  }
  return "";
}

int Main(int argc, char** argv) {
  PrepareStandardStreams();
  CLI::App app("Shoal trains Transformer models on machines that may be taken away at any moment.", "shoal");
  app.set_version_flag("--version", kBuildVersion);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 error, 2 bad command line or job file, 3 the job has failed, 4 the job was "
      "cancelled, 130 interrupted, 141 the reader of the output closed the pipe.\n"
      "Start here:\n  shoal train configs/jobs/tiny.yaml --out out/tiny");
  CommandResult result;
  AddTrain(&app, &result);
  AddSubmit(&app, &result);
  AddClusterCommands(&app, &result);
  AddModelCommands(&app, &result);
  AddTokenize(&app, &result);
  (void)InitLogging({"shoal", "warn", "", /*to_stderr=*/true});
  SendGrpcLogsToSpdlog();
  for (const std::string& problem : {UnknownCommand(app, argc, argv), BracketProblem(argc, argv)}) {
    if (problem.empty()) continue;
    std::fprintf(stderr, "shoal: %s\nTry `shoal --help`.\n", problem.c_str());
    return kExitBadInput;
  }
  const int parsed = ParseCommandLine(&app, argc, argv);
  if (parsed >= 0) return ExitCodeWithOutput("shoal", parsed);
  if (!result.status.ok()) std::fprintf(stderr, "shoal: %s\n", PlainLines(result.status.message()).c_str());
  return ExitCodeWithOutput("shoal", result.exit_code);
}

}  // namespace
}  // namespace shoal::tools

int main(int argc, char** argv) { return shoal::RunMain("shoal", shoal::tools::Main, argc, argv); }
