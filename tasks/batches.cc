#include "tasks/batches.h"

#include <algorithm>

#include "common/base/permutation.h"
#include "common/base/philox.h"

namespace shoal::tasks {

BatchOrder::BatchOrder(const EncodedPart* part, uint64_t seed, uint32_t slots, uint32_t slot_batch)
    : part_(part), seed_(seed), slots_(slots) {
  const uint64_t largest = (part->size() + slots - 1) / slots;
  rounds_ = (largest + slot_batch - 1) / slot_batch;
}

std::vector<uint64_t> BatchOrder::Examples(Round round, Slot slot) const {
  const uint64_t examples = part_->size();
  const uint64_t epoch = round.value() / rounds_, batch = round.value() % rounds_;
  const uint64_t first = examples * slot.value() / slots_;
  const uint64_t size = examples * (slot.value() + 1) / slots_ - first;
  if (size == 0) return {};

  // The chunk of batches around this one, and its examples.
  const uint64_t chunk_begin = batch / kChunk * kChunk;
  const uint64_t batches = std::min(chunk_begin + kChunk, rounds_) - chunk_begin;
  const Permutation partition(DeriveKey(seed_, "partition"), examples);
  const Permutation order(DeriveKey(seed_, "order", {epoch, slot.value()}), size);
  std::vector<uint64_t> chunk;
  for (uint64_t i = size * chunk_begin / rounds_; i < size * (chunk_begin + batches) / rounds_; ++i) {
    chunk.push_back(partition[first + order[i]]);
  }
  std::sort(chunk.begin(), chunk.end(), [this](uint64_t a, uint64_t b) {
    return part_->length(a) != part_->length(b) ? part_->length(a) > part_->length(b) : a < b;
  });

  // Dealt like cards, in alternating direction; which hand goes to which batch is random.
  const Permutation hands(DeriveKey(seed_, "hands", {epoch, slot.value(), chunk_begin}), batches);
  const uint64_t hand = hands[batch - chunk_begin];
  std::vector<uint64_t> dealt;
  for (uint64_t row = 0; row * batches < chunk.size(); ++row) {
    const uint64_t place = row * batches + (row % 2 == 0 ? hand : batches - 1 - hand);
    if (place < chunk.size()) dealt.push_back(chunk[place]);
  }
  return dealt;
}

}  // namespace shoal::tasks
