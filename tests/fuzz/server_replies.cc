// What servers send to a worker and to each other: versions, published blocks as bytes, norms, and streams
// and calls that break in any way, correct and changed.
//
// Asserted of a worker: a block with a wrong bit is refused; a slot sees parameters of one version with
// exactly the published values, as long as nothing wrong had the right checksum; contributions go to the
// shard of their block and are nodes of the slot tree; there is at most one stream of each kind to a shard;
// what breaks is opened again once, after a pause, and what is held is pushed again. Of a server: norms are
// taken only if they are those that were asked for; a peer is asked one question at a time, and not again
// once it has answered. Afterwards both get on with correct servers.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/fake_executor.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/types.h"
#include "common/base/wire.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/block_message.h"
#include "common/protocol/blocks.h"
#include "common/protocol/payload.h"
#include "common/protocol/shard_map.h"
#include "common/protocol/slot_tree.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "server/norms_client.h"
#include "server/peer_link.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"
#include "worker/job_worker.h"
#include "worker/parameter_streams.h"
#include "worker/program.h"
#include "worker/published_check.h"
#include "worker/retrying_link.h"

namespace shoal {
namespace {

constexpr uint64_t kTraining = 77;
constexpr int kMaxEvents = 100;

// Mostly an error that ends a stream or a call; codes of any meaning.
absl::Status AnEnd(ByteSource* source) {
  return absl::Status(static_cast<absl::StatusCode>(source->Below(17)), "fuzz");
}

// ---- a worker and its servers ----

namespace worker_part {

using worker::BlockContribution;
using worker::StreamPlace;

constexpr uint64_t kSelf = 7;
constexpr uint32_t kShards = 2, kSlots = 2;
constexpr uint64_t kBlockElements = 16;
constexpr uint64_t kEnd = 1000;        // version at the end of the training
constexpr size_t kMaxShards = 64 + 2;  // of a changed view
constexpr size_t kMaxQuestions = 16;   // older ones have timed out

const std::vector<uint64_t>& GroupSizes() {
  static const auto* const sizes = new std::vector<uint64_t>{40, 24};
  return *sizes;
}
const std::vector<BlockSpec>& Blocks() {
  static const auto* const blocks = new std::vector<BlockSpec>(CutBlocks(GroupSizes(), kBlockElements));
  return *blocks;
}
std::vector<uint64_t> BlockSizes() {
  std::vector<uint64_t> sizes;
  for (const BlockSpec& block : Blocks()) sizes.push_back(block.size);
  return sizes;
}
uint64_t Elements() { return Blocks().back().offset + Blocks().back().size; }

// The parameter of a version, exact in float32.
float Parameter(uint64_t version, uint64_t element) {
  return static_cast<float>(version % kEnd * 100 + element);
}

struct Seen {
  bool wrong = false;                // changed blocks had the right checksum
  std::set<uint64_t> rounds;         // that were run
  std::set<uint32_t> pushed_blocks;  // of any round
};

class CheckedProgram : public worker::Program {
 public:
  explicit CheckedProgram(Seen* seen) : seen_(seen) {}
  absl::Status RunSlot(const worker::SlotTask& task) override {
    for (int group = 0; group < static_cast<int>(GroupSizes().size()); ++group) {
      if (!task.wait_group(group)) return absl::CancelledError("not wanted");
    }
    CheckParameters(task.theta);
    if (!seen_->wrong) SHOAL_CHECK(task.theta[0] == Parameter(task.round.value(), 0));
    seen_->rounds.insert(task.round.value());
    std::fill_n(task.gradient, Elements(), 0.5f);
    ContributionStats stats;
    stats.set_weight(1);
    stats.set_examples(1);
    task.set_stats(stats);
    for (int group = static_cast<int>(GroupSizes().size()) - 1; group >= 0; --group) task.group_final(group);
    return absl::OkStatus();
  }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask& task) override {
    CheckParameters(task.theta);
    return EvaluationStatistics();
  }

