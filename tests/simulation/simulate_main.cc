// tools/simulate: runs schedules by number, or one that is written out.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "common/base/command_line.h"
#include "common/base/log.h"
#include "tests/simulation/run_schedule.h"
#include "tests/simulation/shrink.h"

namespace shoal::simulation {
namespace {

struct Flags {
  uint64_t schedules = 1000;
  uint64_t seed = 0;
  std::string schedule;
  bool log = false;
  int processes = 1;
  int failures = 5;
  int shrink = 300;
};

// True: no failure.
bool RunOne(const Schedule& schedule, const Flags& flags) {
  const Outcome outcome = RunSchedule(schedule, flags.log);
  if (flags.log) {
    std::printf("%s after %.3f s, %llu events, %llu actions, %llu restores\n",
                outcome.failure.empty() ? "well" : outcome.failure.c_str(),
                absl::ToDoubleSeconds(outcome.time), static_cast<unsigned long long>(outcome.events),
                static_cast<unsigned long long>(outcome.actions),
                static_cast<unsigned long long>(outcome.restores));
  }
  if (outcome.failure.empty()) return true;
  const Schedule small = flags.shrink > 0 ? Shrink(schedule, flags.shrink) : schedule;
  std::printf("FAILED: %s\n  of:     %s\n  replay: tools/simulate --log --schedule '%s'\n  then:   %s\n",
              outcome.failure.c_str(), ToText(schedule).c_str(), ToText(small).c_str(),
              RunSchedule(small).failure.c_str());
  std::fflush(stdout);
  return false;
}

int RunMany(const Flags& flags, uint64_t first, uint64_t step) {
  int failures = 0;
  for (uint64_t i = first; i < flags.schedules && failures < flags.failures; i += step) {
    if (!RunOne(RandomSchedule(flags.seed + i), flags)) ++failures;
  }
  return failures;
}

int Run(const Flags& flags) {
  if (!flags.log) SilenceLog();
  if (!flags.schedule.empty()) {
    const auto schedule = ParseSchedule(flags.schedule);
    if (!schedule.ok()) {
      std::fprintf(stderr, "%s\n", std::string(schedule.status().message()).c_str());
      return 2;
    }
    return RunOne(*schedule, flags) ? 0 : 1;
  }
  if (flags.processes == 1) {
    const int failures = RunMany(flags, 0, 1);
    std::printf("%d failed\n", failures);
    return failures == 0 ? 0 : 1;
  }
  std::vector<pid_t> children;
  for (int i = 0; i < flags.processes; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(RunMany(flags, static_cast<uint64_t>(i), static_cast<uint64_t>(flags.processes)));
    children.push_back(child);
  }
  int failures = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    failures += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  std::printf("schedules %llu to %llu: %d failed\n", static_cast<unsigned long long>(flags.seed),
              static_cast<unsigned long long>(flags.seed + flags.schedules - 1), failures);
  return failures == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app(
      "Runs clusters in simulated time, each through a schedule of faults, and compares them with a "
      "sequential reference (tests/simulation/README.md).",
      "simulate");
  app.add_option("--schedules", flags.schedules, "How many schedules to run.")->capture_default_str();
  app.add_option("--seed", flags.seed, "Number of the first schedule; with --schedules 1, the one to replay.")
      ->capture_default_str();
  app.add_option("--schedule", flags.schedule, "Run this one schedule, written as a failure prints it.");
  app.add_flag("--log", flags.log, "Print what happens to stderr.");
  app.add_option("--processes", flags.processes, "Number of processes that run in parallel.")
      ->capture_default_str();
  app.add_option("--failures", flags.failures, "Each process stops after this many failures.")
      ->capture_default_str();
  app.add_option("--shrink", flags.shrink,
                 "Maximum number of schedules to try when looking for a simpler one that fails; 0: none.")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return Run(flags);
}

}  // namespace
}  // namespace shoal::simulation

int main(int argc, char** argv) { return shoal::RunMain("simulate", shoal::simulation::Main, argc, argv); }
