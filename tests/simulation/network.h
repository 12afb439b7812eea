// The network of a simulated cluster: TCP between processes, as far as its users can tell.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/simulation/process.h"

namespace shoal::simulation {

// How messages fare. Probabilities are per message.
struct Weather {
  double lost = 0;  // TCP has no lost message: its connection breaks
  double doubled = 0;
  double damaged = 0;
  absl::Duration slowest = absl::Milliseconds(2);
};

class Network;

// A stream between two processes: what one end sends the other gets in order, until it breaks. Not
// thread-safe.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum End { kClient = 0, kServer = 1 };

  // Told once, unless this end has closed the connection itself or its process is dead.
  void OnClosed(End end, std::function<void(const absl::Status&)> closed) {
    ends_[end].on_closed = std::move(closed);
  }
  // Runs `event` at the other end when it arrives, if it does. Nothing happens once this end is closed.
  void Send(End from, std::function<void()> event);
  // The other end learns of it behind all that was sent before. Twice is harmless.
  void Close(End from, const absl::Status& status);
  // As a network does it: both ends learn of it, after `delay`.
  void Break(absl::Duration delay, const absl::Status& status);
  bool open(End end) const { return !ends_[end].closed; }
  Process* process(End end) const { return ends_[end].process; }

 private:
  friend class Network;
  struct Side {
    Process* process = nullptr;
    bool closed = false;
    absl::Time arrival;  // here, of the last message under way
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
  // The rest of the run is fair.
  void set_weather(const Weather& weather) { weather_ = weather; }

  // ---- addresses ----
  // The process that listens there from now on.
  void Listen(const std::string& address, Process* process) { listeners_[address] = process; }
  // Null: nobody.
  Process* Find(const std::string& address) const;

  // Nothing goes from the one to the other for so long.
  void Cut(const Process* from, const Process* to, absl::Duration length);
  // Whether messages from the one to the other get lost now.
  bool IsCut(const Process* from, const Process* to) const { return queue_->now() < CutUntil(from, to); }
  absl::Time CutUntil(const Process* from, const Process* to) const;

  // The process loses messages of that kind, those from `first` on (counted from now) in `length`, at least
  // one.
  void Swallow(const Process* process, const std::string& kind, uint64_t first, absl::Duration length);
  // Whether this one gets lost. To be asked once for each.
  bool Swallows(const Process* process, const std::string& kind);

  // Connects to whoever listens at `address`: `accepted` runs there. The client's closed callback gets what
  // goes wrong.
  std::shared_ptr<Connection> Connect(Process* client, const std::string& address,
                                      std::function<void(const std::shared_ptr<Connection>&)> accepted);

  // One request and its answer. `handle` runs at the server and returns what is to run at the client with the
  // answer. Instead `failed` runs there, after `timeout` at the latest.
  using Answer = std::function<void()>;
  void Call(Process* client, const std::string& address, absl::Duration timeout,
            std::function<Answer(Process*)> handle, std::function<void(const absl::Status&)> failed);

  // The process is dead: those at the other end of its connections learn of it; by silence when the machine
  // lost its power.
  void Died(const Process* process, bool power);

 private:
  friend class Connection;

  EventQueue* const queue_;
  Weather weather_;
  std::map<std::string, Process*> listeners_;
  std::map<std::pair<const Process*, const Process*>, absl::Time> cut_until_;
  std::vector<std::weak_ptr<Connection>> connections_;
  struct Swallowing {
    uint64_t left = 0;  // until the first
    absl::Duration length;
    absl::Time until = absl::InfinitePast();
  };
  std::map<std::pair<const Process*, std::string>, Swallowing> swallowing_;
};

}  // namespace shoal::simulation