 private:
  void CheckParameters(const float* theta) const {
    for (uint64_t i = 0; i < Elements() && !seen_->wrong; ++i)
      SHOAL_CHECK(theta[i] == theta[0] + static_cast<float>(i));
  }
  Seen* const seen_;
};

// The streams' other ends.
class Servers : public worker::ParameterStreams {
 public:
  class PullEnd : public worker::PullStreamHandle {
   public:
    PullEnd(Servers* servers, StreamPlace at, Version from)
        : place(std::move(at)), next(from), servers_(servers) {}
    void Cancel() override {
      cancelled = true;
      waiting.reset();
    }
    void Resume() override { servers_->Offer(this); }
    bool over() const { return cancelled || ended; }

    const StreamPlace place;
    Version next;  // to be sent by a correct server
    bool cancelled = false, ended = false;
    std::optional<PublishedMessage> waiting;

   private:
    Servers* const servers_;
  };
  class PushEnd : public worker::PushStreamHandle {
   public:
    PushEnd(Seen* seen, StreamPlace at) : place(std::move(at)), seen_(seen) {}
    void Cancel() override { cancelled = true; }
    void Push(BlockContribution contribution) override {
      const ContributionHeader& header = contribution.header;
      SHOAL_CHECK(!cancelled && header.block() < Blocks().size());
      SHOAL_CHECK(contribution.size == Blocks()[header.block()].size);
      SHOAL_CHECK(SlotTree(kSlots).IsNode({header.slot_begin(), header.slot_end()}));
      SHOAL_CHECK(std::all_of(contribution.values, contribution.values + contribution.size,
                              [](float value) { return value == 0.5f || value == 1.0f; }));
      blocks.insert(header.block());
      seen_->pushed_blocks.insert(header.block());
    }
    bool over() const { return cancelled || ended; }

    const StreamPlace place;
    bool cancelled = false, ended = false;
    std::set<uint32_t> blocks;

   private:
    Seen* const seen_;
  };

  Servers(Seen* seen, worker::StreamEvents* events) : seen_(seen), events_(events) {}

  // ---- ParameterStreams ----
  std::shared_ptr<worker::PullStreamHandle> Pull(const StreamPlace& place, Version from) override {
    for (const auto& pull : pulls_) SHOAL_CHECK(pull->over() || pull->place.shard != place.shard);
    ++opened_;
    pulls_.push_back(std::make_shared<PullEnd>(this, place, from));
    return pulls_.back();
  }
  std::shared_ptr<worker::PushStreamHandle> Push(const StreamPlace& place) override {
    for (const auto& push : pushes_) SHOAL_CHECK(push->over() || push->place.shard != place.shard);
    ++opened_;
    pushes_.push_back(std::make_shared<PushEnd>(seen_, place));
    return pushes_.back();
  }
  void AskVersions(const StreamPlace& place) override {
    ++opened_;
    questions_.push_back(place);
    if (questions_.size() > kMaxQuestions) questions_.pop_front();
  }

