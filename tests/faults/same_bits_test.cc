// Promise 1 with real processes and real signals: whatever happens to them, the job ends with the bits of the
// undisturbed run. Built once for each precision.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tests/faults/test_cluster.h"
#include "tools/shoal/export_job.h"

namespace shoal {
namespace {

const std::vector<std::string> kPrecision = {absl::StrCat("train.precision=", SHOAL_TEST_PRECISION)};

TEST_CASE("Two servers and three workers give the same bits as one of each", "[same bits]") {
  TestCluster cluster({2, 3, 1});
  CheckSameBits(cluster.WaitForEnd(cluster.Submit(kPrecision)), kPrecision);
}

TEST_CASE("Three servers and four workers of two threads give the same bits", "[same bits]") {
  TestCluster cluster({3, 4, 2});
  CheckSameBits(cluster.WaitForEnd(cluster.Submit(kPrecision)), kPrecision);
}

TEST_CASE("One worker of two threads gives the same bits", "[same bits]") {
  TestCluster cluster({1, 1, 2});
  CheckSameBits(cluster.WaitForEnd(cluster.Submit(kPrecision)), kPrecision);
}

TEST_CASE("Workers with AVX2 alone give the same bits", "[same bits]") {
  REQUIRE(setenv("SHOAL_ISA", "avx2", 1) == 0);
  TestCluster cluster({1, 2, 1});
  REQUIRE(unsetenv("SHOAL_ISA") == 0);
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 1);
  const auto status = cluster.client().GetStatus();
  REQUIRE(status.ok());
  for (const NodeStatus& node : status->nodes()) {
    if (node.role() == NODE_ROLE_WORKER) CHECK(node.instruction_set() == "avx2");
  }
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("A worker killed in the middle changes nothing", "[same bits]") {
  TestCluster cluster({2, 2, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 100);
  cluster.Signal("worker-1", SIGKILL);
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("Nor does it in a job for words, for hidden tokens, for pairs of texts or for questions",
          "[same bits]") {
  const std::string file = GENERATE("configs/jobs/tiny-ner.yaml", "configs/jobs/tiny-mlm.yaml",
                                    "configs/jobs/tiny-pairs.yaml", "configs/jobs/tiny-qa.yaml");
  const std::vector<std::string> job_of = {file, kPrecision[0]};
  TestCluster cluster({2, 2, 1});
  const JobId job = cluster.Submit(job_of);
  cluster.WaitForRound(job, 100);
  cluster.Signal("worker-1", SIGKILL);
  CheckSameBits(cluster.WaitForEnd(job), job_of);
}

// Writes a job that fine-tunes a model, trained and exported before, with low-rank additions.
std::string WriteLoraJob(const TestDir& dir) {
  TestCluster cluster({});
  const Job job = cluster.WaitForEnd(cluster.Submit());
  const std::string model = dir / "model";
  REQUIRE(tools::ExportJob(PosixEnv(), &cluster.client(), job, job.result().checkpoint(), model).ok());
  const std::string yaml = absl::StrCat(
      "name: lora\ntask: text-classification\ndata: {files: [",
      std::filesystem::absolute("configs/jobs/tiny.tsv").string(),
      "], text: text, label: label, split: {train: 0.8, validation: 0.1, test: 0.1}}\nmodel: {from: ", model,
      "}\ntrain: {epochs: 6, slots: 4, slot_batch: 4}\nlog_every: 5 rounds\n",
      "optimizer: {learning_rate: 5e-3, clip_norm: 1, layer_decay: 0.8}\n",
      "lora: {rank: 2, targets: [query, value, intermediate.dense, output.dense]}\n");
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "lora.yaml", yaml).ok());
  return dir / "lora.yaml";
}

TEST_CASE("Nor does the loss of a worker, or of a server, in a fine-tuning with low-rank additions",
          "[same bits]") {
  const TestDir dir;
  const std::vector<std::string> job_of = {WriteLoraJob(dir), kPrecision[0]};
  for (const char* lost : {"worker-1", "server-1"}) {
    TestCluster cluster({2, 2, 1});
    const JobId job = cluster.Submit(job_of);
    cluster.WaitForRound(job, 100);
    cluster.Signal(lost, SIGKILL);
    const Job ended = cluster.WaitForEnd(job);
    CheckSameBits(ended, job_of);
    CHECK(ended.view().view() > 1);
  }
}

TEST_CASE("A worker frozen in the middle, and woken when its slots are given away, changes nothing",
          "[same bits]") {
  TestCluster cluster({2, 2, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 100);
  cluster.Signal("worker-2", SIGSTOP);
  cluster.WaitForEvent(job, [](const JobEvent& event) { return event.message().find("worker-2 is") == 0; });
  cluster.Signal("worker-2", SIGCONT);
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("A worker that joins in the middle changes nothing", "[same bits]") {
  TestCluster cluster({1, 1, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 50);
  REQUIRE(cluster.processes().AddWorker().ok());
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("A worker that leaves in peace changes nothing", "[same bits]") {
  TestCluster cluster({1, 2, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 100);
  cluster.Signal("worker-1", SIGTERM);
  REQUIRE((*cluster.processes().Find("worker-1"))->WaitEnded(absl::Seconds(20)));
  CHECK((*cluster.processes().Find("worker-1"))->Ended() == "exit status 0");
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("A server killed in the middle sends the job back to a checkpoint, and the bits are the same",
          "[same bits]") {
  TestCluster cluster({2, 2, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 150);
  cluster.Signal("server-1", SIGKILL);
  const Job ended = cluster.WaitForEnd(job);
  CheckSameBits(ended, kPrecision);
  CHECK(ended.view().restore().restore_id() > 1);
}

TEST_CASE("The scheduler killed and started again in the middle changes nothing", "[same bits]") {
  TestCluster cluster({2, 2, 1});
  const JobId job = cluster.Submit(kPrecision);
  cluster.WaitForRound(job, 100);
  cluster.Signal("scheduler", SIGKILL);
  REQUIRE(cluster.processes().RestartScheduler().ok());
  CheckSameBits(cluster.WaitForEnd(job), kPrecision);
}

TEST_CASE("A job that starts from a checkpoint of another cluster's gives the same bits", "[same bits]") {
  TestCluster first({2, 2, 1});
  const JobId job = first.Submit(kPrecision);
  uint64_t version = 0;
  first.WaitForEvent(job, [&](const JobEvent& event) { return (version = event.checkpoint()) > 100; });
  REQUIRE(first.client().Cancel(job).ok());
  const Job cancelled = first.WaitForEnd(job);
  CHECK(cancelled.state() == JOB_STATE_CANCELLED);

  TestCluster second({1, 3, 1});
  const Job ended = second.WaitForEnd(second.Submit(kPrecision, cancelled.checkpoint_dir()));
  CheckSameBits(ended, kPrecision, *cancelled.checkpoints().rbegin());
  CHECK(ended.result().rounds() == ended.rounds());
}

}  // namespace
}  // namespace shoal
