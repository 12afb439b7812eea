// A node's session: what a scheduler answers to Join, sends on the stream, and how it ends it, at any time,
// correct and changed. Asserted: the node is told that it has joined, that a session is open and that its
// lease is lost in an order that makes sense, and carries out each directive of the open stream once, one
// after another; its Hello names the id and the cluster that it was given; every report can be parsed; it
// tries again neither without need nor without a pause, and not at all once it is refused for good;
// afterwards it gets on with a correct scheduler.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/fake_executor.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/rpc/scheduler_link.h"
#include "common/rpc/session_client.h"
#include "proto/scheduler.pb.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/message_mutator.h"

namespace shoal {
namespace {

constexpr int kMaxEvents = 80;

JoinResponse Admitted(uint64_t node) {
  JoinResponse response;
  response.set_node_id(node);
  response.set_name("worker-1");
  response.set_heartbeat_ms(500);
  response.set_lease_ms(3000);
  response.set_cluster_id("cluster");
  return response;
}

// The scheduler's end of everything.
class Scheduler {
 public:
  // A stream as the node has opened it. Its events follow the contract of SchedulerStreamEvents.
  class Stream : public SchedulerStream {
   public:
    Stream(Scheduler* scheduler, SchedulerStreamEvents* events) : scheduler_(scheduler), events_(events) {
      SHOAL_CHECK(scheduler_->stream_ == nullptr);
      scheduler_->stream_ = this;
    }
    ~Stream() override { scheduler_->stream_ = nullptr; }

    void Write(NodeReport report) override {
      SHOAL_CHECK(!std::exchange(writing_, true));
      NodeReport read;
      SHOAL_CHECK(read.ParseFromString(report.SerializeAsString()));
      scheduler_->heartbeats_ += read.has_heartbeat();
    }
    void ReadOn() override { SHOAL_CHECK(!std::exchange(reading_, true)); }

    void Open(absl::Time now) {
      if (over_ || opened_ != absl::InfiniteFuture()) return;
      opened_ = now;
      events_->OnOpened();
    }
    // When the Hello was accepted.
    absl::Time opened() const { return opened_; }
    void Take() {
      if (!over_ && std::exchange(writing_, false)) events_->OnWritten();
    }
    // Whether the node was ready for it.
    bool Send(const Directive& directive) {
      if (over_ || !std::exchange(reading_, false)) return false;
      events_->OnDirective(directive);
      return true;
    }
    void Close(const absl::Status& status) {
      if (!std::exchange(over_, true)) events_->OnClosed(status);
    }

   private:
    Scheduler* const scheduler_;
    SchedulerStreamEvents* const events_;
    absl::Time opened_ = absl::InfiniteFuture();
    bool writing_ = true;  // the Hello
    bool reading_ = true, over_ = false;
  };

  class Link : public SchedulerLink {
   public:
    explicit Link(Scheduler* scheduler) : scheduler_(scheduler) {}
    void Join(const JoinRequest&, absl::Duration,
              std::function<void(absl::StatusOr<JoinResponse>)> done) override {
      SHOAL_CHECK(scheduler_->joining_ == nullptr && scheduler_->stream_ == nullptr);
      scheduler_->joining_ = std::move(done);
      ++scheduler_->attempts_;
    }
    std::unique_ptr<SchedulerStream> Open(const Hello& hello, SchedulerStreamEvents* events) override {
      SHOAL_CHECK(hello.node_id() == scheduler_->given_.node_id() && hello.node_id() != 0);
      SHOAL_CHECK(hello.join().cluster_id() == scheduler_->given_.cluster_id());
      ++scheduler_->attempts_;
      return std::make_unique<Stream>(scheduler_, events);
    }

   private:
    Scheduler* const scheduler_;
  };

  // Answers the pending Join, if any.
  void Answer(absl::StatusOr<JoinResponse> answer) {
    if (joining_ == nullptr) return;
    if (answer.ok()) given_ = *answer;
    std::exchange(joining_, nullptr)(std::move(answer));
  }