  // ---- what servers do ----
  // Streams that the worker has cancelled end at last.
  void Sweep() {
    for (const auto& pull : std::vector<std::shared_ptr<PullEnd>>(pulls_)) {
      if (pull->cancelled) EndPull(pull.get(), absl::CancelledError("cancelled"));
    }
    for (const auto& push : std::vector<std::shared_ptr<PushEnd>>(pushes_)) {
      if (push->cancelled) EndPush(push.get(), absl::CancelledError("cancelled"));
    }
    const auto over = [](const auto& stream) { return stream->ended; };
    pulls_.erase(std::remove_if(pulls_.begin(), pulls_.end(), over), pulls_.end());
    pushes_.erase(std::remove_if(pushes_.begin(), pushes_.end(), over), pushes_.end());
  }
  void EndPull(PullEnd* pull, const absl::Status& status) {
    if (std::exchange(pull->ended, true)) return;
    pull->waiting.reset();
    events_->OnPullDone(pull->place, status);
  }
  void EndPush(PushEnd* push, const absl::Status& status) {
    if (!std::exchange(push->ended, true)) events_->OnPushDone(push->place, status);
  }
  void AnswerVersions(const absl::StatusOr<Version>& lowest) {
    if (questions_.empty()) return;
    const StreamPlace place = questions_.front();
    questions_.pop_front();
    events_->OnVersionsDone(place, lowest);
  }
  // As PullStream does with what it reads. Returns whether the block was intact.
  bool Deliver(PullEnd* pull, const grpc::ByteBuffer& bytes) {
    auto message = worker::ReadPublished(bytes, pull->place.view, BlockSizes());
    if (!message.ok()) {
      SHOAL_CHECK(absl::IsDataLoss(message.status()));
      EndPull(pull, message.status());
      return false;
    }
    events_->OnDelivery(pull->place);
    pull->waiting = *std::move(message);
    Offer(pull);
    return true;
  }
  void Offer(PullEnd* pull) {
    const std::optional<PublishedMessage> message = std::exchange(pull->waiting, std::nullopt);
    if (!message) return;
    const uint64_t elements = Blocks()[message->header.block()].size;
    const bool taken = events_->OnBlock(
        message->header, [&](const worker::BlockMemory& to) { StoreBlock(*message, elements, to); });
    if (!taken && !pull->over()) pull->waiting = message;
  }
  // Sends the next version of each block of each shard that is read.
  void Serve() {
    while (!questions_.empty()) AnswerVersions(Version(3));
    for (const auto& pull : std::vector<std::shared_ptr<PullEnd>>(pulls_)) {
      for (uint32_t block = pull->place.shard; block < Blocks().size(); block += kShards) {
        if (pull->over() || pull->waiting) return;
        Deliver(pull.get(), Published(pull->place.view, pull->next.value(), block).Encoded());
      }
      ++pull->next;
    }
  }

  struct Block {
    PublishedHeader header;
    std::string payload;
    void Seal() { header.set_crc32c(BlockChecksum(header, AsPayload().Crc32c())); }
    Payload AsPayload() const {
      return Payload::CopyOf({reinterpret_cast<const uint8_t*>(payload.data()), payload.size()});
    }
    grpc::ByteBuffer Encoded() const { return EncodeBlockMessage(header, AsPayload()); }
  };
  static Block Published(const ViewKey& view, uint64_t version, uint32_t block) {
    Block made;
    SetKey(view, &made.header);
    made.header.set_version(version);
    made.header.set_block(block);
    std::vector<float> values;
    for (uint64_t i = 0; i < Blocks()[block].size; ++i)
      values.push_back(Parameter(version, Blocks()[block].offset + i));
    made.payload.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    made.Seal();
    return made;
  }

  std::vector<std::shared_ptr<PullEnd>>& pulls() { return pulls_; }
  std::vector<std::shared_ptr<PushEnd>>& pushes() { return pushes_; }
  size_t opened() const { return opened_; }

 private:
  Seen* const seen_;
  worker::StreamEvents* const events_;
  std::vector<std::shared_ptr<PullEnd>> pulls_;
  std::vector<std::shared_ptr<PushEnd>> pushes_;
  std::deque<StreamPlace> questions_;
  size_t opened_ = 0;  // streams and questions
};

class Play {
 public:
  explicit Play(ByteSource* source) : source_(source) {
    worker::JobWorker::Options options;
    options.rounds.job = JobId(1);
    options.rounds.self = NodeId(kSelf);
    options.rounds.slots = kSlots;
    options.rounds.group_sizes = GroupSizes();
    options.rounds.max_block_elements = kBlockElements;
    options.rounds.report = [this](const NodeReport&) { ++reports_; };
    options.executors = time_.factory();
    options.start_when_whole = true;
    worker_ = std::make_unique<worker::JobWorker>(
        std::move(options), std::make_unique<CheckedProgram>(&seen_),
        [this](worker::ParameterLinkEvents* events) { return MakeLink(events); });
    worker_->OnView(NextView());
  }

  void Run() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      reports_ = 0;
      Event();
      Pass(source_->Flip() ? absl::Milliseconds(1) : absl::Seconds(1));
      SHOAL_CHECK(reports_ <= 8 * kSlots);
    }
    GetOn();
  }

