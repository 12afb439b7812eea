// A process of a simulated cluster: its executors, its disk, its death.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/executor.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/memory_disk.h"

namespace shoal::simulation {

// Anything that other processes can observe is an action: a message, a change to a disk or to a store. A
// process dies between two actions. Whatever its code still does in the event in which it died has no effect:
// every seam (executors, disk, network) asks Act first.
//
// Frozen processes (SIGSTOP) run nothing, and messages wait for them. A single executor can be frozen too,
// like a thread that hangs. Time passes meanwhile. Not thread-safe.
class Process : public DiskObserver {
 public:
  Process(EventQueue* queue, MemoryDisk* disk, int number, std::string name)
      : queue_(queue), number_(number), name_(std::move(name)), env_(disk, number, this) {}

  int number() const { return number_; }
  const std::string& name() const { return name_; }
  bool alive() const { return alive_; }
  // The cluster that the node joined last.
  const std::string& cluster() const { return cluster_; }
  void set_cluster(const std::string& id) { cluster_ = id; }
  EventQueue& queue() { return *queue_; }
  Env* env() { return &env_; }

  // The executors of this process; they stop with it.
  ExecutorFactory executors();

  // False: the process is dead, so the action must not happen. True: it happens, and may be the last one.
  bool Act();
  uint64_t actions() const { return actions_; }
  // Dies right after `actions` more actions. `on_death` is called by the next event.
  void DieAfter(uint64_t actions) { die_at_ = actions_ + actions; }
  // Whether it died because of DieAfter.
  bool crashed() const { return !alive_ && actions_ == die_at_; }
  void Die();
  void set_on_death(std::function<void()> on_death) { on_death_ = std::move(on_death); }

  // ---- freezes ----
  // "" freezes the whole process, a name only that executor.
  void Freeze(const std::string& executor, absl::Duration length);
  // When it runs again; a time that is not in the future means that it runs.
  absl::Time Thaw(const std::string& executor) const;

  // Runs `event` in this process after `delay`: later if it is frozen then, never if it has died. Events that
  // a freeze held up keep their order.
  void After(absl::Duration delay, std::function<void()> event);

  // ---- failing work ----
  // For `length`, each slot that the process computes fails.
  void FailSlots(absl::Duration length) { fails_until_ = queue_->now() + length; }
  bool Fails() const { return queue_->now() < fails_until_; }

  // ---- disk errors ----
  // For `length`, operations on paths that contain `path` fail with `error`.
  void BreakDisk(const std::string& path, absl::Duration length, absl::Status error);
  absl::Status Before(absl::string_view operation, const std::string& path) override;
  void After(absl::string_view operation, const std::string& path) override;
  // For `length`, folders below `path` are not mounted on this machine: it sees its own disk there.
  void Unmount(const std::string& path, absl::Duration length);
  std::string Where(const std::string& path) override;

 private:
  void HandleHeldAtThaw();

  EventQueue* const queue_;
  const int number_;
  const std::string name_;
  std::string cluster_;
  MemoryEnv env_;
  bool alive_ = true;
  uint64_t actions_ = 0;
  uint64_t die_at_ = ~uint64_t{0};
  std::function<void()> on_death_;
  std::map<std::string, absl::Time> frozen_until_;
  std::vector<std::function<void()>> held_;  // events of a frozen process, in order
  absl::Time fails_until_;
  std::string broken_path_;
  absl::Time broken_until_ = absl::InfinitePast();
  absl::Status broken_;
  std::string unmounted_path_;
  absl::Time unmounted_until_ = absl::InfinitePast();
};

}  // namespace shoal::simulation
