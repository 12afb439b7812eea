// shoal: the command line.
#include <cstdio>
#include <exception>
#include <string>

#include "CLI/CLI.hpp"
#include "common/logging.h"
#include "common/rpc.h"
#include "common/version.h"
#include "tools/shoal/commands.h"

int main(int argc, char** argv) {
  CLI::App app("Shoal trains Transformer models on machines that may be taken away at any moment.", "shoal");
  app.set_version_flag("--version", shoal::kBuildVersion);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 error, 2 bad command line or job file, 3 the job has failed, 4 the job was "
      "cancelled, 130 interrupted.\n"
      "Start here:\n  shoal train configs/jobs/tiny.yaml --out out/tiny");
  shoal::CommandResult result;
  shoal::AddTrain(&app, &result);
  shoal::AddClusterCommands(&app, &result);
  shoal::AddModelCommands(&app, &result);
  (void)shoal::InitLogging({"shoal", "warn", "", /*to_stderr=*/true});
  shoal::SendGrpcLogsToSpdlog();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? shoal::kExitDone : shoal::kExitBadInput;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shoal: %s\n", error.what());
    return shoal::kExitError;
  }
  if (!result.status.ok()) std::fprintf(stderr, "shoal: %s\n", std::string(result.status.message()).c_str());
  return result.exit_code;
}
