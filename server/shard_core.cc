#include "server/shard_core.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/status.h"
#include "common/protocol/shard_map.h"
#include "server/shard_state.h"

namespace shoal::server {
namespace {

absl::StatusOr<uint32_t> OwnShard(const View& view, NodeId self) {
  std::optional<uint32_t> own;
  for (int i = 0; i < view.shards_size(); ++i) {
    if (view.shards(i).followers_size() > 0) {
      return absl::InvalidArgumentError("a view with followers: this version does not support replication");
    }
    if (view.shards(i).primary().node_id() != self.value()) continue;
    if (own) return absl::InvalidArgumentError("two shards on one server");
    own = i;
  }
  if (!own)
    return absl::InvalidArgumentError(absl::StrCat("view ", view.view(), " has no shard for this server"));
  return *own;
}

// For out-of-memory errors, whose exception must not escape a ParallelFor thread or a gRPC handler.
constexpr char kState[] = "the job's state";

// Allocates a block's state and has the reader fill it.
absl::StatusOr<BlockStart> LoadBlock(const ShardConfig& job, BlockId block, Version version, ArrayPool* pool,
                                     StateReader* reader) {
  const uint64_t size = job.blocks[block.value()].size;
  BlockStart start;
  start.version = version;
  start.theta = pool->Acquire(size);
  BlockContents contents;
  contents.theta = absl::MakeSpan(start.theta.get(), size);
  for (uint64_t array_size : ArraySizes(job, block)) {
    start.arrays.push_back({pool->Acquire(array_size), array_size});
    contents.arrays.push_back(start.arrays.back().span());
    std::fill(contents.arrays.back().begin(), contents.arrays.back().end(), 0.0f);
  }
  SHOAL_RETURN_IF_ERROR(Annotate(reader->Read(block, contents), absl::StrCat("block ", block.value())));
  if (job.average && version == Version(0))
    std::copy(contents.theta.begin(), contents.theta.end(), contents.arrays[*job.average].begin());
  return start;
}

}  // namespace

ShardCore::ShardCore(std::shared_ptr<const ShardConfig> job, NodeId self, ShardEffects* host,
                     StateSource* source)
    : job_(std::move(job)), self_(self), host_(host), source_(source), pool_(ArrayPool::Create()) {}

ShardCore::~ShardCore() = default;

void ShardCore::Expect(const View& view) {
  const ViewKey key = KeyOf(view);
  absl::MutexLock lock(&mutex_);
  if (key.view == newest_.view || !CheckIsNewest(key).ok()) return;
  newest_ = key;
  restore_id_ = RestoreId(view.restore().restore_id());
  serving_ = ViewId(0);
}

absl::Status ShardCore::CheckIsNewest(const ViewKey& view) const {
  if (closed_) return absl::FailedPreconditionError("the job has ended on this server");
  SHOAL_RETURN_IF_ERROR(CheckSameTraining(view, newest_));
  if (view.view >= newest_.view) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("view ", view.view.value(), " is older than view ", newest_.view.value()));
}

void ShardCore::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  serving_ = ViewId(0);
}

bool ShardCore::IsWanted(RestoreId restore_id) const {
  absl::MutexLock lock(&mutex_);
  return !closed_ && restore_id == restore_id_;
}

absl::Status ShardCore::Install(const View& view) {
  Expect(view);
  const ViewId id(view.view());
  std::shared_ptr<ShardState> held;
  {
    absl::MutexLock lock(&mutex_);
    SHOAL_RETURN_IF_ERROR(CheckIsNewest(KeyOf(view)));
    if (id == serving_) return absl::OkStatus();
    serving_ = ViewId(0);
    held = state_;
  }
  SHOAL_ASSIGN_OR_RETURN(const uint32_t shard, OwnShard(view, self_));
  absl::StatusOr<std::shared_ptr<ShardState>> made = nullptr;
  try {
    made = StateFor(view, shard, std::move(held));
  } catch (const std::bad_alloc& error) {
    made = NotEnoughMemory(error, kState);
  }
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, std::move(made));
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return absl::FailedPreconditionError("the job has ended on this server");
    // Also useful to a newer view of the same restore point.
    if (restore_id_ == RestoreId(view.restore().restore_id())) state_ = state;
    if (newest_.view != id) return absl::FailedPreconditionError("superseded by a newer view");
    serving_ = id;
  }
  state->Resume(KeyOf(view));
  return absl::OkStatus();
}

