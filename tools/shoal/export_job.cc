#include "tools/shoal/export_job.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/job/artifact_names.h"
#include "common/rpc/artifacts.h"
#include "common/storage/checkpoint.h"
#include "common/storage/whole_folder.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "tasks/export.h"
#include "tasks/registry.h"
#include "tools/shoal/model_card.h"

namespace shoal::tools {
namespace {

// As long as workers have: frozen parameters may be gigabytes.
constexpr absl::Duration kFetchTimeout = absl::Minutes(10);

// The plan's artifact of this name; "" when it has none. `folder` is used for a while.
absl::StatusOr<std::string> FetchArtifact(Env* env, SchedulerClient* client, const JobPlan& plan,
                                          absl::string_view name, const std::string& folder) {
  const std::string fetched = JoinPath(folder, ".fetched");
  ArtifactStore artifacts({env, fetched, client->channel(), kFetchTimeout});
  std::string bytes;
  for (const Artifact& artifact : plan.artifacts()) {
    if (artifact.name() != name) continue;
    SHOAL_ASSIGN_OR_RETURN(const std::string path, artifacts.Fetch(artifact));
    SHOAL_ASSIGN_OR_RETURN(bytes, env->ReadFile(path));
  }
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(fetched));
  return bytes;
}

// What was chosen on the validation examples with this version, or with the last one before it that was
// evaluated, or else the first one after it; 0: nothing.
double ThresholdOf(const Job& job, uint64_t version) {
  const EvaluationRecord* nearest = nullptr;
  for (const EvaluationRecord& evaluation : job.evaluations()) {
    if (evaluation.set() != EVALUATION_SET_VALIDATION) continue;
    if (nearest == nullptr || evaluation.version() <= version) nearest = &evaluation;
  }
  if (nearest == nullptr) return 0;
  return tasks::ThresholdOf(job.spec().task(), nearest->statistics()).value_or(0);
}

// What the model that the job started from is called. Where it is on this machine means nothing on another.
std::string BaseOf(const Job& job) {
  absl::string_view folder = job.spec().model().from();
  while (absl::ConsumeSuffix(&folder, "/")) continue;
  return BaseName(std::string(folder));
}

// The file without which nobody loads the folder.
const char* MarkerOf(ExportLayout layout) {
  return layout == ExportLayout::kAdapter ? model::kAdapterConfigFile : model::kConfigFile;
}

}  // namespace

absl::Status ExportJob(Env* env, SchedulerClient* client, const Job& job, const std::string& checkpoint,
                       const std::string& folder, ExportLayout layout) {
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(env, checkpoint));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> theta,
                         reader.ReadTheta(job.spec().optimizer().ema_decay() > 0 ? "average" : "theta"));
  const auto write = [&](const std::string& unfinished) -> absl::Status {
    const auto fetch = [&](absl::string_view name) {
      return FetchArtifact(env, client, job.plan(), name, unfinished);
    };
    std::string tokenizer, frozen;  // neither is part of an adapter
    if (layout == ExportLayout::kModel) {
      SHOAL_ASSIGN_OR_RETURN(tokenizer, fetch(kTokenizerArtifact));
      SHOAL_ASSIGN_OR_RETURN(frozen, fetch(kFrozenArtifact));
    }
    const tasks::TrainedModel trained = {job.plan(), tokenizer, frozen, theta,
                                         ThresholdOf(job, reader.manifest().version())};
    SHOAL_RETURN_IF_ERROR(layout == ExportLayout::kModel
                              ? tasks::ExportModel(env, unfinished, trained)
                              : tasks::ExportAdapter(env, unfinished, trained, BaseOf(job)));
    return env->WriteFileAtomic(JoinPath(unfinished, kModelCardFile),
                                ModelCard(job, reader.manifest().version()));
  };
  return WriteWholeFolder(env, folder, MarkerOf(layout), write);
}

bool IsHalfExported(Env* env, const std::string& folder) {
  return IsHalfWritten(env, folder, model::kConfigFile) &&
         IsHalfWritten(env, folder, model::kAdapterConfigFile);
}

}  // namespace shoal::tools
