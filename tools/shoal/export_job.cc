#include "tools/shoal/export_job.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/job/artifact_names.h"
#include "common/rpc/artifacts.h"
#include "common/storage/checkpoint.h"
#include "common/storage/whole_folder.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "tasks/classifier.h"
#include "tools/shoal/model_card.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kFetchTimeout = absl::Minutes(2);

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

// The file that is written last.
const char* LastFile(ExportLayout layout) {
  return layout == ExportLayout::kAdapter ? model::kAdapterConfigFile : model::kConfigFile;
}

}  // namespace

absl::Status ExportJob(Env* env, SchedulerClient* client, const Job& job, const std::string& checkpoint,
                       const std::string& folder, ExportLayout layout) {
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(env, checkpoint));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> theta, reader.ReadTheta());
  const auto write = [&](const std::string& unfinished) -> absl::Status {
    const auto fetch = [&](absl::string_view name) {
      return FetchArtifact(env, client, job.plan(), name, unfinished);
    };
    SHOAL_ASSIGN_OR_RETURN(const std::string tokenizer, fetch(kTokenizerArtifact));
    SHOAL_ASSIGN_OR_RETURN(const std::string frozen, fetch(kFrozenArtifact));
    const tasks::TrainedModel trained = {job.plan(), tokenizer, frozen, theta};
    SHOAL_RETURN_IF_ERROR(layout == ExportLayout::kModel
                              ? tasks::ExportModel(env, unfinished, trained)
                              : tasks::ExportAdapter(env, unfinished, trained, job.spec().model().from()));
    return env->WriteFileAtomic(JoinPath(unfinished, kModelCardFile),
                                ModelCard(job, reader.manifest().version()));
  };
  return WriteWholeFolder(env, folder, LastFile(layout), write);
}

bool IsHalfExported(Env* env, const std::string& folder) {
  return IsHalfWritten(env, folder, model::kConfigFile) &&
         IsHalfWritten(env, folder, model::kAdapterConfigFile);
}

}  // namespace shoal::tools
