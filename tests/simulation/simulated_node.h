// What servers and workers of a simulated cluster have in common: they join, report, die and freeze.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "proto/scheduler.pb.h"
#include "tests/simulation/simulated_cluster.h"

namespace shoal::simulation {

class SimulatedNode {
 public:
  SimulatedNode(SimulatedCluster* cluster, NodeRole role, std::string name) : cluster_(cluster) {
    join_.set_role(role);
    join_.set_name(name);
    join_.set_machine(name);
    join_.set_address(name + ":1");
  }
  virtual ~SimulatedNode() = default;

  // ---- what happens to it ----
  virtual void OnJoined() {}
  virtual void OnSessionOpened() = 0;
  virtual void OnDirective(const Directive& directive) = 0;
  // All state is gone.
  virtual void DropAll() = 0;

  void Kill() {
    alive_ = false;
    DropAll();
  }
  void FreezeUntil(absl::Time time) { frozen_until_ = std::max(frozen_until_, time); }

  // Runs `event` after `delay`, later when the node is frozen then, and never when it has died.
  void After(absl::Duration delay, std::function<void()> event) {
    cluster_->queue().After(delay, [this, event = std::move(event)] { RunWhenThawed(event); });
  }

  bool alive() const { return alive_; }
  bool frozen() const { return cluster_->queue().now() < frozen_until_; }
  uint64_t id() const { return id_; }
  void set_id(uint64_t id) { id_ = id; }
  JoinRequest& join() { return join_; }
  NodeRole role() const { return join_.role(); }
  const std::string& address() const { return join_.address(); }

 protected:
  void Report(NodeReport report) { cluster_->SendReport(this, std::move(report)); }

  SimulatedCluster* const cluster_;

 private:
  void RunWhenThawed(const std::function<void()>& event) {
    if (!alive_) return;
    if (frozen()) return After(frozen_until_ - cluster_->queue().now(), event);
    event();
  }

  JoinRequest join_;
  uint64_t id_ = 0;
  bool alive_ = true;
  absl::Time frozen_until_ = absl::InfinitePast();
};

}  // namespace shoal::simulation
