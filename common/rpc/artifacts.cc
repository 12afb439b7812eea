#include "common/rpc/artifacts.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/rpc/artifact_chunks.h"
#include "common/rpc/rpc.h"

namespace shoal {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
// How many artifacts' order of use is known.
constexpr size_t kMaxRemembered = 1000;

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
}

// Calls `attempt` with the remaining time until it succeeds, fails permanently, or `patience` has passed.
absl::Status TryFor(absl::Duration patience, const std::function<absl::Status(absl::Duration)>& attempt) {
  const absl::Time deadline = MonotonicNow() + patience;
  Backoff backoff(DrawRandom());
  while (true) {
    const absl::Status status = attempt(deadline - MonotonicNow());
    if (status.ok() || !IsTransient(status)) return status;
    const absl::Duration delay = backoff.NextDelay();
    if (MonotonicNow() + delay > deadline) return status;
    LogWarning(status.ToString(), "; trying again");
    absl::SleepFor(delay);
  }
}

}  // namespace

ArtifactStore::ArtifactStore(Options options)
    : options_(std::move(options)),
      folder_(options_.env, options_.folder),
      stub_(SchedulerService::NewStub(options_.channel)) {}

void ArtifactStore::NoteUse(const std::string& sha256) {
  absl::MutexLock lock(&mutex_);
  used_.erase(std::remove(used_.begin(), used_.end(), sha256), used_.end());
  used_.push_back(sha256);
  if (used_.size() > kMaxRemembered) used_.erase(used_.begin());
}

void ArtifactStore::MakeRoom(const std::vector<Artifact>& wanted) {
  std::set<std::string> kept;
  uint64_t room = options_.max_bytes;
  for (const Artifact& artifact : wanted) {
    const bool is_here = options_.env->FileExists(folder_.PathOf(artifact.sha256()));
    if (kept.insert(artifact.sha256()).second && !is_here) room -= std::min(room, artifact.bytes());
  }
  absl::MutexLock lock(&mutex_);
  const absl::Status status = folder_.ShrinkTo(room, kept, used_);
  if (!status.ok()) LogWarning("Can't delete an artifact that was not used for long: ", status.message());
}

absl::StatusOr<std::string> ArtifactStore::Fetch(const Artifact& artifact, const Progress& progress) {
  NoteUse(artifact.sha256());
  const absl::Status here = folder_.Verify(artifact.sha256(), progress);
  const std::string path = folder_.PathOf(artifact.sha256());
  if (here.ok()) return path;
  if (!absl::IsNotFound(here)) {
    if (!absl::IsDataLoss(here)) return here;
    LogWarning(here.message(), "; fetching it again");
  }
  const absl::Status status = TryFor(
      options_.patience, [&](absl::Duration timeout) { return FetchOnce(artifact, timeout, progress); });
  SHOAL_RETURN_IF_ERROR(Annotate(status, absl::StrCat("fetching artifact ", artifact.name())));
  return path;
}

absl::Status ArtifactStore::FetchOnce(const Artifact& artifact, absl::Duration timeout,
                                      const Progress& progress) {
  grpc::ClientContext context;
  SetDeadline(&context, timeout);
  GetArtifactRequest request;
  request.set_sha256(artifact.sha256());
  const auto stream = stub_->GetArtifact(&context, request);
  bool over = false;
  absl::Status sent;
  const absl::Status status = ReceiveArtifact(&folder_, artifact, [&](ArtifactChunk* chunk) {
    if (!stream->Read(chunk)) {
      over = true;
      sent = FromGrpcStatus(stream->Finish());
      return false;
    }
    progress(absl::StrCat("fetches artifact ", artifact.name()));
    return true;
  });
  if (!over) {
    context.TryCancel();
    stream->Finish();
  }
  SHOAL_RETURN_IF_ERROR(sent);
  if (!absl::IsDataLoss(status)) return status;
  return absl::DataLossError(
      absl::StrCat("the scheduler's copy is damaged: ", absl::string_view(status.message()),
                   "; the scheduler will have it derived again"));
}

absl::StatusOr<Artifact> ArtifactStore::Put(const std::string& name, const std::string& bytes,
                                            const Progress& progress) {
  Artifact artifact;
  artifact.set_name(name);
  artifact.set_sha256(Sha256Hex(bytes));
  artifact.set_bytes(bytes.size());
  NoteUse(artifact.sha256());
  if (!folder_.Verify(artifact.sha256(), progress).ok()) {
    size_t taken = 0;
    const absl::Status stored = folder_.Put(artifact.sha256(), bytes.size(), [&](std::string* piece) {
      piece->assign(bytes, taken, kChunkBytes);
      taken += piece->size();
      return !piece->empty();
    });
    SHOAL_RETURN_IF_ERROR(Annotate(stored, absl::StrCat("storing artifact ", name, " in --work-dir")));
  }
  const absl::Status status = TryFor(
      options_.patience, [&](absl::Duration timeout) { return PutOnce(artifact, bytes, timeout, progress); });
  SHOAL_RETURN_IF_ERROR(Annotate(status, absl::StrCat("uploading artifact ", name, " to the scheduler")));
  return artifact;
}

absl::Status ArtifactStore::PutOnce(const Artifact& artifact, const std::string& bytes,
                                    absl::Duration timeout, const Progress& progress) {
  grpc::ClientContext context;
  SetDeadline(&context, timeout);
  PutArtifactResponse response;
  const auto stream = stub_->PutArtifact(&context, &response);
  ArtifactChunks chunks(artifact.sha256());
  absl::string_view rest = bytes;
  do {
    if (!stream->Write(chunks.Next(bytes.size(), rest.substr(0, kChunkBytes)))) break;  // Finish says why
    progress(absl::StrCat("uploads artifact ", artifact.name(), " to the scheduler"));
    rest.remove_prefix(std::min(kChunkBytes, rest.size()));
  } while (!rest.empty());
  stream->WritesDone();
  return FromGrpcStatus(stream->Finish());
}

}  // namespace shoal
