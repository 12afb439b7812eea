// The command line with wrong input: a clear error, the right exit code, and nothing left running.
#include <string>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/test_dir.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";

std::string Write(const TestDir& dir, const std::string& name, const std::string& text) {
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / name, text).ok());
  return dir / name;
}

// A job like tiny.yaml on other data.
CommandResult TrainOn(const TestDir& dir, const std::string& tsv) {
  const std::string data = Write(dir, "data.tsv", tsv);
  return TrainIn(dir, {kTiny, "--set", absl::StrCat("data.files=[", data, "]")});
}

TEST_CASE("A job file that is no YAML, or has an unknown field, is refused with file, line and field",
          "[bad input]") {
  const TestDir dir;
  CommandResult result = TrainIn(dir, {Write(dir, "job.yaml", "name: [unclosed\n")});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("job.yaml"));
  result = TrainIn(dir, {kTiny, "--set", "train.epoch=3"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("train.epoch") && Contains("did you mean 'epochs'"));
  CHECK_FALSE(PosixEnv()->FileExists(dir / "run"));
}

TEST_CASE("A job file that is not there is an error", "[bad input]") {
  const TestDir dir;
  const CommandResult result = TrainIn(dir, {dir / "none.yaml"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("none.yaml") && Contains("No such file"));
}

TEST_CASE("A wrong command line is refused", "[bad input]") {
  const std::string shoal = Program("tools/shoal/shoal");
  CommandResult result = RunCommand({shoal, "trian"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("'trian'") && Contains("did you mean 'train'"));
  result = RunCommand({shoal, "status", "--scheduler", "127.0.0.1"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--scheduler: expected HOST:PORT"));
  CHECK(RunCommand({shoal, "train", kTiny, "--workers", "0"}).ended == "exit status 2");
  CHECK(RunCommand({Program("worker/shoal-worker"), "--scheduler", "nowhere"}).ended == "exit status 2");
  CHECK(RunCommand({shoal, "train", "--help"}).ended == "exit status 0");
}

TEST_CASE("Data files that are missing, or lack a column, fail the job with their names", "[bad input]") {
  const TestDir dir;
  CommandResult result = TrainIn(dir, {kTiny, "--set", absl::StrCat("data.files=[", dir / "none.tsv", "]")});
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("none.tsv") && Contains("No such file"));
  const TestDir other;
  result = TrainOn(other, "labels\ttext\na\tsome words\n");
  CHECK(result.ended == "exit status 3");
  CHECK_THAT(result.output, Contains("there is no column 'label'") && Contains("did you mean 'labels'"));
}

TEST_CASE("Data with one class, an empty label, or a label that training lacks, fail the job",
          "[bad input]") {
  std::string one_class = "label\ttext\n";
  for (int i = 0; i < 60; ++i) absl::StrAppend(&one_class, "only\tsome words of example ", i, "\n");
  {
    const TestDir dir;
    const CommandResult result = TrainOn(dir, one_class);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("at least 2 different labels"));
  }
  {
    const TestDir dir;
    const CommandResult result = TrainOn(dir, one_class + "\tan example without a label\n");
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("data.tsv:62") && Contains("label"));
  }
  {
    const TestDir dir;
    const std::string dev = Write(dir, "dev.tsv", "label\ttext\nunheard-of\tsome words\n");
    const auto train = AbsolutePath("configs/jobs/tiny.tsv");
    REQUIRE(train.ok());
    const std::string job =
        Write(dir, "job.yaml",
              absl::StrCat("name: tiny\ntask: text-classification\ndata: {train_files: [", *train,
                           "], validation_files: [", dev, "], text: text, label: label}\n",
                           "tokenizer: {vocab_size: 128}\nmodel: {hidden_size: 32}\ntrain: {epochs: 1}\n",
                           "optimizer: {learning_rate: 1e-3}\n"));
    const CommandResult result = TrainIn(dir, {job});
    INFO(result.output);
    CHECK(result.ended == "exit status 3");
    CHECK_THAT(result.output, Contains("dev.tsv:2") && Contains("'unheard-of'"));
  }
}

TEST_CASE("A port in use, and an address that others reach, are refused", "[bad input]") {
  const TestDir dir;
  TestCluster cluster({0, 0, 1});
  CommandResult result = RunCommand({Program("scheduler/shoal-scheduler"), "--listen",
                                     cluster.processes().scheduler(), "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("in use"));
  result = RunCommand(
      {Program("scheduler/shoal-scheduler"), "--listen", "0.0.0.0:0", "--state-dir", dir / "state"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("--allow-remote"));
}

}  // namespace
}  // namespace shoal
