// shoal-bench: measures speed and prints lines of JSON. See README.md.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/status/status.h"
#include "common/base/command_line.h"
#include "common/base/process_tuning.h"
#include "common/rpc/log_setup.h"
#include "tools/bench/apply_bench.h"
#include "tools/bench/cluster_bench.h"
#include "tools/bench/codecs_bench.h"
#include "tools/bench/control_bench.h"
#include "tools/bench/kernels_bench.h"
#include "tools/bench/overlap_bench.h"
#include "tools/bench/pushpull_bench.h"
#include "tools/bench/tokenize_bench.h"
#include "tools/bench/train_bench.h"

namespace shoal::bench {
namespace {

// Options of all subcommands, and what the chosen one returned.
struct Bench {
  ApplyOptions apply;
  ClusterOptions cluster;
  CodecsOptions codecs;
  ControlOptions control;
  KernelsOptions kernels;
  OverlapOptions overlap;
  PushPullOptions pushpull;
  TokenizeOptions tokenize;
  TrainOptions train;
  absl::Status status;
};

void AddApply(CLI::App& app, Bench& bench) {
  CLI::App* command =
      app.add_subcommand("apply", "AdamW on the parameters, compared with a copy of the same size");
  ApplyOptions& options = bench.apply;
  command->add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--mib", options.parameters_mib, "size of the parameters")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([&bench] { bench.status = RunApply(bench.apply); });
}

void AddTokenize(CLI::App& app, Bench& bench) {
  CLI::App* command = app.add_subcommand("tokenize", "tokens per second of tokenizers, on one thread");
  TokenizeOptions& options = bench.tokenize;
  command->add_option("tokenizers", options.tokenizers, "folders, or files such as tokenizer.json")
      ->required();
  command->add_option("--text", options.texts, "files whose lines are encoded")->required();
  command->add_option("--repeats", options.repeats)->check(CLI::PositiveNumber)->capture_default_str();
  command->callback([&bench] { bench.status = RunTokenize(bench.tokenize); });
}

void AddCodecs(CLI::App& app, Bench& bench) {
  CLI::App* command = app.add_subcommand("codecs", "wire formats, compared with a copy of the same size");
  CodecsOptions& options = bench.codecs;
  command->add_option("--threads", options.threads, "in addition to one thread")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--mib", options.mib, "of float32 per thread, for arrays in memory")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([&bench] { bench.status = RunCodecs(bench.codecs); });
}

void AddControl(CLI::App& app, Bench& bench) {
  CLI::App* command =
      app.add_subcommand("control", "the protocol of a round, and a scheduler with many nodes");
  ControlOptions& options = bench.control;
  command->add_option("--slots", options.slots)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--nodes", options.nodes)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--channels", options.channels, "connections that the nodes share; 0: one for each")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--seconds", options.seconds, "measured time of the scheduler; 0: only the round")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->callback([&bench] { bench.status = RunControl(bench.control); });
}

void AddKernels(CLI::App& app, Bench& bench) {
  CLI::App* command = app.add_subcommand("kernels", "each kernel at the shapes of training");
  KernelsOptions& options = bench.kernels;
  command->add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--precision", options.precision, "f32 or bf16")->capture_default_str();
  command->add_option("--only", options.only, "kernels whose name contains this");
  command->callback([&bench] { bench.status = RunKernels(bench.kernels); });
}

void AddPushPull(CLI::App& app, Bench& bench) {
  CLI::App* command =
      app.add_subcommand("pushpull", "gradients to servers and parameters back, compared with bare streams");
  PushPullOptions& options = bench.pushpull;
  command->add_option("--mib", options.mib, "size of the parameters in float32")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--workers", options.workers)->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--servers", options.servers)->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--wire", options.wire, "f32, bf16 or f16")->capture_default_str();
  command->add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--gbits", options.gbits, "simulated speed of each worker's link, each way; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->callback([&bench] { bench.status = RunPushPull(bench.pushpull); });
}

void AddOverlap(CLI::App& app, Bench& bench) {
  CLI::App* command =
      app.add_subcommand("overlap", "communication hidden by computation, on a simulated link");
  OverlapOptions& options = bench.overlap;
  command->add_option("--gbits", options.gbits, "speed of the worker's link, each way")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--mib", options.mib, "size of the parameters in float32")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--compute-ms", options.compute_ms, "forward and backward of a round")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--layers", options.layers)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--servers", options.servers)->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--wire", options.wire, "f32, bf16 or f16")->capture_default_str();
  command->callback([&bench] { bench.status = RunOverlap(bench.overlap); });
}

void AddCluster(CLI::App& app, Bench& bench) {
  CLI::App* command = app.add_subcommand("cluster", "a local cluster of real processes");
  ClusterOptions& options = bench.cluster;
  command->add_option("--model", options.model, "minilm or bert-l4-h256")->capture_default_str();
  command->add_option("--workers", options.workers)->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--servers", options.servers)->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--threads", options.threads, "per worker")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--batch", options.batch, "examples per round")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--length", options.length, "tokens of an example")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--slots", options.slots)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--rounds", options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--precision", options.precision, "f32 or bf16")->capture_default_str();
  command->add_option("--wire", options.wire, "f32, bf16 or f16 (default: same as the precision)");
  command->callback([&bench] { bench.status = RunCluster(bench.cluster); });
}

void AddTrain(CLI::App& app, Bench& bench) {
  CLI::App* command = app.add_subcommand("train", "steps of one worker, without a network");
  TrainOptions& options = bench.train;
  command->add_option("--model", options.model, "minilm, bert-l4-h256 or gpt2")->capture_default_str();
  command->add_option("--precision", options.precision, "f32 or bf16")->capture_default_str();
  command->add_option("--batch", options.batch, "examples per step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--length", options.length, "tokens of an example")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--variable-length", options.variable_length,
                    "lengths drawn uniformly from length/4 to length");
  command->add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--steps", options.steps)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--profile", options.profile, "also print a line for each op");
  command->callback([&bench] { bench.status = RunTrain(bench.train); });
}

// 0: done; 1: failed; 2: wrong usage.
int Main(int argc, char** argv) {
  CLI::App app("Measures Shoal and prints JSON lines.", "shoal-bench");
  app.require_subcommand(1);
  TuneProcess();  // as the daemons do
  (void)InitLogging({"shoal-bench", "warn", "", /*to_stderr=*/true});
  Bench bench;
  AddApply(app, bench);
  AddCluster(app, bench);
  AddCodecs(app, bench);
  AddControl(app, bench);
  AddKernels(app, bench);
  AddOverlap(app, bench);
  AddPushPull(app, bench);
  AddTokenize(app, bench);
  AddTrain(app, bench);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (bench.status.ok()) return 0;
  std::fprintf(stderr, "shoal-bench: %s\n", std::string(bench.status.message()).c_str());
  return bench.status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

}  // namespace
}  // namespace shoal::bench

int main(int argc, char** argv) { return shoal::RunMain("shoal-bench", shoal::bench::Main, argc, argv); }
