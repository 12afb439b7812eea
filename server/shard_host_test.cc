// The shell around a shard, in fake time: restores, reports, the end of a job.
#include "server/shard_host.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/job/job_spec.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/payload.h"
#include "common/protocol/same_message.h"
#include "common/storage/fault_env.h"
#include "common/storage/progress_env.h"
#include "common/storage/test_dir.h"
#include "server/job_owner.h"
#include "server/server_node.h"
#include "server/test_job.h"

namespace shoal::server {
namespace {

constexpr uint64_t kElements = 32;
constexpr uint64_t kBlockElements = 16;

// Calls to peers, which end when the test says so.
class Peers : public PeerLink {
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

PrepareJob Preparation(uint64_t job) {
  PrepareJob request;
  request.set_job(job);
  JobSpec& spec = *request.mutable_spec();
  spec = TestSpec(8, 1);
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

ViewKey Key(uint64_t view) { return {JobId(1), TrainingId(77), ViewId(view)}; }

View MakeView(uint64_t number, uint64_t restore_id = 1) {
  View view;
  SetKey(Key(number), &view);
  view.mutable_restore()->set_restore_id(restore_id);
  view.add_shards()->mutable_primary()->set_node_id(7);
  return view;
}

class Stream : public WorkerStream {
 public:
  explicit Stream(const ViewKey& view) : view_(view) {}
  ViewKey view() const override { return view_; }
  void Wake(BlockId) override { ++wakes; }
  void End(const absl::Status& status) override { ends.push_back(status); }

  int wakes = 0;
  std::vector<absl::Status> ends;

 private:
  const ViewKey view_;
};

// A node with a job, whose parameters come from an artifact: fetching it is what a restore waits for.
class Server {
 public:
  Server() {
    const std::string bytes(kElements * sizeof(float), '\0');
    SHOAL_CHECK_OK(PosixEnv()->WriteFileAtomic(dir / "weights", bytes));
    node_ = std::make_unique<ServerNode>(NodeOptions());
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
  ServerNode& node() { return *node_; }
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
  Peers peers;
  const TestDir dir;
  FaultEnv faults{PosixEnv()};

 private:
  ServerNode::Options NodeOptions() {
    ServerNode::Options options;
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
  std::unique_ptr<ServerNode> node_;
};

// ---- restores ----

TEST_CASE("A view is installed by the executor, and requests of the older one are refused at once") {
  Server server;
  server.Give(MakeView(1));
  CHECK(server.Installed().empty());
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  REQUIRE(server.job()->shard().Versions(Key(1)).ok());
  server.Give(MakeView(2));
  CHECK(absl::IsFailedPrecondition(server.job()->shard().Versions(Key(1)).status()));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1, 2});
  CHECK(server.fetches == 1);  // the state was kept
}

TEST_CASE(
    "An older view than one that came before is of an older store: the job is dropped, and that is said") {
  Server server;
  server.Give(MakeView(2));
  server.time.Run();
  server.reports.clear();
  server.Give(MakeView(1));
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_refused().outdated_training() == 77);
  CHECK_FALSE(server.reports[0].job_refused().fatal());
  CHECK_FALSE(server.node().Find(JobId(1)).ok());
}

TEST_CASE("A server whose disk does not let former jobs go takes on no more of them than it has room for") {
  Server server;
  Directive directive;
  for (uint64_t number = 2; number < 9; ++number) {
    server.reports.clear();
    *directive.mutable_prepare_job() = Preparation(number);
    server.node().OnDirective(directive);
    CHECK(server.reports.size() == (number > 3 ? 0 : 1));  // nothing runs, so none is destroyed
  }
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).job() == 8);
  CHECK_THAT(heartbeat.activities(0).detail(), Catch::Matchers::Contains("3 former jobs"));
  server.time.Run();  // the disk answers
  server.node().OnDirective(directive);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_prepared().job() == 8);
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
}

TEST_CASE("A newer view of the same restore point takes over what is being loaded") {
  Server server;
  server.on_fetch = [&] {
    server.Give(MakeView(2));
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{2});
  CHECK(server.fetches == 1);
  CHECK(server.job()->shard().Versions(Key(2)).ok());
}