 private:
  std::unique_ptr<worker::ParameterLink> MakeLink(worker::ParameterLinkEvents* events) {
    return std::make_unique<worker::RetryingLink>(worker::RetryingLink::Options{1, time_.factory()}, events,
                                                  [this](worker::StreamEvents* stream_events) {
                                                    auto made =
                                                        std::make_unique<Servers>(&seen_, stream_events);
                                                    servers_ = made.get();
                                                    return made;
                                                  });
  }
  View NextView() {
    View view;
    SetKey({JobId(1), TrainingId(kTraining), ViewId(++view_)}, &view);
    view.mutable_restore()->set_restore_id(restore_id_);
    for (uint32_t i = 0; i < kShards; ++i) {
      NodeRef& server = *view.add_shards()->mutable_primary();
      server.set_node_id(10 + i);
      server.set_address(absl::StrCat("server-", i, ":1"));
    }
    SlotAssignment& slots = *view.add_slots();
    slots.mutable_worker()->set_node_id(kSelf);
    slots.set_slot_end(kSlots);
    *view.mutable_target() = TargetOf(kEnd);
    return view;
  }
  Target TargetOf(uint64_t version) const {
    Target target;
    target.set_job(1);
    target.set_restore_id(restore_id_);
    target.set_version(version);
    return target;
  }

  void Event() {
    switch (source_->Below(12)) {
      case 0:
        return Versions();
      case 1:
      case 2:
      case 3:
        return Block();
      case 4:
        return EndPull();
      case 5:
        return EndPush();
      case 6:
        return NewView();
      case 7:
        return NewTarget();
      case 8:
        return worker_->OnSessionOpened();
      default:
        return servers_->Serve();
    }
  }
  void Versions() {
    VersionsReply reply;
    reply.set_lowest(3 + source_->Below(3));
    reply.set_highest(reply.lowest() + 1);
    MutateMessage(source_, &reply);
    const absl::Status end = source_->Below(4) == 0 ? AnEnd(source_) : absl::OkStatus();
    servers_->AnswerVersions(end.ok() ? absl::StatusOr<Version>(Version(reply.lowest())) : end);
  }
  void Block() {
    if (servers_->pulls().empty()) return;
    const auto pull = servers_->pulls()[Index(servers_->pulls().size())];
    if (pull->over() || pull->waiting) return;
    const auto block = static_cast<uint32_t>(Index(Blocks().size()));
    Servers::Block published =
        Servers::Published(pull->place.view, pull->next.value() + source_->Below(3), block);
    const uint32_t change = source_->Below(8);
    if (change == 0) return DeliverAny(pull.get());
    if (change == 1) return DeliverDamaged(pull.get(), std::move(published));
    if (change == 2) return DeliverWrong(pull.get(), std::move(published));
    SHOAL_CHECK(servers_->Deliver(pull.get(), published.Encoded()));
  }
  void DeliverAny(Servers::PullEnd* pull) {
    const grpc::Slice bytes(source_->Bytes(200));
    seen_.wrong |= servers_->Deliver(pull, grpc::ByteBuffer(&bytes, 1));
  }
  // One bit is wrong.
  void DeliverDamaged(Servers::PullEnd* pull, Servers::Block block) {
    block.payload[Index(block.payload.size())] ^= static_cast<char>(1 << source_->Below(8));
    SHOAL_CHECK(!servers_->Deliver(pull, block.Encoded()));
  }
  void DeliverWrong(Servers::PullEnd* pull, Servers::Block block) {
    MutateField(source_, &block.header);
    if (source_->Below(4) == 0) block.payload = source_->Bytes(80);
    if (source_->Flip()) block.Seal();
    seen_.wrong |= servers_->Deliver(pull, block.Encoded());
  }
  void EndPull() {
    if (servers_->pulls().empty()) return;
    servers_->EndPull(servers_->pulls()[Index(servers_->pulls().size())].get(), AnEnd(source_));
  }
  // A PushReply ends its stream with DATA_LOSS, whatever it says.
  void EndPush() {
    if (servers_->pushes().empty()) return;
    const bool replied = source_->Flip();
    servers_->EndPush(servers_->pushes()[Index(servers_->pushes().size())].get(),
                      replied ? absl::DataLossError("a contribution was refused") : AnEnd(source_));
  }
  void NewView() {
    if (source_->Below(4) == 0) ++restore_id_;
    View view = NextView();
    MutateMessage(source_, &view);
    // Otherwise no correct view could follow.
    if (view.view() > view_ || view.shards_size() > static_cast<int>(kMaxShards)) return;
    restore_ids_.insert(view.restore().restore_id());
    worker_->OnView(view);
  }
  void NewTarget() {
    Target target = TargetOf(3 + source_->Below(8));
    target.set_evaluate(static_cast<EvaluationSet>(source_->Below(3)));
    MutateMessage(source_, &target);
    worker_->OnTarget(target);
  }
  size_t Index(size_t size) { return source_->Below(static_cast<uint32_t>(size)); }

