#include "common/rpc/session_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/rpc/address.h"
#include "google/protobuf/message.h"

namespace shoal {
namespace {

constexpr absl::Duration kDefaultHeartbeat = absl::Milliseconds(500);

// The scheduler will never admit this node as it is.
bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

// Errors quote damaged files; the scheduler could not parse a report that is not UTF-8. `cut`: texts that are
// too long for a message are cut as well.
void MakeTextsValid(google::protobuf::Message* message, bool cut) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->type() == FieldDescriptor::TYPE_STRING && !field->is_repeated()) {
      const std::string text = reflection.GetString(*message, field);
      if (cut && text.size() > kMaxMessage_bytes) {
        reflection.SetString(message, field, ToMessage(text));
      } else if (!IsValidUtf8(text)) {
        reflection.SetString(message, field, ToValidUtf8(text));
      }
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE && !field->is_repeated()) {
      MakeTextsValid(reflection.MutableMessage(message, field), cut);
    } else if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i)
        MakeTextsValid(reflection.MutableRepeatedMessage(message, field, i), cut);
    }
  }
}

}  // namespace

SessionCore::SessionCore(Options options)
    : options_(std::move(options)), backoff_(options_.seed, options_.backoff) {}

std::vector<SessionAction> SessionCore::TakeActions() { return std::exchange(actions_, {}); }

void SessionCore::Tell(SessionNews::Kind kind) {
  SessionNews news;
  news.kind = kind;
  news.stream = stream_;
  actions_.push_back(std::move(news));
}

void SessionCore::Log(bool warning, std::string text) {
  actions_.push_back(SessionLog{warning, std::move(text)});
}

absl::Duration SessionCore::heartbeat() const {
  return joined_.heartbeat_ms() > 0 ? absl::Milliseconds(joined_.heartbeat_ms()) : kDefaultHeartbeat;
}

// ---- joining ----

void SessionCore::Start(absl::Time) { CallJoinNow(); }

void SessionCore::CallJoinNow() {
  phase_ = Phase::kJoining;
  actions_.push_back(CallJoin{options_.join});
}

void SessionCore::Joined(absl::Time now, const absl::StatusOr<JoinResponse>& response) {
  if (phase_ != Phase::kJoining) return;
  if (response.ok() && response->node_id() != 0) {
    joined_ = *response;
    said_ = absl::StatusCode::kOk;
    Log(false, absl::StrCat("Joined as ", joined_.name(), " (node ", joined_.node_id(), ")"));
    SessionNews news;
    news.kind = SessionNews::Kind::kJoined;
    news.joined = joined_;
    actions_.push_back(std::move(news));
    return OpenStreamNow(now);
  }
  // Without an id the node would count as not joined, and would be told twice that it has.
  if (leaving_) return EndReleased();
  const absl::Status status =
      response.ok() ? absl::InternalError("its answer has no node id") : response.status();
  if (IsRefusal(status)) {
    phase_ = Phase::kEnded;
    SessionNews news;
    news.kind = SessionNews::Kind::kRefused;
    news.refused =
        Annotate(status, absl::StrCat("the scheduler at ", options_.scheduler, " refuses this node"));
    actions_.push_back(std::move(news));
    return;
  }
  if (status.code() != said_) {
    said_ = status.code();
    Log(true, WhyNotJoined(status));
  }
  Pause(now);
}

std::string SessionCore::WhyNotJoined(const absl::Status& status) const {
  if (absl::IsAlreadyExists(status)) {
    return absl::StrCat("The scheduler at ", options_.scheduler,
                        " does not admit this node yet, still trying: ", status.message());
  }
  if (absl::IsUnimplemented(status)) {
    return absl::StrCat("What ", NoSchedulerText(options_.scheduler, status.message()),
                        ", still trying: check --scheduler");
  }
  const bool silent = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  return absl::StrCat("The scheduler at ", options_.scheduler,
                      silent ? " does not answer" : " does not admit this node yet",
                      ", still trying: ", status.ToString());
}

void SessionCore::Pause(absl::Time now) {
  phase_ = Phase::kPausing;
  resume_ = now + backoff_.NextDelay();
  actions_.push_back(WakeAt{resume_});
}

// ---- the stream ----

