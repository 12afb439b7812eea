#include "tests/simulation/simulated_server.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "tests/simulation/simulated_job.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kNormRetry = absl::Milliseconds(5);

}  // namespace

SimulatedServer::SimulatedServer(SimulatedCluster* cluster, std::string name)
    : SimulatedNode(cluster, NODE_ROLE_SERVER, std::move(name)), source_(&cluster->storage()) {}

void SimulatedServer::DropAll() {
  ++life_;
  for (const auto& pull : pulls_) pull->open = false;
  pulls_.clear();
  shard_.reset();
  job_.reset();
  written_.clear();
  view_.Clear();
}

// ---- control ----

void SimulatedServer::OnSessionOpened() {
  if (shard_ == nullptr) return;
  NodeReport prepared;
  prepared.mutable_job_prepared()->set_job(job_->job.value());
  Report(std::move(prepared));
  if (view_.view() == 0) return;
  ReportInstalled("");
  for (const NodeReport& written : written_) Report(written);
}

void SimulatedServer::OnDirective(const Directive& directive) {
  if (directive.has_prepare_job()) Prepare(directive.prepare_job());
  if (directive.has_view()) Install(directive.view());
  if (directive.has_close_job() && job_ != nullptr && job_->job.value() == directive.close_job().job())
    DropAll();
}

void SimulatedServer::Prepare(const PrepareJob& request) {
  if (job_ == nullptr || job_->job.value() != request.job()) {
    DropAll();
    const auto job =
        server::MakeShardJob(JobId(request.job()), request.spec(), request.plan(), kSimulatedBlockElements);
    SHOAL_CHECK_OK(job);
    job_ = *job;
    checkpoint_dir_ = request.checkpoint_dir();
    shard_ = std::make_unique<server::JobShard>(job_, NodeId(id()), this, &source_);
  }
  NodeReport report;
  report.mutable_job_prepared()->set_job(request.job());
  Report(std::move(report));
}

void SimulatedServer::Install(const View& view) {
  if (shard_ == nullptr || view.job() != job_->job.value() || view.view() < view_.view()) return;
  if (view.view() == view_.view()) return ReportInstalled("");
  for (const auto& pull : pulls_) {
    pull->open = false;
    After(cluster_->Delay(), [pull] { pull->end(absl::FailedPreconditionError("view over")); });
  }
  pulls_.clear();
  if (view.restore().restore_id() != view_.restore().restore_id()) written_.clear();
  const absl::Status status = shard_->Install(view);
  if (status.ok()) view_ = view;
  ReportInstalled(std::string(status.message()));
}

void SimulatedServer::ReportInstalled(const std::string& error) {
  NodeReport report;
  report.mutable_view_installed()->set_job(view_.job());
  report.mutable_view_installed()->set_view(view_.view());
  report.mutable_view_installed()->set_error(error);
  Report(std::move(report));
  if (const auto progress = shard_->Progress()) OnProgress(*progress);
}

// ---- data ----

absl::StatusOr<server::ContributionResult> SimulatedServer::Contribute(const ContributionHeader& header,
                                                                       Payload payload) {
  if (shard_ == nullptr) return absl::FailedPreconditionError("no job");
  return shard_->Contribute(header, std::move(payload));
}

absl::StatusOr<server::VersionRange> SimulatedServer::Versions(ViewId view) {
  if (shard_ == nullptr) return absl::FailedPreconditionError("no job");
  return shard_->Versions(view);
}

absl::StatusOr<Norms> SimulatedServer::ExchangeNorms(const Norms& norms) {
  if (shard_ == nullptr) return absl::FailedPreconditionError("no job");
  return shard_->OnNorms(norms);
}