absl::Status ShardCore::CheckRestorePoint(const RestorePoint& restore) const {
  if (restore.version() > job_->length.rounds) {
    return absl::InvalidArgumentError(absl::StrCat("a restore point at version ", restore.version(),
                                                   ", but the training has ", job_->length.rounds,
                                                   " rounds"));
  }
  if (restore.checkpoint().empty() && restore.version() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a restore point at version ", restore.version(), " without a checkpoint"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ShardState>> ShardCore::StateFor(const View& view, uint32_t shard,
                                                                std::shared_ptr<ShardState> held) {
  const ShardState::Place place = {RestoreId(view.restore().restore_id()), shard,
                                   static_cast<uint32_t>(view.shards_size())};
  if (place.shards > job_->blocks.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place.shards, " shards, but only ", job_->blocks.size(), " blocks"));
  }
  if (held != nullptr && held->place().restore_id == place.restore_id) {
    if (held->place().shard == place.shard && held->place().shards == place.shards) return held;
    return absl::InvalidArgumentError("a different division into shards without a new restore point");
  }
  SHOAL_RETURN_IF_ERROR(CheckRestorePoint(view.restore()));
  {
    absl::MutexLock lock(&mutex_);
    state_.reset();  // its memory is reused below
  }
  held.reset();
  const std::vector<BlockId> blocks = ShardMap(place.shards).BlocksOf(place.shard, job_->blocks.size());
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<StateReader> reader, source_->Open(view.restore(), blocks));
  std::vector<absl::StatusOr<BlockStart>> loaded(blocks.size());
  const auto load = [&](uint64_t i) {
    if (!IsWanted(place.restore_id)) {
      loaded[i] = absl::FailedPreconditionError("superseded by a newer restore point");
      return;
    }
    try {
      loaded[i] = LoadBlock(*job_, blocks[i], Version(view.restore().version()), pool_.get(), reader.get());
    } catch (const std::bad_alloc& error) {
      loaded[i] = NotEnoughMemory(error, kState);
      return;
    }
    host_->OnBlockRestored(ViewId(view.view()), blocks.size());
  };
  if (reader->in_order()) {
    for (uint64_t i = 0; i < blocks.size(); ++i) {
      load(i);
      SHOAL_RETURN_IF_ERROR(loaded[i].status());
    }
  } else {
    host_->ParallelFor(blocks.size(), load);
  }
  std::vector<BlockStart> starts;
  for (absl::StatusOr<BlockStart>& start : loaded) {
    SHOAL_RETURN_IF_ERROR(start.status());
    starts.push_back(*std::move(start));
  }
  return std::make_shared<ShardState>(job_, place, host_, pool_, std::move(starts));
}

absl::StatusOr<std::shared_ptr<ShardState>> ShardCore::StateOf(const ViewKey& view) const {
  absl::MutexLock lock(&mutex_);
  SHOAL_RETURN_IF_ERROR(CheckKey(view, {newest_.job, newest_.training, serving_}));
  return state_;
}

absl::StatusOr<ContributionResult> ShardCore::Contribute(const ContributionHeader& header, Payload payload) {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(KeyOf(header)));
  try {
    const auto result = state->Contribute(header, std::move(payload));
    if (result.ok()) contributions_.fetch_add(1, std::memory_order_relaxed);
    return result;
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, absl::StrCat("a contribution to block ", header.block()));
  }
}

void ShardCore::ResumeUpdates() {
  std::shared_ptr<ShardState> state;
  {
    absl::MutexLock lock(&mutex_);
    state = state_;
  }
  if (state != nullptr) state->ResumeUpdates();
}

absl::StatusOr<Norms> ShardCore::GetNorms(const NormsRequest& request) {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(KeyOf(request)));
  return state->GetNorms(request);
}

absl::Status ShardCore::OnNorms(const Norms& norms) {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(KeyOf(norms)));
  return state->OnNorms(norms);
}

absl::StatusOr<PublishedVersion> ShardCore::Published(const ViewKey& view, BlockId block,
                                                      Version version) const {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(view));
  return state->Published(block, version);
}

absl::StatusOr<VersionRange> ShardCore::Versions(const ViewKey& view) const {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(view));
  return state->Versions();
}

absl::StatusOr<std::vector<BlockId>> ShardCore::Blocks(const ViewKey& view) const {
  SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardState> state, StateOf(view));
  return state->Blocks();
}

std::optional<ShardProgress> ShardCore::Progress() const {
  const auto state = StateOf(serving());
  if (!state.ok()) return std::nullopt;
  return (*state)->Progress();
}

ViewKey ShardCore::serving() const {
  absl::MutexLock lock(&mutex_);
  return {newest_.job, newest_.training, serving_};
}

}  // namespace shoal::server