void SessionCore::OpenStreamNow(absl::Time now) {
  phase_ = Phase::kStreaming;
  stream_ = next_stream_++;
  opened_ = false;
  queue_.clear();
  writing_ = true;  // the Hello
  OpenStream open;
  open.stream = stream_;
  open.hello.set_node_id(joined_.node_id());
  *open.hello.mutable_join() = options_.join;
  open.hello.mutable_join()->set_cluster_id(joined_.cluster_id());
  actions_.push_back(std::move(open));
  next_heartbeat_ = now + heartbeat();
  actions_.push_back(WakeAt{next_heartbeat_});
}

void SessionCore::Opened(absl::Time now, uint64_t stream) {
  if (!IsCurrent(stream) || opened_) return;
  opened_ = true;
  opened_at_ = now;
  Tell(SessionNews::Kind::kOpened);
  if (leaving_) SendLeaving(now);
}

void SessionCore::Released(absl::Time, uint64_t stream) {
  if (IsCurrent(stream)) Tell(SessionNews::Kind::kReleased);
}

void SessionCore::Closed(absl::Time now, uint64_t stream, const absl::Status& status) {
  if (!IsCurrent(stream)) return;
  stream_ = 0;
  queue_.clear();
  actions_.push_back(CloseStream{stream});
  // A session that breaks as soon as it is open must not be reopened without a pause.
  const bool stood = opened_ && now - opened_at_ >= heartbeat();
  if (stood) backoff_.Reset();
  if (absl::IsFailedPrecondition(status)) {
    Log(true, absl::StrCat("The scheduler has ended this node's lease, joining again: ", status.message()));
    joined_.Clear();
    Tell(SessionNews::Kind::kLeaseLost);
    phase_ = Phase::kDropping;
    if (leaving_) EndReleased();
    join_at_once_ = stood;
    return;
  }
  if (opened_)
    Log(true, absl::StrCat("The session with the scheduler broke, reopening it: ", status.ToString()));
  Pause(now);
}

void SessionCore::StateDropped(absl::Time now) {
  if (phase_ != Phase::kDropping) return;
  if (join_at_once_) return CallJoinNow();
  Pause(now);
}

void SessionCore::Tick(absl::Time now) {
  if (phase_ == Phase::kPausing && now >= resume_) {
    resume_ = absl::InfiniteFuture();
    return joined_.node_id() == 0 ? CallJoinNow() : OpenStreamNow(now);
  }
  if (phase_ != Phase::kStreaming || now < next_heartbeat_) return;
  next_heartbeat_ = now + heartbeat();
  actions_.push_back(MakeHeartbeat{});
  actions_.push_back(WakeAt{next_heartbeat_});
}

void SessionCore::Leave(absl::Time now) {
  if (std::exchange(leaving_, true)) return;
  // The scheduler may already have admitted this node, and be about to give it work: its answer says so.
  if (phase_ == Phase::kJoining) return;
  if (joined_.node_id() == 0) return EndReleased();
  SendLeaving(now);
}

void SessionCore::EndReleased() {
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  Tell(SessionNews::Kind::kReleased);
}

void SessionCore::SendLeaving(absl::Time now) {
  NodeReport report;
  report.mutable_leaving();
  Send(now, std::move(report));
}

// ---- reports ----

void SessionCore::Send(absl::Time now, NodeReport report) {
  if (stream_ == 0) return;
  MakeTextsValid(&report, /*cut=*/!report.has_job_prepared());  // a plan is data
  if (report.has_heartbeat() && std::any_of(queue_.begin(), queue_.end(),
                                            [](const NodeReport& queued) { return queued.has_heartbeat(); }))
    return;
  if (queue_.size() >= kMaxQueuedReports) {
    return Closed(now, stream_,
                  absl::ResourceExhaustedError(absl::StrCat(kMaxQueuedReports, " reports wait to be sent")));
  }
  queue_.push_back(std::move(report));
  WriteNext();
}

void SessionCore::Written(absl::Time, uint64_t stream) {
  if (!IsCurrent(stream)) return;
  writing_ = false;
  WriteNext();
}

void SessionCore::WriteNext() {
  if (writing_ || queue_.empty()) return;
  writing_ = true;
  actions_.push_back(WriteReport{stream_, std::move(queue_.front())});
  queue_.pop_front();
}

}  // namespace shoal