void SimulatedServer::Subscribe(std::shared_ptr<SimulatedPull> pull) {
  const auto refuse = [&](const absl::Status& status) {
    pull->open = false;
    After(cluster_->Delay(), [pull, status] { pull->end(status); });
  };
  if (shard_ == nullptr) return refuse(absl::FailedPreconditionError("no job"));
  const auto blocks = shard_->Blocks(pull->view);
  if (!blocks.ok()) return refuse(blocks.status());
  pull->owed.emplace(pull->from, *blocks);
  pulls_.push_back(pull);
  Feed(pull);
}

void SimulatedServer::Feed(const std::shared_ptr<SimulatedPull>& pull) {
  const auto lookup = [&](BlockId block, Version version) {
    return shard_->Published(pull->view, block, version);
  };
  while (pull->open) {
    const auto next = pull->owed->Next(lookup);
    if (!next.ok()) {
      pull->open = false;
      After(cluster_->Delay(), [pull, status = next.status()] { pull->end(status); });
      return;
    }
    if (!*next) return;
    Send(pull, (*next)->block, (*next)->published);
  }
}

void SimulatedServer::Send(const std::shared_ptr<SimulatedPull>& pull, BlockId block,
                           const server::PublishedVersion& published) {
  if (!pull->open) return;
  EventQueue& queue = cluster_->queue();
  if (queue.Chance(cluster_->hardship().break_stream)) {
    pull->open = false;
    queue.After(cluster_->Delay(), [pull] { pull->end(absl::UnavailableError("broken")); });
    return;
  }
  pull->last = std::max(pull->last, queue.now() + cluster_->Delay());
  queue.After(pull->last - queue.now(), [pull, block, published] { pull->deliver(published, block); });
}

// ---- JobShardHost ----

void SimulatedServer::OnPublished(ViewId view, BlockId block) {
  for (const auto& pull : pulls_) {
    if (pull->view != view) continue;
    pull->owed->Signal(block);
    Feed(pull);
  }
}

void SimulatedServer::SendNorms(ViewId view, uint32_t peer, const Norms& norms) {
  if (shard_ == nullptr || shard_->view() != view) return;
  const std::string address = view_.view() == view.value() ? view_.shards(peer).primary().address() : "";
  const uint64_t life = life_;
  const bool lost = cluster_->queue().Chance(cluster_->hardship().break_stream);
  cluster_->queue().After(cluster_->Delay(), [this, life, view, peer, norms, address, lost] {
    SimulatedServer* const other = lost ? nullptr : cluster_->ServerAt(address);
    absl::StatusOr<Norms> answer = absl::UnavailableError("nobody there");
    if (other != nullptr && !other->frozen()) answer = other->ExchangeNorms(norms);
    After(cluster_->Delay(), [this, life, view, peer, norms, answer] {
      if (life != life_ || shard_ == nullptr) return;
      if (!answer.ok()) {
        return After(kNormRetry, [this, life, view, peer, norms] {
          if (life == life_) SendNorms(view, peer, norms);
        });
      }
      if (answer->squared_norms_size() > 0) (void)shard_->OnNorms(*answer);
    });
  });
}

void SimulatedServer::OnProgress(const ShardProgress& progress) {
  NodeReport report;
  *report.mutable_shard_progress() = progress;
  Report(std::move(report));
}

void SimulatedServer::OnSnapshot(std::shared_ptr<const server::ShardSnapshot> snapshot) {
  const uint64_t life = life_;
  After(cluster_->queue().Between(absl::Milliseconds(1), absl::Milliseconds(20)), [this, life, snapshot] {
    if (life != life_) return;
    const CheckpointShard shard = cluster_->storage().WriteShard(checkpoint_dir_, *snapshot);
    NodeReport report;
    ShardWritten& written = *report.mutable_shard_written();
    written.set_job(job_->job.value());
    written.set_restore_id(snapshot->restore_id);
    written.set_version(snapshot->version.value());
    written.set_shard(snapshot->shard);
    written.set_file(shard.file());
    written.set_bytes(shard.bytes());
    written.set_sha256("simulated");
    written_.push_back(report);
    Report(std::move(report));
  });
}

}  // namespace shoal::simulation
