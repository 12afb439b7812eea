#include "worker/unit_reducer.h"

#include <algorithm>
#include <map>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/wire.h"

namespace shoal::worker {
namespace {

constexpr uint64_t kElements = 6;
const std::vector<GroupRange> kGroups = {{0, 2}, {2, 4}};

float Gradient(uint32_t slot, uint64_t i) { return 1.0f / static_cast<float>(3 + 7 * slot + i); }

// The definition, written as a recursion.
std::vector<float> Reduce(WireFormat wire, SlotRange node) {
  std::vector<float> value(kElements);
  if (node.size() == 1) {
    for (uint64_t i = 0; i < kElements; ++i) value[i] = Gradient(node.begin, i);
    RoundToWire(wire, absl::MakeSpan(value));
    return value;
  }
  const uint32_t middle = SlotTree::Middle(node);
  const std::vector<float> left = Reduce(wire, {node.begin, middle});
  const std::vector<float> right = Reduce(wire, {middle, node.end});
  for (uint64_t i = 0; i < kElements; ++i) value[i] = left[i] + right[i];
  RoundToWire(wire, absl::MakeSpan(value));
  return value;
}

struct Result {
  std::map<int, std::vector<float>> groups;
  ContributionStats stats;
};

struct Run {
  std::shared_ptr<ArrayPool> pool = ArrayPool::Create();
  std::map<SlotRange, Result> results;

  UnitReducer::Options Options(uint32_t slots, SlotRange unit, WireFormat wire) {
    return {
        SlotTree(slots), unit, wire, kGroups,
        [this](SlotRange node, int group, const GradientBuffer& gradient, const ContributionStats& stats) {
          const GroupRange& range = kGroups[group];
          const float* begin = gradient.get() + range.offset;
          results[node].groups[group].assign(begin, begin + range.size);
          results[node].stats = stats;
        }};
  }

  static void RunSlot(UnitReducer& reducer, uint32_t slot) {
    float* gradient = reducer.BeginSlot(Slot(slot));
    for (uint64_t i = 0; i < kElements; ++i) gradient[i] = Gradient(slot, i);
    ContributionStats stats;
    stats.set_weight(slot + 1);
    stats.set_loss(0.1 * slot);
    reducer.SetStats(stats);
    reducer.GroupFinal(1);  // backward: last group first
    reducer.GroupFinal(0);
    reducer.EndSlot();
  }

  std::vector<float> Value(SlotRange node) {
    std::vector<float> value = results.at(node).groups.at(0);
    const std::vector<float>& rest = results.at(node).groups.at(1);
    value.insert(value.end(), rest.begin(), rest.end());
    return value;
  }
};

}  // namespace

TEST_CASE("a unit has the bits of the recursive definition, in every wire format") {
  for (WireFormat wire : {WIRE_FORMAT_F32, WIRE_FORMAT_BF16, WIRE_FORMAT_F16}) {
    for (uint32_t slots : {1u, 2u, 3u, 7u, 8u, 13u}) {
      Run run;
      UnitReducer reducer(run.Options(slots, {0, slots}, wire), run.pool);
      for (uint32_t s = 0; s < slots; ++s) Run::RunSlot(reducer, s);
      REQUIRE(run.results.size() == 1);
      REQUIRE(run.Value({0, slots}) == Reduce(wire, {0, slots}));
      REQUIRE(run.results.at({0, slots}).stats.weight() == slots * (slots + 1) / 2);
    }
  }
}

TEST_CASE("a unit inside the tree is reduced as that node") {
  Run run;
  UnitReducer reducer(run.Options(8, {4, 8}, WIRE_FORMAT_F32), run.pool);
  for (uint32_t s = 4; s < 8; ++s) Run::RunSlot(reducer, s);
  CHECK(run.Value({4, 8}) == Reduce(WIRE_FORMAT_F32, {4, 8}));
}

TEST_CASE("what was reduced before a unit was abandoned is pushed as smaller nodes") {
  Run run;
  UnitReducer reducer(run.Options(8, {0, 8}, WIRE_FORMAT_F32), run.pool);
  for (uint32_t s = 0; s < 3; ++s) Run::RunSlot(reducer, s);
  reducer.BeginSlot(Slot(3));
  CHECK(reducer.Flush() == std::vector<SlotRange>{{0, 2}, {2, 3}});
  CHECK(run.Value({0, 2}) == Reduce(WIRE_FORMAT_F32, {0, 2}));
  CHECK(run.Value({2, 3}) == Reduce(WIRE_FORMAT_F32, {2, 3}));
}

TEST_CASE("a slot that fails in backward spoils no node that is pushed") {
  Run run;
  UnitReducer reducer(run.Options(8, {0, 8}, WIRE_FORMAT_F32), run.pool);
  for (uint32_t s = 0; s < 3; ++s) Run::RunSlot(reducer, s);
  float* gradient = reducer.BeginSlot(Slot(3));
  std::fill_n(gradient, kElements, 1.0f);
  reducer.SetStats(ContributionStats());
  reducer.GroupFinal(1);  // merged with slot 2 and with [0,2), whose sums are lost now
  CHECK(reducer.Flush().empty());
  CHECK(run.results.empty());
}

TEST_CASE("n slots need at most log2(n) + 2 buffers, and the next round needs none") {
  Run run;
  for (int round = 0; round < 2; ++round) {
    UnitReducer reducer(run.Options(16, {0, 16}, WIRE_FORMAT_F32), run.pool);
    for (uint32_t s = 0; s < 16; ++s) Run::RunSlot(reducer, s);
    CHECK(run.pool->allocated_bytes() <= 6 * ((kElements * sizeof(float) + 63) / 64 * 64));
  }
}

}  // namespace shoal::worker
