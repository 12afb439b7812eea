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
#include "tasks/classifier.h"
#include "tools/shoal/model_card.h"

namespace shoal::tools {
namespace {

constexpr absl::Duration kFetchTimeout = absl::Minutes(2);

// The plan's vocabulary; "" when it has none. `folder` is used for a while.
absl::StatusOr<std::string> FetchTokenizer(Env* env, SchedulerClient* client, const JobPlan& plan,
                                           const std::string& folder) {
  const std::string fetched = JoinPath(folder, ".fetched");
  ArtifactStore artifacts({env, fetched, client->channel(), kFetchTimeout});
  std::string tokenizer;
  for (const Artifact& artifact : plan.artifacts()) {
    if (artifact.name() != kTokenizerArtifact) continue;
    SHOAL_ASSIGN_OR_RETURN(const std::string path, artifacts.Fetch(artifact));
    SHOAL_ASSIGN_OR_RETURN(tokenizer, env->ReadFile(path));
  }
  SHOAL_RETURN_IF_ERROR(env->DeleteTree(fetched));
  return tokenizer;
}

}  // namespace

absl::Status ExportJob(Env* env, SchedulerClient* client, const Job& job, const std::string& checkpoint,
                       const std::string& folder) {
  SHOAL_ASSIGN_OR_RETURN(const CheckpointReader reader, CheckpointReader::Open(env, checkpoint));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> theta, reader.ReadTheta());
  const auto write = [&](const std::string& unfinished) -> absl::Status {
    SHOAL_ASSIGN_OR_RETURN(const std::string tokenizer, FetchTokenizer(env, client, job.plan(), unfinished));
    SHOAL_RETURN_IF_ERROR(tasks::ExportModel(env, unfinished, job.plan(), tokenizer, theta));
    return env->WriteFileAtomic(JoinPath(unfinished, kModelCardFile),
                                ModelCard(job, reader.manifest().version()));
  };
  return WriteWholeFolder(env, folder, model::kConfigFile, write);
}

bool IsHalfExported(Env* env, const std::string& folder) {
  return IsHalfWritten(env, folder, model::kConfigFile);
}

}  // namespace shoal::tools
