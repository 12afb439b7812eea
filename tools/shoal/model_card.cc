#include "tools/shoal/model_card.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/plain_text.h"
#include "common/base/release.h"
#include "common/job/data_files.h"
#include "common/job/job_print.h"
#include "common/job/job_rules.h"
#include "common/storage/file.h"
#include "tools/shoal/report.h"

namespace shoal::tools {
namespace {

// "| test | accuracy | 0.8578 |", a line for each figure of an evaluation of this version.
std::string Figures(const Job& job, uint64_t version) {
  std::string lines;
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (evaluation.version() != version) continue;
    const Json figures = EvaluationJson(job.spec().task(), evaluation.statistics());
    for (const auto& [name, value] : figures.items()) {
      if (value.is_null()) continue;
      absl::StrAppend(&lines, "| ", SetName(evaluation.set()), " | ", name, " | ", value.dump(), " |\n");
    }
  }
  return lines;
}

// The folder, with a slash at its end, that all data files of a job are in.
std::string FolderOf(const JobSpec& spec) {
  std::string folder;
  bool first = true;
  for (const DataFile& file : DataFilesOf(spec)) {
    const std::string of_file = file.path.substr(0, file.path.find_last_of('/') + 1);
    size_t shared = 0;
    while (shared < folder.size() && shared < of_file.size() && folder[shared] == of_file[shared]) ++shared;
    folder = first ? of_file : folder.substr(0, shared);
    folder.resize(folder.find_last_of('/') + 1);
    first = false;
  }
  return folder;
}

// A path without that folder, or any.
std::string WithoutFolder(const std::string& folder, const std::string& path) {
  return absl::StartsWith(path, folder) && !folder.empty() ? path.substr(folder.size()) : BaseName(path);
}

std::string Files(const Job& job) {
  const std::string folder = FolderOf(job.spec());
  std::string lines;
  for (const FileDigest& file : job.plan().files())
    absl::StrAppend(&lines, "| `", PlainLine(WithoutFolder(folder, file.path())), "` | ", file.bytes(),
                    " | `", PlainLine(file.sha256()), "` |\n");
  return lines;
}

// A job file without the folders of the machine that it was written on.
std::string JobFile(JobSpec spec) {
  const std::string folder = FolderOf(spec);
  MapPaths([&](const std::string& path) { return WithoutFolder(folder, path); }, &spec);
  return PrintJob(spec);
}

}  // namespace

std::string ModelCard(const Job& job, uint64_t version) {
  const JobPlan& plan = job.plan();
  const bool is_result = job.has_result() && job.result().version() == version;
  std::string card = absl::StrCat("---\n", job.spec().has_adapters() ? "" : "library_name: transformers\n",
                                  "tags: [shoal]\n---\n# ", PlainLine(job.spec().name()), "\n",
                                  WordOf(job.spec().task()), ", trained by Shoal ", kBuildVersion,
                                  ": version ", version, " of ", plan.rounds(), " rounds.\n");
  if (is_result)
    absl::StrAppend(&card, "SHA-256 of the parameters",
                    job.spec().optimizer().ema_decay() > 0 ? ", of which these are the average" : "", ": `",
                    job.result().parameters_sha256(), "`.\n");
  const std::string figures = Figures(job, version);
  if (!figures.empty()) absl::StrAppend(&card, "\n| examples | figure | value |\n|---|---|---|\n", figures);
  absl::StrAppend(&card, "\n## Made from\n", plan.train_examples(), " training, ", plan.validation_examples(),
                  " validation and ", plan.test_examples(), " test examples, from these files:\n\n",
                  "| file | bytes | SHA-256 |\n|---|---|---|\n", Files(job),
                  "\n## To make it again\nWith the same files this job gives the same bits, on any number of "
                  "servers and workers, whichever of them are lost meanwhile:\n\n```yaml\n",
                  JobFile(job.spec()), "```\n\n    shoal train job.yaml --out out\n");
  return card;
}

}  // namespace shoal::tools