  bool joining() const { return joining_ != nullptr; }
  Stream* stream() const { return stream_; }
  const JoinResponse& given() const { return given_; }
  int attempts() const { return attempts_; }
  int heartbeats() const { return heartbeats_; }

 private:
  std::function<void(absl::StatusOr<JoinResponse>)> joining_;
  Stream* stream_ = nullptr;
  JoinResponse given_;  // the newest
  int attempts_ = 0;    // to join, or to open a stream
  int heartbeats_ = 0;  // that were written
};

class Play {
 public:
  explicit Play(ByteSource* source) : source_(source) {
    SessionOptions options;
    options.executors = time_.factory();
    options.link = [this] { return std::make_unique<Scheduler::Link>(&scheduler_); };
    client_ = std::make_unique<SessionClient>(std::move(options), Callbacks());
    time_.Run();
  }

  void Run() {
    for (int events = 0; events < kMaxEvents && !source_->done(); ++events) {
      Event();
      Pass(source_->Flip() ? absl::ZeroDuration() : absl::Milliseconds(100));
    }
    IsRefused() ? CheckRefused() : left_ ? CheckLeft() : GetOn();
    client_->Stop();
    stopped_ = true;
    time_.RunFor(absl::Seconds(10));
  }

 private:
  // ---- the node ----
  SessionCallbacks Callbacks() {
    SessionCallbacks callbacks;
    callbacks.on_joined = [this](const JoinResponse& joined) {
      SHOAL_CHECK(!stopped_ && !std::exchange(joined_, true) && joined.node_id() != 0);
    };
    callbacks.on_session_opened = [this] {
      SHOAL_CHECK(!stopped_ && joined_);
      ++opened_;
    };
    callbacks.on_directive = [this](const Directive& directive) {
      SHOAL_CHECK(!stopped_ && joined_ && !sent_.empty());
      SHOAL_CHECK(sent_.front() == directive.SerializeAsString());
      sent_.pop_front();
    };
    callbacks.on_lease_lost = [this] { SHOAL_CHECK(!stopped_ && std::exchange(joined_, false)); };
    callbacks.heartbeat = [] { return Heartbeat(); };
    return callbacks;
  }
  bool IsRefused() { return !client_->WaitRefused(absl::ZeroDuration()).ok(); }

  // ---- the scheduler ----
  void Event() {
    switch (source_->Below(12)) {
      case 0:
        return Join();
      case 1:
      case 2:
        return OpenOrTake();
      case 3:
      case 4:
        return Direct();
      case 5:
        return Close();
      case 6:
        return Report();
      case 7:
        left_ = true;
        return client_->StartLeaving();
      case 8:
        return Pass(absl::Seconds(1 + source_->Below(3)));
      default:
        return Serve();
    }
  }
  void Join() {
    JoinResponse response = Admitted(1 + source_->Below(3));
    MutateMessage(source_, &response);
    // Nothing is learned from thousands of heartbeats.
    if (response.heartbeat_ms() > 0 && response.heartbeat_ms() < 10) response.set_heartbeat_ms(10);
    const absl::Status error = AnError();
    scheduler_.Answer(error.ok() ? absl::StatusOr<JoinResponse>(response) : error);
  }
  // Mostly OK.
  absl::Status AnError() {
    const uint32_t code = source_->Below(64);
    return code > 16 ? absl::OkStatus() : absl::Status(static_cast<absl::StatusCode>(code), "fuzz");
  }
  void OpenOrTake() {
    if (scheduler_.stream() == nullptr) return;
    if (source_->Flip()) scheduler_.stream()->Open(time_.now());
    scheduler_.stream()->Take();
  }
  void Direct() {
    if (scheduler_.stream() == nullptr) return;
    Directive directive;
    if (source_->Below(4) == 0) directive.mutable_released();
    if (source_->Flip()) directive.mutable_close_job()->set_job(1);
    MutateMessage(source_, &directive);
    if (!scheduler_.stream()->Send(directive)) return;
    // The session handles Released itself, and begins nothing any longer when it leaves.
    const bool dropped = directive.has_released() || (left_ && directive.has_prepare_job());
    if (!dropped) sent_.push_back(directive.SerializeAsString());
    // What arrived before the end is carried out.
    if (source_->Below(4) == 0) scheduler_.stream()->Close(AnError());
    time_.Run();
    SHOAL_CHECK(sent_.empty());
  }
  // A session that has not stood for a heartbeat is followed by a pause, whatever ended it.
  void Close() {
    if (scheduler_.stream() == nullptr) return;
    const bool stood = time_.now() - scheduler_.stream()->opened() >= Interval();
    const int before = scheduler_.attempts();
    const bool lease_over = source_->Flip();
    scheduler_.stream()->Close(lease_over ? absl::FailedPreconditionError("the lease is over") : AnError());
    time_.Run();
    SHOAL_CHECK(stood || scheduler_.attempts() == before);
  }
  absl::Duration Interval() const {
    const uint32_t given = scheduler_.given().heartbeat_ms();
    return absl::Milliseconds(given == 0 ? 500 : given);
  }
  // What nodes quote need not be UTF-8.
  void Report() {
    NodeReport report;
    report.mutable_job_refused()->set_reason(source_->Bytes(40));
    client_->Send(report);
  }
  // As a correct scheduler.
  void Serve() {
    scheduler_.Answer(Admitted(7));
    time_.Run();
    if (scheduler_.stream() == nullptr) return;
    scheduler_.stream()->Open(time_.now());
    scheduler_.stream()->Take();
    time_.Run();
  }

