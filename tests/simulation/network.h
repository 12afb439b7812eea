// The network of a simulated cluster: behaves like TCP between processes, as far as its users can tell.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/simulation/process.h"

namespace shoal::simulation {

// How long it takes to hand a message to the transport.
inline constexpr absl::Duration kHandOver = absl::Microseconds(20);

// What happens to messages. Probabilities are per message.
struct Weather {
  double lost = 0;  // TCP loses no single message: the connection breaks
  double doubled = 0;
  double damaged = 0;
  absl::Duration slowest = absl::Milliseconds(2);
};

class Network;

// A stream between two processes: each end receives in order what the other sends, until the stream breaks.
// Not thread-safe.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum End { kClient = 0, kServer = 1 };

  // `closed` is called once, unless this end has closed the connection itself or its process is dead.
  void OnClosed(End end, std::function<void(const absl::Status&)> closed) {
    ends_[end].on_closed = std::move(closed);
  }
  // Runs `event` at the other end when the message arrives, if it does. Does nothing once this end is closed.
  void Send(End from, std::function<void()> event);
  // The other end is notified after it has received everything sent before. May be called twice.
  void Close(End from, const absl::Status& status);
  // As when the network fails: both ends are notified, after `delay`.
  void Break(absl::Duration delay, const absl::Status& status);
  bool open(End end) const { return !ends_[end].closed; }
  Process* process(End end) const { return ends_[end].process; }

 private:
  friend class Network;
  struct Side {
    Process* process = nullptr;
    bool closed = false;
    absl::Time arrival;  // at this end, of the last message in flight
    std::function<void(const absl::Status&)> on_closed;
  };
  void Tell(End end, absl::Duration delay, const absl::Status& status);

  Network* network_ = nullptr;
  bool broken_ = false;  // a message was lost
  Side ends_[2];
};

class Network {
 public:
  Network(EventQueue* queue, const Weather& weather) : queue_(queue), weather_(weather) {}
  ~Network();

  EventQueue& queue() { return *queue_; }
  const Weather& weather() const { return weather_; }
  absl::Duration Delay() { return queue_->Between(absl::Microseconds(50), weather_.slowest); }
  // Whether a published block is delivered twice. Drawn apart from all else, so that schedules that were
  // written down before keep their meaning.
  bool DoublesBlock() { return IsHit(doubling_(), weather_.doubled); }
  // Applies from now on.
  void set_weather(const Weather& weather) { weather_ = weather; }

  // ---- addresses ----
  // `process` listens at `address` from now on.
  void Listen(const std::string& address, Process* process) { listeners_[address] = process; }
  // Null: no process listens there.
  Process* Find(const std::string& address) const;

  // No message gets from `from` to `to` for `length`.
  void Cut(const Process* from, const Process* to, absl::Duration length);
  // Nor in the other direction.
  void CutBoth(const Process* a, const Process* b, absl::Duration length) {
    Cut(a, b, length);
    Cut(b, a, length);
  }
  // Whether the path from `from` to `to` is cut now.
  bool IsCut(const Process* from, const Process* to) const { return queue_->now() < CutUntil(from, to); }
  absl::Time CutUntil(const Process* from, const Process* to) const;

  // The process loses messages of that kind: the `first`-th from now (counted from 0), and those that follow
  // within `length`.
  void Swallow(const Process* process, const std::string& kind, uint64_t first, absl::Duration length);
  // Whether this message is lost. Call it exactly once per message.
  bool Swallows(const Process* process, const std::string& kind);

  // Connects to the process that listens at `address`, where `accepted` runs. Errors go to the client's
  // closed callback.
  std::shared_ptr<Connection> Connect(Process* client, const std::string& address,
                                      std::function<void(const std::shared_ptr<Connection>&)> accepted);

  // One request and its answer. `handle` runs at the server and returns what runs at the client as the
  // answer. On an error `failed` runs at the client instead, after `timeout` at the latest.
  using Answer = std::function<void()>;
  void Call(Process* client, const std::string& address, absl::Duration timeout,
            std::function<Answer(Process*)> handle, const std::function<void(const absl::Status&)>& failed);

  // The process is dead: the other ends of its connections are notified, after the keep-alive time if the
  // machine lost power.
  void Died(const Process* process, bool power);

 private:
  friend class Connection;

  EventQueue* const queue_;
  Weather weather_;
  std::mt19937_64 doubling_;
  std::map<std::string, Process*> listeners_;
  std::map<std::pair<const Process*, const Process*>, absl::Time> cut_until_;
  std::vector<std::weak_ptr<Connection>> connections_;
  struct Swallowing {
    uint64_t left = 0;  // messages until the first lost one
    absl::Duration length;
    absl::Time until = absl::InfinitePast();
  };
  std::map<std::pair<const Process*, std::string>, Swallowing> swallowing_;
};

}  // namespace shoal::simulation
