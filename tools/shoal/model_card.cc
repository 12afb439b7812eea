#include "tools/shoal/model_card.h"

#include "absl/strings/str_cat.h"
#include "common/base/plain_text.h"
#include "common/base/release.h"
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

std::string Files(const JobPlan& plan) {
  std::string lines;
  for (const FileDigest& file : plan.files())
    absl::StrAppend(&lines, "| `", PlainLine(BaseName(file.path())), "` | ", file.bytes(), " | `",
                    PlainLine(file.sha256()), "` |\n");
  return lines;
}

// A job file without the folders of the machine that it was written on.
std::string JobFile(JobSpec spec) {
  const auto bare = [](auto* paths) {
    for (std::string& path : *paths) path = BaseName(path);
  };
  bare(spec.mutable_data()->mutable_files());
  bare(spec.mutable_data()->mutable_train_files());
  bare(spec.mutable_data()->mutable_validation_files());
  bare(spec.mutable_data()->mutable_test_files());
  if (spec.model().has_from()) spec.mutable_model()->set_from(BaseName(spec.model().from()));
  if (spec.tokenizer().has_path()) spec.mutable_tokenizer()->set_path(BaseName(spec.tokenizer().path()));
  return PrintJob(spec);
}

}  // namespace

std::string ModelCard(const Job& job, uint64_t version) {
  const JobPlan& plan = job.plan();
  const bool is_result = job.has_result() && job.result().version() == version;
  std::string card =
      absl::StrCat("---\nlibrary_name: transformers\ntags: [shoal]\n---\n# ", PlainLine(job.spec().name()),
                   "\n", WordOf(job.spec().task()), ", trained by Shoal ", kBuildVersion, ": version ",
                   version, " of ", plan.rounds(), " rounds.\n");
  if (is_result)
    absl::StrAppend(&card, "SHA-256 of the parameters: `", job.result().parameters_sha256(), "`.\n");
  const std::string figures = Figures(job, version);
  if (!figures.empty()) absl::StrAppend(&card, "\n| examples | figure | value |\n|---|---|---|\n", figures);
  absl::StrAppend(&card, "\n## Made from\n", plan.train_examples(), " training, ", plan.validation_examples(),
                  " validation and ", plan.test_examples(), " test examples, from these files:\n\n",
                  "| file | bytes | SHA-256 |\n|---|---|---|\n", Files(plan),
                  "\n## To make it again\nWith the same files this job gives the same bits, on any number of "
                  "servers and workers, whichever of them are lost meanwhile:\n\n```yaml\n",
                  JobFile(job.spec()), "```\n\n    shoal train job.yaml --out out\n");
  return card;
}

}  // namespace shoal::tools