TEST_CASE("A newer restore point drops what is being loaded") {
  Server server;
  server.on_fetch = [&] {
    if (server.fetches == 1) server.Give(MakeView(2, /*restore_id=*/2));
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{2});
  CHECK(server.fetches == 2);
}

TEST_CASE("Closing the job, or losing the lease, ends a running restore without a report") {
  const bool by_lease = GENERATE(false, true);
  Server server;
  server.on_fetch = [&] {
    Directive close;
    close.mutable_close_job()->set_job(1);
    by_lease ? server.node().OnLeaseLost() : server.node().OnDirective(close);
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  const std::weak_ptr<ShardHost> job = server.job();
  server.time.RunFor(absl::Seconds(10));
  CHECK(server.reports.empty());
  CHECK(job.expired());
  CHECK(absl::IsFailedPrecondition(server.node().Find(JobId(1)).status()));
}

TEST_CASE("A failed restore is reported, again in a new session, and retried when the view comes again") {
  Server server;
  server.on_fetch = [] { return absl::NotFoundError("no such weights"); };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{-1});
  server.node().OnSessionOpened();
  CHECK(server.Installed() == std::vector<int>{-1, -1});
  server.on_fetch = [] { return absl::OkStatus(); };
  server.Give(MakeView(1));
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{-1, -1, 1});
}

TEST_CASE("A restore reports what it loads and how long it has made no progress") {
  Server server;
  Heartbeat during;
  server.on_fetch = [&] {
    during = server.node().MakeHeartbeat();
    return absl::NotFoundError("no such weights");
  };
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  server.Give(MakeView(1));
  REQUIRE(server.node().MakeHeartbeat().activities_size() == 1);  // also while it waits
  server.time.Run();
  REQUIRE(during.activities_size() == 1);
  CHECK(during.activities(0).kind() == ACTIVITY_RESTORE);
  CHECK(during.activities(0).job() == 1);
  CHECK(during.activities(0).view() == 1);
  CHECK(during.activities(0).detail() == "loads the initial parameters");
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
}

TEST_CASE(
    "A request with the same number for another job replaces the current one; the same request does not") {
  Server server;
  const std::shared_ptr<ShardHost> first = server.job();
  PrepareJob request = server.request;
  SECTION("the same") {}
  SECTION("another spec") { request.mutable_spec()->set_seed(5); }
  SECTION("another plan") { request.mutable_plan()->set_rounds_per_epoch(2); }
  SECTION("another folder") { request.set_checkpoint_dir("/elsewhere"); }
  const bool same = SameMessage(request, server.request);
  Directive directive;
  *directive.mutable_prepare_job() = request;
  server.node().OnDirective(directive);
  CHECK((server.job() == first) == same);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_prepared().job() == 1);
}

TEST_CASE("A view of another training ends the job here, which is refused and can be prepared again") {
  Server server;
  server.Give(MakeView(5));
  server.time.Run();
  const auto stream = std::make_shared<Stream>(Key(5));
  REQUIRE(server.job()->Attach(stream).ok());
  server.reports.clear();
  View other = MakeView(1);
  other.set_training_id(78);
  server.Give(other);
  server.time.Run();
  CHECK(absl::IsFailedPrecondition(server.node().Find(JobId(1)).status()));
  CHECK(stream->ends.size() == 1);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_refused().job() == 1);
  CHECK_FALSE(server.reports[0].job_refused().fatal());
  Directive directive;
  *directive.mutable_prepare_job() = server.request;
  server.node().OnDirective(directive);
  server.Give(other);
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  CHECK(server.job()->shard().Versions(KeyOf(other)).ok());
}

// ---- checkpoints ----

std::shared_ptr<const ShardSnapshot> Snapshot(uint64_t version) {
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
    block.moments = {array(), array()};
  }
  return snapshot;
}