  // While only time passes, each broken stream is opened again once, and each shard asked once.
  void Pass(absl::Duration duration) {
    servers_->Sweep();
    const size_t before = servers_->opened();
    time_.RunFor(duration);
    SHOAL_CHECK(servers_->opened() - before <= 6 * kMaxShards);
    servers_->Sweep();
    Heartbeat heartbeat;
    worker_->AddTo(&heartbeat);
    SHOAL_CHECK(heartbeat.unreachable_size() <= static_cast<int>(kMaxShards));
  }

  // A new restore point, from which servers send what they should.
  void GetOn() {
    while (restore_ids_.count(restore_id_) > 0) ++restore_id_;
    ++restore_id_;
    while (restore_ids_.count(restore_id_) > 0) ++restore_id_;
    worker_->OnView(NextView());
    Pass(absl::Milliseconds(1));
    seen_ = Seen();
    for (int i = 0; i < 20; ++i) {
      servers_->Serve();
      Pass(absl::Milliseconds(100));
    }
    SHOAL_CHECK(seen_.rounds.size() >= 3);
    SHOAL_CHECK(seen_.pushed_blocks.size() == Blocks().size());
    CheckHeldIsPushed();
  }
  // The last round's contributions are held until all blocks of the next version have arrived.
  void CheckHeldIsPushed() {
    servers_->EndPush(servers_->pushes().front().get(), absl::UnavailableError("broken"));
    Pass(absl::Seconds(3));
    std::set<uint32_t> pushed;
    for (const auto& push : servers_->pushes()) pushed.insert(push->blocks.begin(), push->blocks.end());
    SHOAL_CHECK(servers_->pushes().size() == kShards && pushed.size() == Blocks().size());
  }

  ByteSource* const source_;
  FakeTime time_;
  Seen seen_;
  size_t reports_ = 0;
  uint64_t view_ = 0, restore_id_ = 1;
  std::set<uint64_t> restore_ids_;
  Servers* servers_ = nullptr;
  std::unique_ptr<worker::JobWorker> worker_;
};

}  // namespace worker_part

// ---- a server and its peers ----

namespace server_part {

constexpr uint32_t kShards = 3;

// A client of shard 0, and the peers that it asks.
class Play : public server::PeerLink {
 public:
  explicit Play(ByteSource* source) : source_(source), timers_(time_.factory()("timers")) {
    server::NormsClient::Options options;
    options.job = JobId(1);
    options.peers = this;
    options.timers = timers_.get();
    options.take = [this](const Norms& norms) { return Take(norms); };
    client_ = std::make_unique<server::NormsClient>(std::move(options));
    NewView();
  }
  ~Play() override { timers_->Stop(); }

