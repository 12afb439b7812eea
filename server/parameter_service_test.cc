// The data plane over real gRPC on loopback, with real threads, for the sanitizers.
#include "server/parameter_service.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/protocol/block_checksum.h"
#include "common/rpc/rpc.h"
#include "server/grpc_peer_link.h"
#include "server/job_owner.h"

namespace shoal::server {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

std::shared_ptr<const ShardConfig> MakeJob(uint64_t elements, uint64_t rounds, double clip_norm = 0) {
  JobSpec spec = PlainTestSpec(rounds, 1);
  spec.mutable_optimizer()->set_type(OPTIMIZER_TYPE_SGD);
  spec.mutable_optimizer()->set_clip_norm(clip_norm);
  CompleteJob(&spec);
  JobPlan plan;
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("weight");
  parameter.add_shape(elements);
  plan.add_group_sizes(elements / 2);
  plan.add_group_sizes(elements - elements / 2);
  plan.set_rounds(rounds);
  plan.set_rounds_per_epoch(rounds);
  const auto job = MakeShardConfig(JobId(1), spec, plan);
  SHOAL_CHECK_OK(job);
  return *job;
}

constexpr ViewKey kView = {JobId(1), TrainingId(77), ViewId(1)};

View MakeView(uint64_t number) {
  View view;
  SetKey({kView.job, kView.training, ViewId(number)}, &view);
  view.mutable_restore()->set_restore_id(1);
  view.add_shards()->mutable_primary()->set_node_id(7);
  return view;
}

// A server with one job, serving view 1.
class Server {
 public:
  explicit Server(const std::shared_ptr<const ShardConfig>& shard_config)
      : owner_(NewThreadExecutor), service_([this](JobId) { return Find(); }) {
    ShardHost::Options options;
    options.self = NodeId(7);
    options.env = PosixEnv();
    options.executors = NewThreadExecutor;
    options.peers = &peers_;
    options.report = [this](const NodeReport& report) {
      if (report.has_view_installed() && !installed_.HasBeenNotified()) installed_.Notify();
    };
    job_ = owner_.Own(std::make_unique<ShardHost>(std::move(options), shard_config));
    SHOAL_CHECK_OK(job_->Install(MakeView(1)));
    installed_.WaitForNotification();
    ServerOptions rpc;
    rpc.address = "127.0.0.1:0";
    rpc.services = {&service_};
    auto started = StartServer(rpc);
    SHOAL_CHECK_OK(started);
    rpc_ = *std::move(started);
    stub_ = ParameterService::NewStub(NewChannel(rpc_->address()));
  }
  ~Server() {
    if (job_ != nullptr) Drop();
    rpc_->Shutdown(absl::ZeroDuration());
  }

  ParameterService::Stub& stub() { return *stub_; }
  std::shared_ptr<ShardHost> job() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return job_;
  }
  // Accepts no new calls and waits for those in progress.
  void FinishCalls(absl::Duration grace) { rpc_->Shutdown(grace); }
  // Drops the job as ServerJobs does when it is over; the result expires with the last reference.
  std::weak_ptr<ShardHost> Drop() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<ShardHost> dropped;
    {
      absl::MutexLock lock(&mutex_);
      dropped.swap(job_);
    }
    dropped->Close();
    return dropped;
  }

 private:
  absl::StatusOr<std::shared_ptr<ShardHost>> Find() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (job_ == nullptr) return absl::FailedPreconditionError("no job");
    return job_;
  }

  absl::Notification installed_;
  GrpcPeerLink peers_;
  JobOwner owner_;
  ParameterServiceImpl service_;
  absl::Mutex mutex_;
  std::shared_ptr<ShardHost> job_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<ParameterService::Stub> stub_;
};

PullRequest RequestFrom(uint64_t version) {
  PullRequest request;
  SetKey(kView, &request);
  request.set_from_version(version);
  return request;
}

Contribution MakeContribution(const ShardConfig& job, uint64_t round, uint32_t block,
                              const ViewKey& view = kView) {
  Contribution message;
  ContributionHeader& header = *message.mutable_header();
  SetKey(view, &header);
  header.set_round(round);
  header.set_slot_end(1);
  header.set_block(block);
  header.mutable_stats()->set_weight(1);
  message.set_payload(std::string(job.blocks[block].size * sizeof(float), '\1'));
  const auto* bytes = reinterpret_cast<const uint8_t*>(message.payload().data());
  header.set_crc32c(BlockChecksum(header, Payload::CopyOf({bytes, message.payload().size()}).Crc32c()));
  return message;
}