TEST_CASE("Arriving contributions are an activity of the job, idle since a heartbeat last saw new ones") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  const std::vector<uint8_t> bytes(kBlockElements * sizeof(float));
  ContributionHeader header;
  SetKey(Key(1), &header);
  header.set_slot_end(1);
  header.set_wire(server.request.spec().train().wire());
  const Payload payload = Payload::CopyOf(bytes);
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  REQUIRE(server.job()->shard().Contribute(header, payload).ok());
  REQUIRE(server.node().MakeHeartbeat().activities_size() == 1);
  server.time.RunFor(absl::Seconds(3));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  CHECK(heartbeat.activities(0).kind() == ACTIVITY_TRANSFER);
  CHECK(heartbeat.activities(0).job() == 1);
  CHECK(heartbeat.activities(0).idle_seconds() == 3);
}

TEST_CASE("A new session gets the statistics of the last rounds that are kept, in order, each once") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  constexpr uint64_t kRounds = ShardHost::kMaxRounds + 50;
  for (uint64_t round = 0; round < kRounds; ++round) {
    ShardProgress progress;
    progress.add_rounds()->set_round(round);
    server.job()->OnProgress(progress);
  }
  server.time.RunFor(absl::Seconds(1));
  server.reports.clear();
  server.node().OnSessionOpened();
  std::vector<uint64_t> rounds;
  for (const NodeReport& report : server.reports) {
    for (const RoundStats& stats : report.shard_progress().rounds()) rounds.push_back(stats.round());
  }
  REQUIRE(rounds.size() == ShardHost::kMaxRounds);
  for (uint64_t i = 0; i < rounds.size(); ++i) REQUIRE(rounds[i] == kRounds - rounds.size() + i);
}

TEST_CASE("A new session gets the reports of the last checkpoints, and no more than are kept") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  for (uint64_t version = 1; version <= CheckpointWriter::kMaxWritten + 20; ++version) {
    server.job()->OnSnapshotLost(*Snapshot(version), absl::ResourceExhaustedError("no memory"));
  }
  server.reports.clear();
  server.node().OnSessionOpened();
  std::vector<uint64_t> versions;
  for (const NodeReport& report : server.reports) {
    if (report.has_shard_written()) versions.push_back(report.shard_written().version());
  }
  REQUIRE(versions.size() == CheckpointWriter::kMaxWritten);
  CHECK(versions.front() == 21);
}

TEST_CASE("Streams beyond those of any number of workers are refused, until one has ended") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  std::vector<std::shared_ptr<Stream>> streams;
  for (size_t i = 0; i < WorkerStreams::kMaxStreams; ++i) {
    streams.push_back(std::make_shared<Stream>(Key(1)));
    REQUIRE(server.job()->Attach(streams.back()).ok());
  }
  const auto another = std::make_shared<Stream>(Key(1));
  CHECK(absl::IsResourceExhausted(server.job()->Attach(another)));
  server.job()->Detach(streams[7]);
  CHECK(server.job()->Attach(another).ok());
}

TEST_CASE("Snapshots waiting for a slow disk are bounded and shown, and dropped ones are reported") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  server.reports.clear();
  for (uint64_t version = 1; version <= 5; ++version) server.job()->OnSnapshot(Snapshot(version));
  server.job()->OnSnapshot(Snapshot(8));  // the last one
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).kind() == ACTIVITY_WRITE_CHECKPOINT);
  CHECK(heartbeat.activities(0).detail() == "about to write; 3 snapshots wait, 0 MiB");
  const auto written = [&](bool well) {
    std::vector<uint64_t> versions;
    for (const NodeReport& report : server.reports) {
      if (report.has_shard_written() && report.shard_written().error().empty() == well)
        versions.push_back(report.shard_written().version());
    }
    return versions;
  };
  const std::vector<uint64_t> given_up = written(false);
  CHECK(given_up.size() == 3);
  server.time.Run();
  CHECK(written(false) == given_up);
  const std::vector<uint64_t> kept = written(true);
  REQUIRE(kept.size() == 3);
  CHECK(kept.back() == 8);
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  server.node().OnSessionOpened();  // all are reported again
  CHECK(written(true).size() == 6);
  CHECK(written(false).size() == 6);
}