  void Run() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      Event();
      Pass(source_->Flip() ? absl::Milliseconds(1) : absl::Milliseconds(300));
    }
    GetOn();
  }

  // ---- PeerLink ----
  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration,
                NormsDone done) override {
    const Call call = {address, request, std::move(done)};
    for (const Call& other : calls_)
      SHOAL_CHECK(other.address != address || KeyOf(other.request) != KeyOf(request));
    SHOAL_CHECK(request.view() == view_ && request.round() <= round_);
    ++made_;
    calls_.push_back(call);
  }

 private:
  struct Call {
    std::string address;
    NormsRequest request;
    NormsDone done;
  };

  void Event() {
    switch (source_->Below(8)) {
      case 0:
      case 1:
        return Ask();
      case 2:
        return NewView();
      case 3:
        on_take_ = source_->Flip() ? absl::OkStatus() : AnEnd(source_);
        return;
      default:
        return AnswerOne();
    }
  }
  void NewView() {
    View view;
    SetKey({JobId(1), TrainingId(kTraining), ViewId(++view_)}, &view);
    for (uint32_t i = 0; i < kShards; ++i)
      view.add_shards()->mutable_primary()->set_address(absl::StrCat("server-", i));
    client_->Begin(view);
  }
  // Also for shards and views that are not there.
  void Ask() {
    NormsRequest request;
    SetKey({JobId(1), TrainingId(kTraining), ViewId(view_)}, &request);
    round_ += source_->Below(2);
    request.set_round(round_);
    client_->Ask(ViewId(source_->Below(8) == 0 ? source_->Number() : view_), 1 + source_->Below(kShards),
                 request);
  }

  Norms Correct(const Call& call) const {
    Norms norms;
    SetKey(KeyOf(call.request), &norms);
    norms.set_round(call.request.round());
    norms.set_shard(call.address == "server-1" ? 1 : 2);
    norms.add_squared_norms(1.5);
    return norms;
  }
  void AnswerOne() {
    if (calls_.empty()) return;
    const Call call = calls_.front();
    Norms norms = Correct(call);
    if (source_->Below(4) == 0) norms.clear_squared_norms();
    MutateMessage(source_, &norms);
    const absl::Status end = source_->Below(4) == 0 ? AnEnd(source_) : absl::OkStatus();
    Answer(end.ok() ? absl::StatusOr<Norms>(norms) : end);
  }
  // To the oldest call.
  void Answer(const absl::StatusOr<Norms>& answer) {
    const Call call = calls_.front();
    calls_.pop_front();
    answered_ = &call;
    call.done(answer);
    time_.Run();
    answered_ = nullptr;
  }
  // What the client applies has been asked for, whatever was answered.
  absl::Status Take(const Norms& norms) {
    SHOAL_CHECK(answered_ != nullptr);
    const Norms correct = Correct(*answered_);
    SHOAL_CHECK(KeyOf(norms) == KeyOf(correct) && norms.round() == correct.round());
    SHOAL_CHECK(norms.shard() == correct.shard() && norms.squared_norms_size() > 0);
    return on_take_;
  }

  // While only time passes, each peer is asked once: then it has a call.
  void Pass(absl::Duration duration) {
    const int before = made_;
    time_.RunFor(duration);
    SHOAL_CHECK(made_ - before < static_cast<int>(kShards));
    Heartbeat heartbeat;
    client_->AddUnreachable(&heartbeat);
    SHOAL_CHECK(heartbeat.unreachable_size() < static_cast<int>(kShards));
  }
  void GetOn() {
    on_take_ = absl::OkStatus();
    for (int i = 0; i < 20; ++i) {
      while (!calls_.empty()) Answer(Correct(calls_.front()));
      Pass(absl::Seconds(1));
    }
    SHOAL_CHECK(calls_.empty());
    Heartbeat heartbeat;
    client_->AddUnreachable(&heartbeat);
    SHOAL_CHECK(heartbeat.unreachable().empty());
  }

  ByteSource* const source_;
  FakeTime time_;
  const std::unique_ptr<Executor> timers_;
  uint64_t view_ = 0, round_ = 0;
  std::deque<Call> calls_;
  const Call* answered_ = nullptr;
  int made_ = 0;  // calls
  absl::Status on_take_;
  std::unique_ptr<server::NormsClient> client_;
};

}  // namespace server_part

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::SilenceLog();
  shoal::ByteSource source(data, size);
  if (source.Below(4) == 0) {
    shoal::server_part::Play(&source).Run();
  } else {
    shoal::worker_part::Play(&source).Run();
  }
  return 0;
}
