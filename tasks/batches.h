// Which examples each slot computes in each round: a pure function of (seed, epoch, slot, the examples'
// lengths).
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/types.h"
#include "tasks/dataset.h"

namespace shoal::tasks {

// The training examples are cut at random into S partitions, as equal as can be; partition s feeds slot s, in
// an order of its own in each epoch. Batches are length-aware: of every kChunk batches in a row, each gets a
// like share of the long and the short examples, so that all slots of all rounds take about the same time
// (batches are packed, so there is no padding to save).
//
// Immutable; any thread. `part` must outlive it.
class BatchOrder {
 public:
  // `slots`, `slot_batch` >= 1, and at least one example.
  BatchOrder(const EncodedPart* part, uint64_t seed, uint32_t slots, uint32_t slot_batch);

  // In each epoch every example comes once.
  uint64_t rounds_per_epoch() const { return rounds_; }

  // At most slot_batch; none when there are fewer examples than slots.
  std::vector<uint64_t> Examples(Round round, Slot slot) const;

 private:
  static constexpr uint64_t kChunk = 16;

  const EncodedPart* const part_;
  const uint64_t seed_;
  const uint32_t slots_;
  uint64_t rounds_;  // of an epoch
};

}  // namespace shoal::tasks