TEST_CASE(
    "A checkpoint is reported with its blocks' checksums; one with a parameter that is not finite is "
    "refused") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  server.reports.clear();
  server.job()->OnSnapshot(Snapshot(1));
  const auto snapshot = Snapshot(2);
  snapshot->blocks[1].theta.get()[3] = std::numeric_limits<float>::quiet_NaN();
  server.job()->OnSnapshot(snapshot);
  server.time.Run();
  std::vector<ShardWritten> written;
  for (const NodeReport& report : server.reports) {
    if (report.has_shard_written()) written.push_back(report.shard_written());
  }
  REQUIRE(written.size() == 2);
  CHECK(written[0].error().empty());
  CHECK(written[0].block_crc32c_size() == 6);  // two blocks: θ and two moments
  CHECK_FALSE(written[0].not_finite());
  CHECK_THAT(written[1].error(),
             Catch::Matchers::Contains("block 1: a parameter is infinite or not a number"));
  CHECK(written[1].not_finite());
}

// Of the ShardWritten reports so far: the version, negative for an error, and whether it is retried.
std::vector<std::pair<int, bool>> WrittenBy(const Server& server) {
  std::vector<std::pair<int, bool>> all;
  for (const NodeReport& report : server.reports) {
    if (!report.has_shard_written()) continue;
    const ShardWritten& written = report.shard_written();
    const int version = static_cast<int>(written.version());
    all.emplace_back(written.error().empty() ? version : -version, written.retried());
  }
  return all;
}

TEST_CASE("A snapshot for which there is no room is kept, told at once, and written when there is") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, GENERATE(ENOSPC, EDQUOT, EROFS)}});
  server.job()->OnSnapshot(Snapshot(8));  // the last one
  server.time.Run();
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{-8, true}});
  CHECK_THAT(server.reports.back().shard_written().error(), Catch::Matchers::Contains("version-8.1.partial"));
  server.time.RunFor(absl::Minutes(20));
  for (const auto& [version, retried] : WrittenBy(server)) CHECK((version == -8 && retried));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).detail() == "can't write version 8, trying again");
  CHECK(heartbeat.activities(0).idle_seconds() < 6);  // it does not hang
  server.reports.clear();
  server.faults.SetRules({});
  server.time.RunFor(absl::Seconds(6));
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{8, false}});
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
}

TEST_CASE("On a full disk a snapshot that only serves to restart from gives way to the next") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, ENOSPC}});
  server.job()->OnSnapshot(Snapshot(1));
  server.time.Run();
  server.job()->OnSnapshot(Snapshot(2));
  server.time.RunFor(absl::Seconds(1));
  server.faults.SetRules({});
  server.time.RunFor(absl::Seconds(6));
  const auto written = WrittenBy(server);
  CHECK(std::count(written.begin(), written.end(), std::make_pair(-1, false)) == 1);
  CHECK(std::count(written.begin(), written.end(), std::make_pair(1, false)) == 0);
  CHECK(written.back() == std::make_pair(2, false));
}

TEST_CASE("An I/O error is not a full disk: it is reported, and not retried") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  server.faults.SetRules({{"shard-", 0, 0, EIO}});
  server.job()->OnSnapshot(Snapshot(8));
  server.time.RunFor(absl::Minutes(1));
  CHECK(WrittenBy(server) == std::vector<std::pair<int, bool>>{{-8, false}});
}

TEST_CASE("A restore tells missing storage and I/O errors from damage") {
  Server server;
  View view = MakeView(1);
  view.mutable_restore()->set_version(3);
  RestoreTrouble expected = RESTORE_TROUBLE_NONE;
  SECTION("the folder is missing") {
    view.mutable_restore()->set_checkpoint(server.dir / "nowhere/version-3");
    expected = RESTORE_TROUBLE_STORAGE;
  }
  SECTION("the version is missing") {
    view.mutable_restore()->set_checkpoint(server.dir / "version-3");
    expected = RESTORE_TROUBLE_DAMAGED;
  }
  SECTION("a sector is bad") {
    view.mutable_restore()->set_checkpoint(server.dir / "version-3");
    server.faults.SetRules({{"version-3", 0, 0, EIO}});
    expected = RESTORE_TROUBLE_UNREADABLE;
  }
  server.Give(view);
  server.time.Run();
  bool told = false;
  for (const NodeReport& report : server.reports) {
    if (!report.has_view_installed()) continue;
    told = true;
    CHECK(report.view_installed().trouble() == expected);
  }
  CHECK(told);
}

