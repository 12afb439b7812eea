#include "server/snapshot_queue.h"

#include <memory>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::server {
namespace {

SnapshotQueue::Snapshot Of(uint64_t version) {
  auto snapshot = std::make_shared<ShardSnapshot>();
  snapshot->version = Version(version);
  snapshot->blocks.resize(1);
  snapshot->blocks[0].size = 100;
  snapshot->blocks[0].moments.resize(2);
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

TEST_CASE("On a slow disk the newest checkpoints wait, and no more than the bound") {
  SnapshotQueue queue;
  CHECK(Add(&queue, 1, CheckpointUse::kRestart) == 0);
  CHECK(Add(&queue, 2, CheckpointUse::kRestart) == 0);
  CHECK(queue.bytes() == 2 * 100 * 4 * 3);
  CHECK(Add(&queue, 3, CheckpointUse::kRestart) == 1);
  CHECK(Add(&queue, 4, CheckpointUse::kRestart) == 2);
  CHECK(queue.size() == SnapshotQueue::kMaxWaiting);
  CHECK(TakeAll(&queue) == std::vector<uint64_t>{3, 4});
}

TEST_CASE("No candidate is given up when each is asked for first") {
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

TEST_CASE("A version that may be the best is given up after those to restart from, the last one never") {
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
