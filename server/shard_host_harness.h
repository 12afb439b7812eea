// A server with its shell, in fake time, with peers and workers' streams that the test plays, for tests of a
// job at a server (shard_host.h) with all its parts.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/storage/fault_env.h"
#include "common/storage/progress_env.h"
#include "common/storage/test_dir.h"
#include "server/server_jobs.h"
#include "server/shard_host.h"
#include "server/test_view.h"

namespace shoal::server {

inline constexpr uint64_t kElements = 32;
inline constexpr uint64_t kBlockElements = 16;

inline PrepareJob Preparation(uint64_t job) {
  PrepareJob request;
  request.set_job(job);
  JobSpec& spec = *request.mutable_spec();
  spec = PlainTestSpec(8, 1);
  spec.mutable_optimizer()->set_clip_norm(1);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(1);
  CompleteJob(&spec);
  JobPlan& plan = *request.mutable_plan();
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("weight");
  parameter.add_shape(kElements);
  parameter.mutable_init()->set_kind(Initializer::ARTIFACT);
  plan.add_group_sizes(kElements);
  plan.set_rounds(8);
  plan.set_rounds_per_epoch(4);
  plan.add_artifacts()->set_name("weights");
  return request;
}

inline View MakeView(uint64_t number, uint64_t restore_id = 1) {
  View view;
  SetKey(Key(number), &view);
  view.mutable_restore()->set_restore_id(restore_id);
  view.add_shards()->mutable_primary()->set_node_id(7);
  return view;
}

// Two blocks of zeros.
inline std::shared_ptr<const ShardSnapshot> Snapshot(uint64_t version) {
  auto snapshot = std::make_shared<ShardSnapshot>();
  snapshot->restore_id = RestoreId(1);
  snapshot->version = Version(version);
  snapshot->blocks.resize(2);
  for (uint64_t i = 0; i < 2; ++i) {
    BlockSnapshot& block = snapshot->blocks[i];
    block.block = BlockId(i);
    block.size = kBlockElements;
    const auto array = [] {
      return FloatArray(new float[kBlockElements](), [](const float* a) { delete[] a; });
    };
    block.theta = array();
    block.arrays = {{array(), kBlockElements}, {array(), kBlockElements}};
  }
  return snapshot;
}

inline NormsRequest RequestOf(uint64_t round, uint64_t view = 1) {
  NormsRequest request;
  SetKey(Key(view), &request);
  request.set_round(round);
  return request;
}

// The length of a heartbeat's queue, which must not exceed its limit.
inline uint64_t LengthOf(const Heartbeat& heartbeat, const std::string& name) {
  for (const QueueLength& queue : heartbeat.queues()) {
    if (queue.name() != name) continue;
    CHECK(queue.length() <= queue.limit());
    return queue.length();
  }
  FAIL("there is no " << name);
  return 0;
}

// Calls to peers, which end when the test says so.
class ManualPeers : public PeerLink {
 public:
  struct Call {
    std::string address;
    NormsRequest request;
    NormsDone done;
  };
  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration,
                NormsDone done) override {
    calls.push_back({address, request, std::move(done)});
  }
  void End(absl::StatusOr<Norms> answer) {
    const Call call = std::move(calls.front());
    calls.pop_front();
    call.done(std::move(answer));
  }

  std::deque<Call> calls;
};

// A worker's stream, which counts what it is told.
class TestStream : public WorkerStream {
 public:
  explicit TestStream(const ViewKey& view) : view_(view) {}
  ViewKey view() const override { return view_; }
  void Wake(BlockId) override { ++wakes; }
  void End(const absl::Status& status) override { ends.push_back(status); }

  int wakes = 0;
  std::vector<absl::Status> ends;

 private:
  const ViewKey view_;
};

// A node with a job, whose parameters come from an artifact: fetching it is what a restore waits for.
class TestServer {
 public:
  TestServer() {
    const std::string bytes(kElements * sizeof(float), '\0');
    SHOAL_CHECK_OK(PosixEnv()->WriteFileAtomic(dir / "weights", bytes));
    node_ = std::make_unique<ServerJobs>(NodeOptions());
    node_->OnJoined(NodeId(7));
    Directive directive;
    *directive.mutable_prepare_job() = Preparation(1);
    directive.mutable_prepare_job()->set_checkpoint_dir(dir / "checkpoints");
    request = directive.prepare_job();
    node_->OnDirective(directive);
    REQUIRE(reports.size() == 1);
    REQUIRE(reports[0].has_job_prepared());
    reports.clear();
  }

  void Give(const View& view) {
    Directive directive;
    *directive.mutable_view() = view;
    node_->OnDirective(directive);
  }
  ServerJobs& node() { return *node_; }
  std::shared_ptr<ShardHost> job() const { return *node_->Find(JobId(1)); }
  // The job in view 1, with a second shard at another server.
  std::shared_ptr<ShardHost> JobWithPeer() {
    View view = MakeView(1);
    view.add_shards()->mutable_primary()->set_address("10.0.0.9:1");
    Give(view);
    time.Run();
    return job();
  }

  // The views of the ViewInstalled reports so far, negative for an error.
  std::vector<int> Installed() const {
    std::vector<int> views;
    for (const NodeReport& report : reports) {
      if (!report.has_view_installed()) continue;
      const int view = static_cast<int>(report.view_installed().view());
      views.push_back(report.view_installed().error().empty() ? view : -view);
    }
    return views;
  }

  FakeTime time;
  PrepareJob request;  // of its job
  std::vector<NodeReport> reports;
  std::function<absl::Status()> on_fetch = [] { return absl::OkStatus(); };  // inside a restore
  Progress fetch_progress;                                                   // in on_fetch
  std::function<void()> on_file = [] {};  // whenever a piece is read or written, before the server knows it
  int fetches = 0;
  ManualPeers peers;
  const TestDir dir;
  FaultEnv faults{PosixEnv()};

 private:
  ServerJobs::Options NodeOptions() {
    ServerJobs::Options options;
    options.env = &env_;
    options.executors = time.factory();
    options.peers = &peers;
    options.report = [this](NodeReport report) { reports.push_back(std::move(report)); };
    options.fetch = [this](const Artifact&, const Progress& progress) -> absl::StatusOr<std::string> {
      ++fetches;
      fetch_progress = progress;
      SHOAL_RETURN_IF_ERROR(on_fetch());
      return dir / "weights";
    };
    options.max_block_elements = kBlockElements;
    return options;
  }

  ProgressEnv env_{&faults, [this](absl::string_view) { on_file(); }};
  std::unique_ptr<ServerJobs> node_;
};

}  // namespace shoal::server