TEST_CASE("A long restore or write shows progress with each piece that is fetched, read or written") {
  constexpr double kPieceSeconds = 100;
  Server server;
  std::vector<ActivityKind> kinds;  // of each piece
  const auto piece = [&] {
    server.time.RunFor(absl::Seconds(kPieceSeconds));
    const Heartbeat heartbeat = server.node().MakeHeartbeat();
    REQUIRE(heartbeat.activities_size() == 1);
    CHECK(heartbeat.activities(0).idle_seconds() <= 2 * kPieceSeconds);  // opening a file is two
    kinds.push_back(heartbeat.activities(0).kind());
  };
  server.on_file = piece;
  server.on_fetch = [&] {
    for (int i = 0; i < 3; ++i) {
      piece();
      server.fetch_progress("fetches");
    }
    return absl::OkStatus();
  };
  server.Give(MakeView(1));
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  CHECK(kinds.size() >= 5);  // two blocks are read
  CHECK(kinds == std::vector<ActivityKind>(kinds.size(), ACTIVITY_RESTORE));
  kinds.clear();
  server.job()->OnSnapshot(Snapshot(1));
  server.time.Run();
  CHECK(kinds.size() >= 7);  // the header and six tensors
  CHECK(kinds == std::vector<ActivityKind>(kinds.size(), ACTIVITY_WRITE_CHECKPOINT));
}

// ---- norms ----

NormsRequest RequestOf(uint64_t round, uint64_t view = 1) {
  NormsRequest request;
  SetKey(Key(view), &request);
  request.set_round(round);
  return request;
}

// Of shard 1 of two.
Norms AnswerOf(uint64_t round, double squared_norm, uint64_t view = 1) {
  Norms norms;
  SetKey(Key(view), &norms);
  norms.set_shard(1);
  norms.set_round(round);
  norms.add_squared_norms(squared_norm);
  norms.set_crc32c(NormsChecksum(norms));
  return norms;
}

TEST_CASE("A peer that does not answer is shown until it does, and has one call at a time") {
  Server server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_node_id(9);
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  const std::shared_ptr<ShardHost> job = server.job();
  for (uint64_t round = 0; round < 100; ++round) job->AskNorms(ViewId(1), 1, RequestOf(round));
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].address == "10.0.0.9:1");
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
  server.peers.End(absl::UnavailableError("connection refused"));
  server.time.RunFor(absl::Seconds(3));
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.unreachable_size() == 1);
  CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
  CHECK(heartbeat.unreachable(0).error() == "connection refused");
  CHECK(heartbeat.unreachable(0).seconds() == Approx(3));
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].request.round() == 99);  // the newest; no others are needed
  server.peers.End(absl::FailedPreconditionError("another view"));
  server.time.RunFor(absl::Seconds(1));
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
  REQUIRE(server.peers.calls.size() == 1);
  job->AskNorms(ViewId(1), 1, RequestOf(100));
  server.peers.End(Norms());
  server.time.Run();
  REQUIRE(server.peers.calls.size() == 1);
  CHECK(server.peers.calls[0].request.round() == 100);
}

TEST_CASE(
    "A peer that is not complete yet is asked again when it asks itself, or after a while, until it is") {
  Server server;
  const std::shared_ptr<ShardHost> job = server.JobWithPeer();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(Norms());
  server.time.RunFor(absl::Milliseconds(100));
  CHECK(server.peers.calls.empty());
  SECTION("at once") {
    job->AskNorms(ViewId(1), 1, RequestOf(0));
    REQUIRE(server.peers.calls.size() == 1);
    job->AskNorms(ViewId(1), 1, RequestOf(0));  // while it is being asked
    CHECK(server.peers.calls.size() == 1);
    server.peers.End(Norms());
    server.time.Run();
  }
  SECTION("after a while") { server.time.RunFor(absl::Seconds(1)); }
  REQUIRE(server.peers.calls.size() == 1);
  server.peers.End(AnswerOf(0, 1.5));
  server.time.RunFor(absl::Seconds(10));
  CHECK(server.peers.calls.empty());
}

