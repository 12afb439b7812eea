#include "common/artifacts.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/backoff.h"
#include "common/rpc.h"
#include "common/sha256.h"
#include "common/status.h"
#include "spdlog/spdlog.h"

namespace shoal {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kSha256Characters = 64;
// Of one attempt: the largest artifact at the slowest link worth having.
constexpr absl::Duration kAttemptTimeout = absl::Minutes(10);

bool WorthTryingAgain(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
}

// Calls `attempt` until it succeeds, fails for good, or `deadline` has passed.
absl::Status TryUntil(absl::Time deadline, const std::function<absl::Status()>& attempt) {
  Backoff backoff(absl::ToUnixNanos(absl::Now()));
  while (true) {
    const absl::Status status = attempt();
    if (status.ok() || !WorthTryingAgain(status)) return status;
    const absl::Duration delay = backoff.NextDelay();
    if (absl::Now() + delay > deadline) return status;
    spdlog::warn("{}; trying again", status.ToString());
    absl::SleepFor(delay);
  }
}

// The digest becomes a file name.
absl::Status CheckDigest(const std::string& sha256) {
  const bool hex = std::all_of(sha256.begin(), sha256.end(), absl::ascii_isxdigit);
  if (sha256.size() == kSha256Characters && hex) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", sha256, "\" is no SHA-256 of an artifact"));
}

}  // namespace

ArtifactStore::ArtifactStore(Env* env, std::string folder, std::shared_ptr<grpc::Channel> channel)
    : env_(env), folder_(std::move(folder)), stub_(SchedulerService::NewStub(channel)) {}

absl::StatusOr<std::string> ArtifactStore::Fetch(const Artifact& artifact, absl::Time deadline) {
  SHOAL_RETURN_IF_ERROR(CheckDigest(artifact.sha256()));
  const std::string path = PathOf(artifact.sha256());
  if (env_->FileExists(path)) return path;
  const absl::Status status = TryUntil(deadline, [&] { return FetchOnce(artifact, deadline); });
  SHOAL_RETURN_IF_ERROR(Annotate(status, absl::StrCat("fetching artifact ", artifact.name())));
  return path;
}

absl::Status ArtifactStore::FetchOnce(const Artifact& artifact, absl::Time deadline) {
  grpc::ClientContext context;
  SetDeadline(&context, std::min(kAttemptTimeout, deadline - absl::Now()));
  GetArtifactRequest request;
  request.set_sha256(artifact.sha256());
  const auto stream = stub_->GetArtifact(&context, request);
  std::string bytes;
  ArtifactChunk chunk;
  while (stream->Read(&chunk)) {
    bytes += chunk.data();
    if (bytes.size() > artifact.bytes()) context.TryCancel();
  }
  const absl::Status status = FromGrpcStatus(stream->Finish());
  if (bytes.size() <= artifact.bytes()) SHOAL_RETURN_IF_ERROR(status);
  if (bytes.size() != artifact.bytes() || Sha256Hex(bytes) != artifact.sha256()) {
    return absl::DataLossError(absl::StrCat("the scheduler's copy of ", artifact.sha256(), " is damaged"));
  }
  SHOAL_RETURN_IF_ERROR(env_->CreateDirs(folder_));
  return env_->WriteFileAtomic(PathOf(artifact.sha256()), bytes);
}

absl::StatusOr<Artifact> ArtifactStore::Put(const std::string& name, const std::string& bytes,
                                            absl::Time deadline) {
  Artifact artifact;
  artifact.set_name(name);
  artifact.set_sha256(Sha256Hex(bytes));
  artifact.set_bytes(bytes.size());
  SHOAL_RETURN_IF_ERROR(env_->CreateDirs(folder_));
  const std::string path = PathOf(artifact.sha256());
  if (!env_->FileExists(path)) SHOAL_RETURN_IF_ERROR(env_->WriteFileAtomic(path, bytes));
  const absl::Status status = TryUntil(deadline, [&] { return PutOnce(artifact, bytes, deadline); });
  SHOAL_RETURN_IF_ERROR(Annotate(status, absl::StrCat("giving artifact ", name, " to the scheduler")));
  return artifact;
}

absl::Status ArtifactStore::PutOnce(const Artifact& artifact, const std::string& bytes, absl::Time deadline) {
  grpc::ClientContext context;
  SetDeadline(&context, std::min(kAttemptTimeout, deadline - absl::Now()));
  PutArtifactResponse response;
  const auto stream = stub_->PutArtifact(&context, &response);
  ArtifactChunk chunk;
  chunk.set_sha256(artifact.sha256());
  chunk.set_bytes(artifact.bytes());
  size_t sent = 0;
  do {
    const size_t part = std::min(kChunkBytes, bytes.size() - sent);
    chunk.set_data(bytes.data() + sent, part);
    if (!stream->Write(chunk)) break;  // Finish says why
    sent += part;
    chunk.clear_sha256();
    chunk.clear_bytes();
  } while (sent < bytes.size());
  stream->WritesDone();
  return FromGrpcStatus(stream->Finish());
}

}  // namespace shoal
