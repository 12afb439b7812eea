#include "server/snapshot_queue.h"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::server {
namespace {

SnapshotQueue::Snapshot Of(uint64_t version) {
  auto snapshot = std::make_shared<ShardSnapshot>();
  snapshot->version = Version(version);
  snapshot->blocks.resize(1);
  snapshot->blocks[0].size = 100;
  snapshot->blocks[0].arrays = {{nullptr, 100}, {nullptr, 100}};
  return snapshot;
}

// The version given up for `version`; 0: none.
uint64_t Add(SnapshotQueue* queue, uint64_t version, CheckpointUse use) {
  const auto given_up = queue->Add(Of(version), use);
  return given_up == nullptr ? 0 : given_up->version.value();
}

std::vector<uint64_t> TakeAll(SnapshotQueue* queue) {
  std::vector<uint64_t> versions;
  while (const auto next = queue->Take()) versions.push_back(next->version.value());
  return versions;
}

TEST_CASE("On a slow disk the versions with the most factors of two wait, and no more than the bound") {
  SnapshotQueue queue;
  CHECK(Add(&queue, 1, CheckpointUse::kRestart) == 0);
  CHECK(Add(&queue, 2, CheckpointUse::kRestart) == 0);
  CHECK(queue.bytes() == 2 * 100 * 4 * 3);
  CHECK(Add(&queue, 3, CheckpointUse::kRestart) == 1);
  CHECK(Add(&queue, 4, CheckpointUse::kRestart) == 3);
  CHECK(queue.size() == SnapshotQueue::kMaxWaiting);
  CHECK(TakeAll(&queue) == std::vector<uint64_t>{2, 4});
}

// A server that takes a snapshot every round and needs `write` rounds to write one.
class SlowServer {
 public:
  SlowServer(uint64_t write, uint64_t phase) : write_(write), done_at_(phase) {}

  void Step(uint64_t round) {
    if (round == done_at_ && writing_ != nullptr) written_.insert(writing_->version.value());
    (void)queue_.Add(Of(round), CheckpointUse::kRestart);
    if (round < done_at_) return;
    writing_ = queue_.Take();
    done_at_ = round + write_;
  }
  const std::set<uint64_t>& written() const { return written_; }

 private:
  const uint64_t write_;
  uint64_t done_at_;  // when the current write is done
  SnapshotQueue queue_;
  SnapshotQueue::Snapshot writing_;
  std::set<uint64_t> written_;
};

// Of what the slowest server writes, at least three quarters become complete checkpoints, and a restart loses
// no more rounds than five of its writes take.
TEST_CASE("Servers of different speeds with slow disks write the same versions") {
  const std::vector<uint64_t> writes =
      GENERATE(std::vector<uint64_t>{40, 44}, std::vector<uint64_t>{40, 100}, std::vector<uint64_t>{31, 33},
               std::vector<uint64_t>{40, 42, 44, 50});
  constexpr uint64_t kRounds = 5000;
  const uint64_t slowest = writes.back();
  std::vector<SlowServer> servers;
  for (uint64_t write : writes) servers.emplace_back(write, 3 * servers.size());
  const auto is_whole = [&](uint64_t version) {
    return std::all_of(servers.begin(), servers.end(),
                       [&](const SlowServer& server) { return server.written().count(version) > 0; });
  };
  uint64_t oldest_restart = 0;
  for (uint64_t round = 1; round <= kRounds; ++round) {
    for (SlowServer& server : servers) server.Step(round);
    uint64_t newest = 0;
    for (uint64_t version : servers.back().written()) {
      if (is_whole(version)) newest = std::max(newest, version);
    }
    oldest_restart = std::max(oldest_restart, round - newest);
  }
  const std::set<uint64_t>& written = servers.back().written();
  const auto whole = static_cast<size_t>(std::count_if(written.begin(), written.end(), is_whole));
  CHECK(whole * 4 >= kRounds / slowest * 3);
  CHECK(oldest_restart <= 5 * slowest);
}

TEST_CASE("No candidate is dropped if there was room for each") {
  SnapshotQueue queue;
  for (uint64_t version = 1; queue.HasRoomForCandidate(); ++version)
    CHECK(Add(&queue, version, CheckpointUse::kCandidate) == 0);
  CHECK(queue.size() == SnapshotQueue::kMaxWaiting);
  (void)queue.Take();
  CHECK(queue.HasRoomForCandidate());
  CHECK(Add(&queue, 8, CheckpointUse::kRestart) == 0);
  CHECK(queue.HasRoomForCandidate());
  CHECK(Add(&queue, 9, CheckpointUse::kCandidate) == 8);
}

TEST_CASE("A version that may be the best is dropped after those to restart from; the last one never is") {
  SnapshotQueue queue;
  CHECK(Add(&queue, 1, CheckpointUse::kCandidate) == 0);
  CHECK(Add(&queue, 2, CheckpointUse::kRestart) == 0);
  CHECK(Add(&queue, 3, CheckpointUse::kCandidate) == 2);
  CHECK(Add(&queue, 4, CheckpointUse::kRestart) == 4);
  CHECK(Add(&queue, 5, CheckpointUse::kCandidate) == 1);
  CHECK(Add(&queue, 6, CheckpointUse::kResult) == 0);
  CHECK(queue.size() == SnapshotQueue::kMaxWaiting + 1);
  CHECK(TakeAll(&queue) == std::vector<uint64_t>{3, 5, 6});
}

}  // namespace
}  // namespace shoal::server
