// A parameter server of a simulated cluster: the real JobShard behind simulated streams.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/job_shard.h"
#include "server/subscription.h"
#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_storage.h"

namespace shoal::simulation {

// A worker's Pull of one server. Shared by both ends; blocks arrive in the order they were sent.
struct SimulatedPull {
  ViewId view;
  uint32_t shard = 0;
  Version from;
  bool open = true;
  std::optional<server::Subscription> owed;
  absl::Time last;  // arrival of the newest message
  std::function<void(const server::PublishedVersion&, BlockId)> deliver;
  std::function<void(const absl::Status&)> end;
};

class SimulatedServer : public SimulatedNode, public server::JobShardHost {
 public:
  SimulatedServer(SimulatedCluster* cluster, std::string name);

  void OnSessionOpened() override;
  void OnDirective(const Directive& directive) override;
  void DropAll() override;

  // ---- data plane: called when the message arrives ----
  absl::StatusOr<server::ContributionResult> Contribute(const ContributionHeader& header, Payload payload);
  absl::StatusOr<server::VersionRange> Versions(ViewId view);
  void Subscribe(std::shared_ptr<SimulatedPull> pull);
  absl::StatusOr<Norms> ExchangeNorms(const Norms& norms);

  // ---- JobShardHost ----
  void OnPublished(ViewId view, BlockId block) override;
  void SendNorms(ViewId view, uint32_t peer, const Norms& norms) override;
  void OnProgress(const ShardProgress& progress) override;
  void OnSnapshot(std::shared_ptr<const server::ShardSnapshot> snapshot) override;

 private:
  void Prepare(const PrepareJob& request);
  void Install(const View& view);
  void Feed(const std::shared_ptr<SimulatedPull>& pull);
  void Send(const std::shared_ptr<SimulatedPull>& pull, BlockId block,
            const server::PublishedVersion& published);
  void ReportInstalled(const std::string& error);

  SimulatedSource source_;
  std::string checkpoint_dir_;
  std::shared_ptr<const server::ShardJob> job_;
  std::unique_ptr<server::JobShard> shard_;
  uint64_t life_ = 0;  // of shard_, so that late events don't reach its successor
  View view_;
  std::vector<std::shared_ptr<SimulatedPull>> pulls_;
  std::vector<NodeReport> written_;  // of the restore point: reported again in each session
};

}  // namespace shoal::simulation