TEST_CASE("A peer that answers with different norms than before is shown, in each view of that state") {
  Server server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  server.job()->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(AnswerOf(0, 1.5));
  server.time.Run();
  SetKey(Key(2), &view);
  server.Give(view);
  server.time.Run();
  server.job()->AskNorms(ViewId(2), 1, RequestOf(0, 2));
  for (const double norm : {1.25, 1.5}) {
    REQUIRE(server.peers.calls.size() == 1);
    server.peers.End(AnswerOf(0, norm, 2));
    server.time.RunFor(absl::Seconds(3));
    const Heartbeat heartbeat = server.node().MakeHeartbeat();
    REQUIRE(heartbeat.unreachable_size() == 1);
    CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
    CHECK_THAT(heartbeat.unreachable(0).error(),
               Catch::Matchers::Contains("two different values were received"));
  }
}

TEST_CASE(
    "A peer that refuses norms, or answers with wrong ones, is asked less often and shown until it "
    "recovers") {
  Server server;
  View view = MakeView(1);
  NodeRef& peer = *view.add_shards()->mutable_primary();
  peer.set_name("server-2");
  peer.set_address("10.0.0.9:1");
  server.Give(view);
  server.time.Run();
  const std::shared_ptr<ShardHost> job = server.job();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  absl::StatusOr<Norms> answer = AnswerOf(0, 1);
  std::string reason;
  SECTION("it refuses") {
    answer = absl::InvalidArgumentError("norms of shard 0: -1, expected a non-negative number");
    reason = "norms of round 0 refused: norms of shard 0: -1, expected a non-negative number";
  }
  SECTION("of another round") {
    answer->set_round(7);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004d, view 1, shard "
        "1, round 7; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("of another shard") {
    answer->set_shard(0);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004d, view 1, shard "
        "0, round 0; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("of another training") {
    answer->set_training_id(78);
    reason =
        "norms of round 0 refused: it answers with norms of job 1, training 000000000000004e, view 1, shard "
        "1, round 0; expected job 1, training 000000000000004d, view 1, shard 1, round 0";
  }
  SECTION("damaged") {
    answer->set_crc32c(1);
    reason = "norms of round 0 refused: norms of shard 1 in round 0: damaged in transit (checksum mismatch)";
  }
  int calls = 0;
  for (int i = 0; i < 6000; ++i) {  // a minute
    if (!server.peers.calls.empty()) {
      server.peers.End(answer);
      ++calls;
    }
    server.time.RunFor(absl::Milliseconds(10));
  }
  CHECK(calls > 25);
  CHECK(calls < 60);
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.unreachable_size() == 1);
  CHECK(heartbeat.unreachable(0).peer().name() == "server-2");
  CHECK(heartbeat.unreachable(0).error() == reason);
  CHECK(heartbeat.unreachable(0).seconds() == Approx(60));
  server.time.RunFor(absl::Seconds(2));
  REQUIRE(server.peers.calls.size() == 1);
  server.peers.End(Norms());
  server.time.Run();
  CHECK(server.node().MakeHeartbeat().unreachable_size() == 0);
}

TEST_CASE("An answer that arrives after the job is gone is ignored") {
  Server server;
  server.JobWithPeer()->AskNorms(ViewId(1), 1, RequestOf(0));
  REQUIRE(server.peers.calls.size() == 1);
  server.node().OnLeaseLost();
  server.time.Run();
  server.peers.End(absl::UnavailableError("too late"));
  server.time.RunFor(absl::Seconds(3));
  CHECK(server.peers.calls.empty());
}

