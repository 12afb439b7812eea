#include "common/job/plan_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/sha256.h"
#include "common/job/job_print.h"
#include "common/storage/file.h"

namespace shoal {
namespace {

// Each value with its length, so that {"ab", "c"} differs from {"a", "bc"}.
void AddText(const std::string& text, Sha256* sha256) { sha256->Add(absl::StrCat(text.size(), ":", text)); }

std::string DigestOf(const JobPlan& plan) {
  Sha256 sha256;
  for (const ParameterInfo& parameter : plan.parameters()) {
    AddText(parameter.name(), &sha256);
    for (uint64_t dimension : parameter.shape()) sha256.Add(absl::StrCat(dimension, "x"));
    sha256.Add(absl::StrFormat("@%d decay %d init %d %a;", parameter.offset(), parameter.decay(),
                               static_cast<int>(parameter.init().kind()), parameter.init().stddev()));
    if (parameter.has_rate_factor()) sha256.Add(absl::StrFormat("rate %a;", parameter.rate_factor()));
  }
  for (uint64_t size : plan.group_sizes()) sha256.Add(absl::StrCat("group ", size, ";"));
  return sha256.HexDigest();
}

// All bits of the number.
void AppendExact(std::string* out, float number) { absl::StrAppendFormat(out, "%a", number); }

std::string LabelsDigest(const JobPlan& plan) {
  Sha256 sha256;
  for (const std::string& label : plan.labels()) AddText(label, &sha256);
  return sha256.HexDigest();
}

}  // namespace

std::string PlanText(const JobPlan& plan) {
  std::string text = "data:\n";
  for (int i = 0; i < plan.files_size(); ++i) {
    absl::StrAppend(&text, "  file ", i + 1, " ", YamlString(BaseName(plan.files(i).path())), ": SHA-256 ",
                    plan.files(i).sha256(), "\n");
  }
  absl::StrAppend(&text, "examples:\n  training: ", plan.train_examples(),
                  "\n  validation: ", plan.validation_examples(), "\n  test: ", plan.test_examples(), "\n");
  absl::StrAppend(&text, "labels: ", plan.labels_size(), ", SHA-256 ", LabelsDigest(plan), "\n");
  absl::StrAppend(&text, "artifacts:\n");
  for (const Artifact& artifact : plan.artifacts()) {
    absl::StrAppend(&text, "  ", YamlString(artifact.name()), ": SHA-256 ", artifact.sha256(), "\n");
  }
  absl::StrAppend(&text, "model: SHA-256 ", Sha256Hex(plan.model_config()), "\n");
  absl::StrAppend(&text, "parameters: SHA-256 ", DigestOf(plan), "\n");
  if (plan.class_weights_size() > 0) {
    absl::StrAppend(&text, "class_weights: SHA-256 ",
                    Sha256Hex(absl::StrJoin(plan.class_weights(), " ", AppendExact)), "\n");
  }
  absl::StrAppend(&text, "max_length: ", plan.max_length(), "\n");
  absl::StrAppend(&text, "rounds: ", plan.rounds(), "\nrounds_per_epoch: ", plan.rounds_per_epoch(), "\n");
  absl::StrAppend(&text, "numerics: ", YamlString(plan.numerics()), "\n");
  return text;
}

}  // namespace shoal