  // ---- what must hold ----
  // While only time passes there is at most one attempt: it waits for an answer. None once it is refused.
  void Pass(absl::Duration duration) {
    const bool refused = IsRefused();
    time_.Run();
    const int before = scheduler_.attempts();
    time_.RunFor(duration);
    SHOAL_CHECK(scheduler_.attempts() - before <= 1);
    if (refused) SHOAL_CHECK(scheduler_.attempts() == before && !scheduler_.joining());
  }
  void CheckRefused() {
    Pass(absl::Minutes(1));
    SHOAL_CHECK(scheduler_.stream() == nullptr && !joined_);
  }
  // A correct scheduler lets it go; after that it makes no attempt to come back.
  void CheckLeft() {
    for (int i = 0; i < 50; ++i) {
      Serve();
      Pass(absl::Milliseconds(100));
    }
    if (scheduler_.stream() != nullptr) {
      Directive released;
      released.mutable_released();
      SHOAL_CHECK(scheduler_.stream()->Send(released));
    }
    const int attempts = scheduler_.attempts();
    Pass(absl::Minutes(1));
    SHOAL_CHECK(scheduler_.attempts() == attempts && !scheduler_.joining());
    SHOAL_CHECK(client_->released());
  }
  void GetOn() {
    if (scheduler_.stream() != nullptr) scheduler_.stream()->Close(absl::UnavailableError("restarted"));
    Pass(absl::Seconds(3));
    // The next session is of an id with usual heartbeats.
    if (scheduler_.stream() != nullptr) scheduler_.stream()->Close(absl::FailedPreconditionError("lease"));
    const int opened = opened_, heartbeats = scheduler_.heartbeats();
    for (int i = 0; i < 50; ++i) {
      Serve();
      Pass(absl::Milliseconds(100));
    }
    SHOAL_CHECK(joined_ && opened_ > opened);
    SHOAL_CHECK(scheduler_.heartbeats() - heartbeats >= 3);
    SHOAL_CHECK(client_->node_id() == 7);
  }

  ByteSource* const source_;
  FakeTime time_;
  Scheduler scheduler_;
  bool joined_ = false, stopped_ = false, left_ = false;
  int opened_ = 0;
  std::deque<std::string> sent_;  // directives that the node has to carry out
  std::unique_ptr<SessionClient> client_;
};

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::SilenceLog();
  shoal::ByteSource source(data, size);
  shoal::Play(&source).Run();
  return 0;
}