TEST_CASE("A closed job that somebody still holds writes, asks and reports nothing more") {
  Server server;
  const std::shared_ptr<ShardHost> job = server.JobWithPeer();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(absl::UnavailableError("connection refused"));  // would be asked again after a while
  job->OnSnapshot(Snapshot(1));
  server.reports.clear();
  server.node().OnLeaseLost();
  server.time.RunFor(absl::Minutes(1));
  CHECK(server.reports.empty());
  CHECK(server.peers.calls.empty());
  CHECK_FALSE(server.faults.FileExists(server.dir / "checkpoints"));
}

// ---- streams ----

TEST_CASE(
    "A stream ends when its view or its job is over, and one of another view or training never begins") {
  Server server;
  server.Give(MakeView(1));
  server.time.Run();
  ViewKey foreign = Key(1);
  foreign.training = TrainingId(78);
  const auto first = std::make_shared<Stream>(Key(1)), second = std::make_shared<Stream>(Key(2));
  const std::shared_ptr<ShardHost> job = server.job();
  REQUIRE(job->Attach(first).ok());
  CHECK(absl::IsFailedPrecondition(job->Attach(second)));
  CHECK(absl::IsFailedPrecondition(job->Attach(std::make_shared<Stream>(foreign))));
  server.Give(MakeView(2));
  CHECK(first->ends.size() == 1);
  CHECK(absl::IsFailedPrecondition(job->Attach(first)));
  REQUIRE(job->Attach(second).ok());
  server.node().OnLeaseLost();
  REQUIRE(second->ends.size() == 1);
  CHECK(absl::IsFailedPrecondition(second->ends[0]));
  CHECK(absl::IsFailedPrecondition(job->Attach(second)));
}

// ---- the end ----

TEST_CASE("A job whose last reference is held by its own thread is destroyed on another one") {
  Peers peers;
  const PrepareJob request = Preparation(1);
  const auto shard_config = MakeShardConfig(JobId(1), request.spec(), request.plan(), kBlockElements);
  REQUIRE(shard_config.ok());
  ShardHost::Options options;
  options.env = PosixEnv();
  options.executors = NewThreadExecutor;
  options.peers = &peers;
  absl::Notification destroyed;
  options.report = [end = std::shared_ptr<void>(nullptr, [&](void*) { destroyed.Notify(); })](NodeReport) {};
  JobOwner owner(NewThreadExecutor);
  std::shared_ptr<ShardHost> job = owner.Own(std::make_unique<ShardHost>(std::move(options), *shard_config));
  absl::Notification let_go;
  job->Execute([last = job, &let_go] { let_go.WaitForNotification(); });
  job.reset();
  let_go.Notify();
  CHECK(destroyed.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_CASE("A job whose disk hangs does not keep another one from being destroyed") {
  const TestDir dir;
  Peers peers;
  FaultEnv env(PosixEnv(), {{"hung", 0, 0, kFaultHang}});
  const PrepareJob request = Preparation(1);
  const auto shard_config = MakeShardConfig(JobId(1), request.spec(), request.plan(), kBlockElements);
  REQUIRE(shard_config.ok());
  JobOwner owner(NewThreadExecutor);
  const auto make = [&](const std::string& folder, absl::Notification* destroyed) {
    ShardHost::Options options;
    options.self = NodeId(7);
    options.env = &env;
    options.checkpoint_dir = dir / folder;
    options.executors = NewThreadExecutor;
    options.peers = &peers;
    options.report = [end = std::shared_ptr<void>(nullptr, [=](void*) { destroyed->Notify(); })](NodeReport) {
    };
    return owner.Own(std::make_unique<ShardHost>(std::move(options), *shard_config));
  };
  absl::Notification first, second;
  std::shared_ptr<ShardHost> hung = make("hung", &first), other = make("other", &second);
  View view = MakeView(1);
  view.mutable_restore()->set_checkpoint(dir / "hung/version-0");
  REQUIRE(hung->Install(view).ok());
  REQUIRE(env.WaitForHang(absl::Seconds(30)));
  hung.reset();
  other.reset();
  CHECK(second.WaitForNotificationWithTimeout(absl::Seconds(30)));
  CHECK_FALSE(first.HasBeenNotified());
  env.SetRules({});
  CHECK(first.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

}  // namespace
}  // namespace shoal::server
