// shoal train: its flags.
#include <memory>

#include "common/base/command_line.h"
#include "tools/shoal/command_parts.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/local_training.h"

namespace shoal::tools {

namespace {

void AddPlaces(CLI::App* command, TrainFlags* flags) {
  AddNumberOption(command, "--workers", &flags->workers, 1, 256, "Worker processes");
  AddNumberOption(command, "--servers", &flags->servers, 1, 256, "Server processes");
  AddNumberOption(command, "--threads", &flags->threads, 1, 1024,
                  "Threads per worker (default: the processors divided by the workers)");
  command
      ->add_option("--out", flags->out,
                   "Folder for report, model, checkpoints and logs (default: out/<name of the job>)")
      ->type_name("DIR")
      ->check(EmptyProblem);
  AddRepeatedOption(command, "--set", &flags->set,
                    "Overrides a value of the job file, as in train.epochs=1; may be repeated")
      ->type_name("KEY.PATH=VALUE");
  command->add_flag("--resume", flags->resume, "Resume the training in --out");
}

void AddFlagsForTests(CLI::App* command, TrainFlags* flags) {
  AddRepeatedOption(command, "--scheduler-flag", &flags->scheduler_flags,
                    "For tests: passed on to the scheduler");
  AddRepeatedOption(command, "--server-flag", &flags->server_flags, "For tests: passed on to the servers");
  AddRepeatedOption(command, "--worker-flag", &flags->worker_flags, "For tests: passed on to the workers");
}

}  // namespace

void AddTrain(CLI::App* app, CommandResult* result) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* const command = app->add_subcommand("train", "Train one job on this machine, in a local cluster");
  command->add_option("job", flags->job_file, "Job file (docs/job-file.md)")
      ->required()
      ->type_name("JOB.yaml");
  AddPlaces(command, flags.get());
  AddJsonFlag(command, &flags->json, "Print the report as JSON, even if the job failed");
  AddFlagsForTests(command, flags.get());
  command->footer(
      "Examples:\n"
      "  shoal train configs/jobs/tiny.yaml --out out/tiny\n"
      "  shoal train job.yaml --workers 2 --servers 2 --set train.epochs=1 --set "
      "optimizer.learning_rate=5e-4\n"
      "  shoal train job.yaml --out out/mine --resume");
  command->callback([flags, result] { result->Set(TrainLocally(*flags)); });
}

}  // namespace shoal::tools
