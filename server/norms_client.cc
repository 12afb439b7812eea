#include "server/norms_client.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/protocol/view_key.h"

namespace shoal::server {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(2);
constexpr absl::Duration kRetry = absl::Milliseconds(50);
// Normally not needed: a peer that was not complete yet asks back once it is.
constexpr absl::Duration kRepeat = absl::Seconds(1);

// Whether the error comes from the transport rather than the peer.
bool IsNoAnswer(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
}

}  // namespace

// Posts answers to the client's timers for as long as the client exists.
class NormsClient::Life {
 public:
  explicit Life(NormsClient* client) : client_(client) {}

  void Post(std::function<void(NormsClient*)> task) {
    absl::MutexLock lock(&mutex_);
    if (client_ == nullptr) return;
    client_->options_.timers->Post([client = client_, task = std::move(task)] { task(client); });
  }
  void End() {
    absl::MutexLock lock(&mutex_);
    client_ = nullptr;
  }

 private:
  absl::Mutex mutex_;
  NormsClient* client_ ABSL_GUARDED_BY(mutex_);
};

NormsClient::NormsClient(Options options)
    : options_(std::move(options)), life_(std::make_shared<Life>(this)) {}

NormsClient::~NormsClient() { life_->End(); }

void NormsClient::Begin(const View& view) {
  absl::MutexLock lock(&mutex_);
  view_ = ViewId(view.view());
  peers_.clear();
  for (const ShardAssignment& shard : view.shards()) peers_.emplace_back().node = shard.primary();
}

void NormsClient::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

// ---- calls ----

void NormsClient::Ask(ViewId view, uint32_t peer, const NormsRequest& request) {
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = Find(view, peer);
    if (found == nullptr || request.round() < found->request.round()) return;
    found->request = request;
    found->wanted = true;
    found->again = true;
    // A call in progress is followed by another; after an error, the backoff decides when.
    if (found->calling || !found->error.ok()) return;
  }
  Call(view, peer);
}

NormsClient::Peer* NormsClient::Find(ViewId view, uint32_t peer) {
  if (closed_ || view != view_ || peer >= peers_.size()) return nullptr;
  return &peers_[peer];
}

void NormsClient::Call(ViewId view, uint32_t peer, std::optional<uint64_t> calls) {
  std::string address;
  NormsRequest request;
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = Find(view, peer);
    if (found == nullptr || !found->wanted || found->calling) return;
    if (calls && *calls != found->calls) return;
    found->calling = true;
    found->again = false;
    ++found->calls;
    request = found->request;
    address = found->node.address();
  }
  options_.peers->GetNorms(address, request, kTimeout,
                           [life = life_, request, peer](absl::StatusOr<Norms> answer) {
                             // On the timers: this may run inside the call that asked.
                             life->Post([request, peer, answer = std::move(answer)](NormsClient* client) {
                               client->OnAnswer(request, peer, answer);
                             });
                           });
}

// ---- answers ----

void NormsClient::OnAnswer(const NormsRequest& request, uint32_t peer, const absl::StatusOr<Norms>& answer) {
  const ViewId view(request.view());
  const absl::StatusOr<bool> complete =
      answer.ok() ? Take(request, peer, *answer) : absl::StatusOr<bool>(answer.status());
  absl::Duration wait;
  uint64_t calls;
  {
    absl::MutexLock lock(&mutex_);
    Peer* const found = Find(view, peer);
    if (found == nullptr) return;
    wait = NoteAnswer(found, Round(request.round()), complete.status());
    found->calling = false;
    const bool newest = request.round() == found->request.round();
    if (complete.value_or(false) && newest) found->wanted = false;
    if (!found->wanted) return;
    if (complete.ok()) wait = found->again || !newest ? absl::ZeroDuration() : kRepeat;
    calls = found->calls;
  }
  if (wait == absl::ZeroDuration()) return Call(view, peer);
  options_.timers->After(wait, [this, view, peer, calls] { Call(view, peer, calls); });
}

absl::StatusOr<bool> NormsClient::Take(const NormsRequest& request, uint32_t peer, const Norms& answer) {
  if (answer.squared_norms_size() == 0) return false;
  if (KeyOf(answer) != KeyOf(request) || answer.shard() != peer || answer.round() != request.round()) {
    return absl::InvalidArgumentError(absl::StrCat("it answers with norms of ", KeyOf(answer).ToString(),
                                                   ", shard ", answer.shard(), ", round ", answer.round(),
                                                   "; expected ", KeyOf(request).ToString(), ", shard ", peer,
                                                   ", round ", request.round()));
  }
  const absl::Status status = options_.take(answer);
  if (absl::IsFailedPrecondition(status)) return false;  // the view has ended here
  if (!status.ok()) return status;
  return true;
}

// A peer that has not installed the view yet, or is in another round, is reachable. One that refuses the
// norms, or sends wrong ones, is reachable too, but keeps the round from ending, like an unreachable one, and
// is reported to the scheduler.
absl::Duration NormsClient::NoteAnswer(Peer* peer, Round round, const absl::Status& status) {
  if (status.ok() || absl::IsFailedPrecondition(status)) {
    NoteReachable(peer);
    return kRetry;
  }
  if (peer->error.ok()) peer->failed = options_.timers->Now();
  if (IsNoAnswer(status)) {
    NoteUnreachable(peer, status);
    return kRetry;
  }
  NoteRefusal(peer, round, status);
  return peer->backoff.NextDelay();
}

void NormsClient::NoteReachable(Peer* peer) {
  if (!peer->error.ok()) {
    LogInfo("Job ", options_.job.value(), ": ", peer->node.name(), " at ", peer->node.address(),
            " answers again");
  }
  peer->error = absl::OkStatus();
  peer->backoff.Reset();
}

void NormsClient::NoteUnreachable(Peer* peer, const absl::Status& status) {
  if (peer->error.ok()) {
    LogWarning("Job ", options_.job.value(), ": ", peer->node.name(), " at ", peer->node.address(),
               " can't be reached; retrying: ", status.ToString());
  }
  peer->error = status;
}

void NormsClient::NoteRefusal(Peer* peer, Round round, const absl::Status& status) {
  peer->error = absl::Status(status.code(),
                             absl::StrCat("norms of round ", round.value(), " refused: ", status.message()));
  if (peer->warned != round) {
    LogWarning("Job ", options_.job.value(), ": ", peer->node.name(), " at ", peer->node.address(), ": ",
               peer->error.ToString());
  }
  peer->warned = round;
}

void NormsClient::AddUnreachable(Heartbeat* heartbeat) const {
  absl::MutexLock lock(&mutex_);
  for (const Peer& peer : peers_) {
    if (peer.error.ok()) continue;
    UnreachablePeer& unreachable = *heartbeat->add_unreachable();
    *unreachable.mutable_peer() = peer.node;
    unreachable.set_seconds(absl::ToDoubleSeconds(options_.timers->Now() - peer.failed));
    unreachable.set_error(std::string(peer.error.message()));
  }
}

}  // namespace shoal::server
