// Which examples each slot computes in each round: a pure function of (seed, epoch, slot, the lengths of the
// examples).
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/types.h"
#include "tasks/dataset.h"

namespace shoal::tasks {

// The training examples are divided at random into S partitions of almost equal size; partition s feeds slot
// s, in a different order in each epoch. Batches are length-aware: of every kChunk consecutive batches, each
// gets a similar share of long and short examples, so that all slots of all rounds take about the same time
// (batches are packed, so there is no padding to save).
//
// Immutable; any thread. `part` must outlive this.
class BatchOrder {
 public:
  // `slots`, `slot_batch` >= 1, and at least one example.
  BatchOrder(const EncodedPart* part, uint64_t seed, uint32_t slots, uint32_t slot_batch);

  // Each epoch uses every example once.
  uint64_t rounds_per_epoch() const { return rounds_; }

  // At most slot_batch; none for some slots when there are fewer examples than slots.
  std::vector<uint64_t> Examples(Round round, Slot slot) const;

 private:
  static constexpr uint64_t kChunk = 16;

  const EncodedPart* const part_;
  const uint64_t seed_;
  const uint32_t slots_;
  uint64_t rounds_;  // of an epoch
};

}  // namespace shoal::tasks
