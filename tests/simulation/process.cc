#include "tests/simulation/process.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace shoal::simulation {
namespace {

// A thread wakes up a little later than it should.
constexpr absl::Duration kWakeUp = absl::Microseconds(30);

// Runs tasks in order of time, then in the order in which they were added; one at a time.
class ExecutorState : public std::enable_shared_from_this<ExecutorState> {
 public:
  ExecutorState(Process* process, std::string name) : process_(process), name_(std::move(name)) {}

  void Add(absl::Duration delay, std::function<void()> task) {
    if (stopped_ || !process_->alive()) return;
    const absl::Time time = process_->queue().now() + std::max(delay, absl::ZeroDuration());
    tasks_.emplace(time, std::move(task));
    if (tasks_.begin()->first == time) WakeAt(time);
  }
  void Stop() {
    stopped_ = true;
    tasks_.clear();
  }

 private:
  void WakeAt(absl::Time time) {
    if (time >= wake_) return;  // an earlier wake-up will schedule the next one
    wake_ = time;
    EventQueue& queue = process_->queue();
    queue.After(time - queue.now() + queue.Between(absl::ZeroDuration(), kWakeUp),
                [self = shared_from_this(), time] { self->Wake(time); });
  }
  void Wake(absl::Time planned) {
    if (planned != wake_) return;  // superseded by an earlier one
    wake_ = absl::InfiniteFuture();
    if (stopped_ || !process_->alive() || tasks_.empty()) return;
    const absl::Time now = process_->queue().now();
    const absl::Time thaw = std::max(process_->Thaw(""), process_->Thaw(name_));
    if (thaw > now) return WakeAt(thaw);
    if (tasks_.begin()->first <= now) {
      std::function<void()> task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      task();
    }
    if (!stopped_ && !tasks_.empty()) WakeAt(std::max(tasks_.begin()->first, now));
  }

  Process* const process_;
  const std::string name_;
  bool stopped_ = false;
  absl::Time wake_ = absl::InfiniteFuture();
  std::multimap<absl::Time, std::function<void()>> tasks_;
};

class SimulatedExecutor : public Executor {
 public:
  SimulatedExecutor(Process* process, const char* name)
      : process_(process), state_(std::make_shared<ExecutorState>(process, name)) {}
  ~SimulatedExecutor() override { state_->Stop(); }

  absl::Time Now() const override { return process_->queue().now(); }
  void After(absl::Duration delay, std::function<void()> task) override {
    state_->Add(delay, std::move(task));
  }
  void Stop() override { state_->Stop(); }

 private:
  Process* const process_;
  const std::shared_ptr<ExecutorState> state_;
};

}  // namespace

ExecutorFactory Process::executors() {
  return [this](const char* name) { return std::make_unique<SimulatedExecutor>(this, name); };
}

bool Process::Act() {
  if (!alive_) return false;
  if (++actions_ == die_at_) Die();
  return true;
}

void Process::Die() {
  if (!alive_) return;
  alive_ = false;
  queue_->After(absl::ZeroDuration(), [this] {
    if (on_death_) on_death_();
  });
}

void Process::Freeze(const std::string& executor, absl::Duration length) {
  absl::Time& until = frozen_until_[executor];
  until = std::max(until, queue_->now() + length);
}

absl::Time Process::Thaw(const std::string& executor) const {
  const auto found = frozen_until_.find(executor);
  return found == frozen_until_.end() ? absl::InfinitePast() : found->second;
}

void Process::After(absl::Duration delay, std::function<void()> event) {
  queue_->After(delay, [this, event = std::move(event)] {
    if (!alive_) return;
    if (held_.empty() && Thaw("") <= queue_->now()) return event();
    held_.push_back(event);
    if (held_.size() == 1) HandleHeldAtThaw();
  });
}

void Process::HandleHeldAtThaw() {
  queue_->After(Thaw("") - queue_->now(), [this] {
    if (Thaw("") > queue_->now()) return HandleHeldAtThaw();  // frozen again meanwhile
    for (const auto& event : std::exchange(held_, {})) {
      if (alive_) event();
    }
  });
}

void Process::BreakDisk(const std::string& path, absl::Duration length, absl::Status error) {
  broken_path_ = path;
  broken_until_ = queue_->now() + length;
  broken_ = std::move(error);
}

absl::Status Process::Before(absl::string_view operation, const std::string& path) {
  if (!alive_) return absl::UnavailableError("this process is dead");
  if (queue_->now() >= broken_until_ || !absl::StrContains(path, broken_path_)) return absl::OkStatus();
  // A full disk can still be read and emptied.
  static const std::set<absl::string_view> writes = {"NewWritableFile", "Append", "Sync", "CreateDirs"};
  if (absl::IsResourceExhausted(broken_) && writes.count(operation) == 0) return absl::OkStatus();
  return broken_;
}

void Process::After(absl::string_view, const std::string&) { Act(); }

void Process::Unmount(const std::string& path, absl::Duration length) {
  unmounted_path_ = path;
  unmounted_until_ = queue_->now() + length;
}

std::string Process::Where(const std::string& path) {
  if (queue_->now() >= unmounted_until_ || !absl::StartsWith(path, unmounted_path_)) return path;
  return absl::StrCat("disk-of-", number_, "/", path);
}

}  // namespace shoal::simulation