// Waits until `weak` has expired.
bool IsGone(const std::weak_ptr<ShardHost>& weak) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!weak.expired()) {
    if (absl::Now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_CASE("A worker that does not read keeps no job alive, and its stream ends") {
  const auto job = MakeJob(/*elements=*/1 << 20, /*rounds=*/4);  // more than a stream's window
  Server server(job);
  grpc::ClientContext context;
  const auto stream = server.stub().Pull(&context, RequestFrom(0));
  stream->WaitForInitialMetadata();
  CHECK(IsGone(server.Drop()));
  const absl::Time start = absl::Now();
  server.FinishCalls(kPatience);  // cancels none before that
  CHECK(absl::Now() - start < kPatience / 2);
  PublishedBlock block;
  while (stream->Read(&block)) {
  }
  CHECK(!stream->Finish().ok());
}

TEST_CASE("Pulls that break and are reopened miss no version and get none twice") {
  constexpr uint64_t kRounds = 60;
  constexpr int kPullers = 3;
  const auto job = MakeJob(/*elements=*/2000, kRounds);
  Server server(job);
  absl::Mutex mutex;
  uint64_t complete[kPullers] = {};  // versions of all blocks, by puller; guarded by mutex

  const auto pull = [&](int puller) {
    std::map<uint32_t, uint64_t> next;  // version, by block
    uint64_t from = 0;
    for (int opening = 0; from <= kRounds; ++opening) {
      grpc::ClientContext context;
      SetDeadline(&context, kPatience);
      const auto stream = server.stub().Pull(&context, RequestFrom(from));
      for (uint32_t b = 0; b < job->blocks.size(); ++b) next[b] = from;
      PublishedBlock block;
      for (int i = 0; i <= opening % 7 && from <= kRounds && stream->Read(&block); ++i) {
        const PublishedHeader& header = block.header();
        if (header.version() != next[header.block()]++) return;  // the check below fails
        from = std::min_element(next.begin(), next.end(), [](const auto& a, const auto& b) {
                 return a.second < b.second;
               })->second;
        absl::MutexLock lock(&mutex);
        complete[puller] = from;
      }
      context.TryCancel();
    }
  };
  std::vector<std::thread> pullers;
  for (int i = 0; i < kPullers; ++i) pullers.emplace_back([&, i] { pull(i); });
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  const auto stream = server.stub().Push(&context);
  for (uint64_t round = 0; round < kRounds; ++round) {
    for (uint32_t b = 0; b < job->blocks.size(); ++b) {
      REQUIRE(stream->Write(MakeContribution(*job, round, b)));
    }
    // As workers do: they need a version to compute the next.
    const auto pulled = [&] {
      return std::all_of(complete, complete + kPullers, [&](uint64_t version) { return version > round; });
    };
    absl::MutexLock lock(&mutex);
    REQUIRE(mutex.AwaitWithTimeout(absl::Condition(&pulled), kPatience));
  }
  for (std::thread& each : pullers) each.join();
  for (uint64_t version : complete) CHECK(version == kRounds + 1);
  stream->WritesDone();
  CHECK(stream->Finish().ok());
}

TEST_CASE("A contribution that arrives damaged is answered, and the stream goes on") {
  const auto job = MakeJob(/*elements=*/2000, /*rounds=*/4);
  Server server(job);
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  const auto stream = server.stub().Push(&context);
  Contribution damaged = MakeContribution(*job, 0, 1);
  damaged.mutable_header()->mutable_stats()->set_loss(1e-300);
  REQUIRE(stream->Write(damaged));
  PushReply reply;
  REQUIRE(stream->Read(&reply));
  CHECK(reply.block() == 1);
  for (uint32_t b = 0; b < job->blocks.size(); ++b) REQUIRE(stream->Write(MakeContribution(*job, 0, b)));
  stream->WritesDone();
  CHECK_FALSE(stream->Read(&reply));
  CHECK(stream->Finish().ok());
  CHECK(server.job()->shard().Versions(kView)->lowest == Version(1));
}

TEST_CASE("A push stream ends with its view, or its job, though the worker sends nothing more") {
  const auto job = MakeJob(/*elements=*/2000, /*rounds=*/4);
  Server server(job);
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  const auto stream = server.stub().Push(&context);
  REQUIRE(stream->Write(MakeContribution(*job, 0, 0)));
  Contribution damaged = MakeContribution(*job, 0, 1);
  damaged.mutable_header()->mutable_stats()->set_loss(1e-300);
  REQUIRE(stream->Write(damaged));
  PushReply reply;
  REQUIRE(stream->Read(&reply));  // so both have arrived
  SECTION("view") { REQUIRE(server.job()->Install(MakeView(2)).ok()); }
  SECTION("job") { CHECK(IsGone(server.Drop())); }
  CHECK_FALSE(stream->Read(&reply));
  CHECK(stream->Finish().error_code() == grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_CASE("What is of another job, training or view is refused with both, on each call") {
  const auto job = MakeJob(/*elements=*/2000, /*rounds=*/4, /*clip_norm=*/1);
  Server server(job);
  ViewKey other = kView;
  SECTION("training") { other.training = TrainingId(78); }
  SECTION("view") { other.view = ViewId(2); }
  SECTION("job") { other.job = JobId(2); }
  const auto check = [&](const grpc::Status& status) {
    CHECK(status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
    CHECK_THAT(status.error_message(), Catch::Matchers::Contains(other.ToString()));
    CHECK_THAT(status.error_message(), Catch::Matchers::Contains(kView.ToString()));
  };
  const auto call = [&](auto method) {
    grpc::ClientContext context;
    SetDeadline(&context, kPatience);
    check(method(&context));
  };
  call([&](grpc::ClientContext* context) {
    VersionsRequest request;
    SetKey(other, &request);
    VersionsReply reply;
    return server.stub().GetVersions(context, request, &reply);
  });
  call([&](grpc::ClientContext* context) {
    NormsRequest request;
    SetKey(other, &request);
    Norms reply;
    return server.stub().GetNorms(context, request, &reply);
  });
  call([&](grpc::ClientContext* context) {
    PullRequest request;
    SetKey(other, &request);
    return server.stub().Pull(context, request)->Finish();
  });
  for (const bool first : {true, false}) {
    call([&](grpc::ClientContext* context) {
      const auto stream = server.stub().Push(context);
      if (!first) CHECK(stream->Write(MakeContribution(*job, 0, 0)));
      CHECK(stream->Write(MakeContribution(*job, 0, 1, other)));
      PushReply reply;
      CHECK_FALSE(stream->Read(&reply));
      return stream->Finish();
    });
  }
}

TEST_CASE("A worker that sends damaged contributions and reads no reply loses its stream") {
  const auto job = MakeJob(/*elements=*/2, /*rounds=*/4);
  Server server(job);
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  const auto stream = server.stub().Push(&context);
  Contribution damaged = MakeContribution(*job, 0, 1);
  damaged.mutable_header()->mutable_stats()->set_loss(1e-300);
  constexpr int kMore = 20000;  // more replies than any window has room for
  for (int i = 0; i < kMore && stream->Write(damaged); ++i) {
  }
  stream->WritesDone();
  PushReply reply;
  while (stream->Read(&reply)) {
  }
  const grpc::StatusCode code = stream->Finish().error_code();
  INFO(code);  // CANCELLED: the reply being written did not end either
  CHECK((code == grpc::StatusCode::DATA_LOSS || code == grpc::StatusCode::CANCELLED));
}

TEST_CASE("A caller that is not a peer gets no norms, and the server survives") {
  Server server(MakeJob(/*elements=*/2000, /*rounds=*/4, /*clip_norm=*/1));
  NormsRequest request;
  SetKey(kView, &request);
  request.set_shard(0);  // its own
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  Norms answer;
  const grpc::Status status = server.stub().GetNorms(&context, request, &answer);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(server.job()->shard().Versions(kView).ok());
}

TEST_CASE("Channels to addresses that are called no more don't add up") {
  constexpr size_t kAddresses = ChannelPool::kMaxChannels + 20;
  absl::Mutex mutex;
  size_t left = kAddresses;
  GrpcPeerLink link;
  for (size_t i = 0; i < kAddresses; ++i) {
    link.GetNorms(absl::StrCat("127.0.0.1:", 1 + i), NormsRequest(), absl::Milliseconds(1),
                  [&](const absl::StatusOr<Norms>&) {
                    absl::MutexLock lock(&mutex);
                    --left;
                  });
    CHECK(link.channels().size() <= ChannelPool::kMaxChannels);
  }
  const auto over = [&] { return left == 0; };
  absl::MutexLock lock(&mutex);
  CHECK(mutex.AwaitWithTimeout(absl::Condition(&over), kPatience));
}

}  // namespace
}  // namespace shoal::server
