#include "tools/bench/cluster_bench.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/init.h"
#include "model/hugging_face.h"
#include "model/parameters.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_trainer.h"
#include "tools/bench/bench_models.h"
#include "tools/bench/bench_precision.h"
#include "tools/bench/json_line.h"
#include "tools/shoal/job_file.h"
#include "tools/shoal/local_cluster.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::bench {
namespace {

constexpr absl::Duration kDeadline = absl::Minutes(9);
constexpr int kWords = 2000;
constexpr int64_t kWarmUpRounds = 5;

std::string Word(uint64_t number) {
  std::string word;
  for (uint64_t rest = number * 7919 + 12345; rest > 0; rest /= 21)
    word += "bcdfghjklmnpqrstvwxyz"[rest % 21], word += "aeiou"[rest % 5];
  return word;
}

// Sentences of more than `length` tokens.
std::string Sentences(int64_t examples, int64_t length) {
  PhiloxStream random(DeriveKey(1, "sentences"));
  std::string text = "label\ttext\n";
  for (int64_t e = 0; e < examples; ++e) {
    absl::StrAppend(&text, e % 2 == 0 ? "negative" : "positive", "\t");
    for (int64_t w = 0; w < length; ++w)
      absl::StrAppend(&text, w > 0 ? " " : "", Word(random.UniformInt(kWords)));
    text += "\n";
  }
  return text;
}

// A model folder with the benchmark's shape and a small vocabulary.
absl::Status WriteModelFolder(const std::string& folder, const model::ModelConfig& config) {
  Env* const env = PosixEnv();
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  std::vector<float> theta(model::MakeParameters(config).size);
  kernels::FillNormal(DeriveKey(1, "weights"), 0, 0, 0.02f, absl::MakeSpan(theta));
  SHOAL_RETURN_IF_ERROR(model::WriteModel(env, folder, config, theta));
  std::vector<std::string> words;
  for (int i = 0; i < kWords; ++i) words.push_back(Word(i));
  model::UnigramTrainerOptions options;
  options.vocab_size = 200;
  SHOAL_ASSIGN_OR_RETURN(
      const std::string vocabulary,
      model::TrainUnigram(std::vector<absl::string_view>(words.begin(), words.end()), options));
  return env->WriteFileAtomic(JoinPath(folder, "sentencepiece.model"), vocabulary);
}

std::string JobText(const ClusterOptions& options, const std::string& numerics) {
  return absl::StrCat(
      "name: bench\ntask: text-classification\ndata: {files: [data.tsv], text: text, label: label, split: "
      "{train: 1, validation: 0, test: 0}}\n",
      "model: {from: model, max_length: ", options.length, "}\ntrain: {rounds: ", options.rounds,
      ", slots: ", options.slots, ", slot_batch: ", options.batch / options.slots,
      ", precision: ", options.precision, options.wire.empty() ? "" : absl::StrCat(", wire: ", options.wire),
      "}\nnumerics: ", numerics, "\noptimizer: {learning_rate: 1e-4}\nlog_every: ", kWarmUpRounds,
      " rounds\ncheckpoint: {every: never}\ncluster: {min_workers: ", options.workers,
      ", min_servers: ", options.servers, "}\n");
}

absl::StatusOr<JobSpec> MakeJob(const ClusterOptions& options, const std::string& folder) {
  SHOAL_ASSIGN_OR_RETURN(const model::ModelConfig config, BenchModel(options.model));
  if (config.causal()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--model ", options.model, ": cluster trains classifiers; use minilm or bert-l4-h256"));
  }
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<kernels::CpuDevice> device, MakeBenchDevice(options.threads));
  const bool amx = options.precision == "bf16" && device->Computes(kernels::Bf16Class::kAmx);
  Env* const env = PosixEnv();
  SHOAL_RETURN_IF_ERROR(WriteModelFolder(JoinPath(folder, "model"), config));
  SHOAL_RETURN_IF_ERROR(
      env->WriteFileAtomic(JoinPath(folder, "data.tsv"), Sentences(4 * options.batch, options.length)));
  SHOAL_RETURN_IF_ERROR(
      env->WriteFileAtomic(JoinPath(folder, "job.yaml"), JobText(options, amx ? "amx-bf16" : "strict")));
  return tools::ReadJobFile(env, JoinPath(folder, "job.yaml"), {});
}

// Tokens per second of the windows after the first, which is the warm-up.
absl::StatusOr<double> Measure(tools::SchedulerClient* client, JobId job) {
  const absl::Time deadline = absl::Now() + kDeadline;
  uint64_t after = 0;
  double seconds = 0, tokens = 0, last_ms = 0;
  while (true) {
    const absl::Status status = client->Watch(job, &after, absl::Seconds(5), [&](const JobEvent& event) {
      if (!event.has_metric()) return true;
      const double now_ms = static_cast<double>(event.unix_ms());
      if (last_ms > 0) {
        seconds += (now_ms - last_ms) * 1e-3;
        tokens += event.metric().tokens_per_second() * (now_ms - last_ms) * 1e-3;
      }
      last_ms = now_ms;
      return true;
    });
    if (status.ok()) break;
    if (!absl::IsUnavailable(status)) return status;
    if (absl::Now() > deadline) return absl::DeadlineExceededError("the job did not end in time");
  }
  SHOAL_ASSIGN_OR_RETURN(const Job ended, client->GetJob(job));
  if (ended.state() != JOB_STATE_COMPLETED) return absl::InternalError(ended.reason());
  return seconds > 0 ? tokens / seconds : 0;
}

absl::StatusOr<double> Run(const ClusterOptions& options, const std::string& folder) {
  SubmitJobRequest request;
  SHOAL_ASSIGN_OR_RETURN(*request.mutable_spec(), MakeJob(options, folder));
  tools::LocalCluster::Options cluster_options;
  SHOAL_ASSIGN_OR_RETURN(cluster_options.programs, tools::DaemonPrograms::Find());
  cluster_options.folder = folder;
  cluster_options.worker_threads = options.threads;
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<tools::LocalCluster> cluster,
                         tools::LocalCluster::Start(std::move(cluster_options)));
  for (int i = 0; i < options.servers; ++i) SHOAL_RETURN_IF_ERROR(cluster->AddServer());
  for (int i = 0; i < options.workers; ++i) SHOAL_RETURN_IF_ERROR(cluster->AddWorker());
  tools::SchedulerClient client(cluster->scheduler());
  SHOAL_ASSIGN_OR_RETURN(const JobId job, client.Submit(request));
  auto speed = Measure(&client, job);
  cluster->Stop(absl::Seconds(15));
  return speed;
}

}  // namespace

absl::Status RunCluster(const ClusterOptions& options) {
  if (options.batch % options.slots != 0)
    return absl::InvalidArgumentError("--batch: expected a multiple of --slots");
  if (options.rounds < 3 * kWarmUpRounds)
    return absl::InvalidArgumentError(absl::StrCat("--rounds: expected at least ", 3 * kWarmUpRounds));
  const TestDir folder;
  const auto speed = Run(options, folder.path());
  SHOAL_RETURN_IF_ERROR(speed.status());
  JsonLine("cluster")
      .Text("model", options.model)
      .Text("precision", options.precision)
      .Text("wire", options.wire.empty() ? options.precision : options.wire)
      .Integer("workers", options.workers)
      .Integer("servers", options.servers)
      .Integer("threads", options.threads)
      .Integer("batch", options.batch)
      .Integer("length", options.length)
      .Integer("rounds", options.rounds)
      .Number("tokens_per_second", *speed)
      .Print();
  return absl::OkStatus();
}

}  // namespace shoal::bench
