// A folder with data, in which tests derive jobs.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/job/job_spec.h"
#include "common/storage/file.h"
#include "common/storage/progress_env.h"
#include "common/storage/test_dir.h"
#include "kernels/init.h"
#include "tasks/export.h"
#include "worker/text/derive.h"

namespace shoal::worker {

inline constexpr uint64_t kVocabulary = 40;

// Forty short sentences with two labels, and one of 20 words: enough for a vocabulary of kVocabulary pieces.
inline std::string Sentences() {
  std::string lines = "text\tlabel\n";
  for (int i = 0; i < 40; ++i)
    absl::StrAppend(&lines, i % 2 == 0 ? "red rose in the rain" : "old oak on the hill", "\t", i % 2, "\n");
  for (int i = 0; i < 20; ++i) absl::StrAppend(&lines, "rain ");
  absl::StrAppend(&lines, "\t0\n");
  return lines;
}

// Counts how often each file is opened.
class CountingEnv : public ProgressEnv {
 public:
  CountingEnv() : ProgressEnv(PosixEnv(), NoProgress) {}

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    ++opened_[path];
    return ProgressEnv::NewRandomAccessFile(path);
  }

  // A plan names the files that are read, and no others: a worker whose files differ is refused.
  void CheckFilesOf(const JobPlan& plan) {
    std::set<std::string> named;
    for (const FileDigest& file : plan.files()) {
      INFO(file.path());
      CHECK(opened_[file.path()] >= 2);  // for its digest, and by who needs it
      named.insert(file.path());
    }
    for (const auto& [path, times] : opened_) {
      INFO(path);
      CHECK(named.count(path) == 1);
    }
  }

 private:
  std::map<std::string, int> opened_;
};

// A folder with data, in which jobs are derived.
class DeriveHarness {
 public:
  DeriveHarness() { Write("data.tsv", Sentences()); }

  void Write(const std::string& name, const std::string& bytes) {
    REQUIRE(PosixEnv()->WriteFileAtomic(dir_ / name, bytes).ok());
  }

  JobSpec Job() const {
    JobSpec job;
    job.set_name("test");
    job.set_task(TASK_TEXT_CLASSIFICATION);
    job.mutable_data()->add_train_files(dir_ / "data.tsv");
    job.mutable_data()->add_text("text");
    job.mutable_data()->set_label("label");
    job.mutable_tokenizer()->set_vocab_size(kVocabulary);
    job.mutable_model()->set_hidden_size(8);
    job.mutable_model()->set_heads(1);
    job.mutable_model()->set_layers(1);
    job.mutable_model()->set_max_length(12);
    job.mutable_train()->set_epochs(1);
    job.mutable_optimizer()->set_learning_rate(1e-3);
    return job;
  }

  // Fine-tuning of the model in the folder `name`.
  JobSpec JobFrom(const std::string& name) const {
    JobSpec job = Job();
    job.clear_model();
    job.clear_tokenizer();
    job.mutable_model()->set_from(dir_ / name);
    return job;
  }

  absl::StatusOr<DerivedJob> Derive(JobSpec job) const {
    CompleteJob(&job);
    REQUIRE(ValidateJob(job).message() == "");
    CountingEnv env;
    auto derived = DeriveTextJob(&env, job);
    if (derived.ok()) env.CheckFilesOf(derived->plan);
    return derived;
  }

  // Derives a job that must succeed.
  DerivedJob Derived(const JobSpec& job) const {
    auto derived = Derive(job);
    INFO(derived.status());
    REQUIRE(derived.ok());
    return *std::move(derived);
  }

  // As `shoal export` of a job with these parameters: the same random numbers each time.
  void Export(const DerivedJob& job, const std::string& name) const {
    uint64_t size = 0;
    for (uint64_t group : job.plan.group_sizes()) size += group;
    std::vector<float> theta(size);
    const auto artifact = job.artifacts.find("frozen");
    const std::string frozen = artifact == job.artifacts.end() ? "" : artifact->second;
    kernels::FillNormal(DeriveKey(1, "test"), 0, 0, 0.5f, absl::MakeSpan(theta));
    const absl::Status status =
        tasks::ExportModel(PosixEnv(), dir_ / name, {job.plan, job.artifacts.at("tokenizer"), frozen, theta});
    INFO(status);
    REQUIRE(status.ok());
  }

  const TestDir& dir() const { return dir_; }

 private:
  TestDir dir_;
};

}  // namespace shoal::worker
