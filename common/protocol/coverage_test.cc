#include "common/protocol/coverage.h"

#include <algorithm>
#include <random>
#include <string>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

// A value that shows how it was made: "(a+b)".
std::string Join(const std::string& left, const std::string& right) { return "(" + left + "+" + right + ")"; }
std::string Leaf(uint32_t slot) { return std::to_string(slot); }

std::string Expected(SlotRange node) {
  if (node.size() == 1) return Leaf(node.begin);
  const uint32_t middle = SlotTree::Middle(node);
  return Join(Expected({node.begin, middle}), Expected({middle, node.end}));
}

std::vector<SlotRange> AllNodes(SlotRange node) {
  std::vector<SlotRange> nodes = {node};
  if (node.size() == 1) return nodes;
  const uint32_t middle = SlotTree::Middle(node);
  for (SlotRange half : {SlotRange{node.begin, middle}, SlotRange{middle, node.end}}) {
    for (SlotRange n : AllNodes(half)) nodes.push_back(n);
  }
  return nodes;
}

}  // namespace

TEST_CASE("every range of slots is covered by the fewest nodes, left to right") {
  for (uint32_t slots : {1u, 2u, 3u, 5u, 8u, 13u, 64u}) {
    const SlotTree tree(slots);
    for (uint32_t begin = 0; begin < slots; ++begin) {
      for (uint32_t end = begin + 1; end <= slots; ++end) {
        uint32_t next = begin;
        const std::vector<SlotRange> cover = tree.Cover({begin, end});
        for (size_t i = 0; i < cover.size(); ++i) {
          REQUIRE(tree.IsNode(cover[i]));
          REQUIRE(cover[i].begin == next);
          next = cover[i].end;
          // Fewest: no two of the nodes are siblings.
          if (i > 0) {
            const auto sibling = tree.Sibling(cover[i]);
            REQUIRE((!sibling || *sibling != cover[i - 1]));
          }
        }
        REQUIRE(next == end);
      }
    }
  }
}

TEST_CASE("a range that is not a node of the tree is recognised, even when it is nonsense") {
  const SlotTree tree(6);  // [0,6) -> [0,3) [3,6); [0,3) -> [0,1) [1,3)
  CHECK(tree.IsNode({0, 6}));
  CHECK(tree.IsNode({1, 3}));
  CHECK(tree.IsNode({4, 5}));
  CHECK_FALSE(tree.IsNode({0, 2}));
  CHECK_FALSE(tree.IsNode({2, 4}));
  CHECK_FALSE(tree.IsNode({3, 3}));
  CHECK_FALSE(tree.IsNode({5, 4}));
  CHECK_FALSE(tree.IsNode({0, 7}));
  CHECK_FALSE(tree.IsNode({4000000000u, 4100000000u}));
}

TEST_CASE(
    "the root has the same value whatever the order and grouping of the nodes, each any number of times") {
  std::mt19937 random(1);
  for (int trial = 0; trial < 500; ++trial) {
    const uint32_t slots = 1 + random() % 17;
    const SlotTree tree(slots);
    Coverage<std::string> coverage(tree);
    std::vector<SlotRange> nodes = AllNodes(tree.root());
    std::shuffle(nodes.begin(), nodes.end(), random);
    for (SlotRange node : nodes) {
      const bool covered = coverage.Covers(node);
      const CoverageResult result = coverage.Add(node, Expected(node), Join);
      REQUIRE(result == (covered ? CoverageResult::kDuplicate : CoverageResult::kAdded));
      REQUIRE(coverage.Covers(node));
    }
    REQUIRE(coverage.complete());
    REQUIRE(coverage.sum() == Expected(tree.root()));
  }
}

TEST_CASE("a contribution already covered changes nothing") {
  Coverage<std::string> coverage(SlotTree(4));
  CHECK(coverage.Add({0, 2}, "(0+1)", Join) == CoverageResult::kAdded);
  CHECK(coverage.Add({1, 2}, "other bits", Join) == CoverageResult::kDuplicate);
  CHECK(coverage.Add({0, 2}, "other bits", Join) == CoverageResult::kDuplicate);
  CHECK(coverage.Add({2, 4}, "(2+3)", Join) == CoverageResult::kAdded);
  CHECK(coverage.sum() == "((0+1)+(2+3))");
  CHECK(coverage.Add({0, 4}, "other bits", Join) == CoverageResult::kDuplicate);
  CHECK(coverage.sum() == "((0+1)+(2+3))");
}

TEST_CASE("an ancestor replaces the parts of a dead worker, whose other parts will never come") {
  Coverage<std::string> coverage(SlotTree(4));
  coverage.Add({1, 2}, "1 of the dead worker", Join);
  CHECK_FALSE(coverage.complete());
  CHECK(coverage.Add({0, 2}, "(0+1)", Join) == CoverageResult::kAdded);
  coverage.Add({2, 4}, "(2+3)", Join);
  CHECK(coverage.sum() == "((0+1)+(2+3))");
}

TEST_CASE("a sum that was taken out leaves its slots covered until they are cleared") {
  Coverage<std::string> coverage(SlotTree(4));
  coverage.Add({0, 4}, "sum", Join);
  CHECK(coverage.TakeSum() == "sum");
  CHECK(coverage.complete());
  CHECK(coverage.Missing().empty());
  CHECK(coverage.Add({1, 2}, "1", Join) == CoverageResult::kDuplicate);
  coverage.Clear();
  CHECK(coverage.Add({1, 2}, "1", Join) == CoverageResult::kAdded);
}

TEST_CASE("missing ranges can be read, for the status") {
  Coverage<std::string> coverage(SlotTree(8));
  coverage.Add({2, 4}, "", Join);
  coverage.Add({6, 7}, "", Join);
  CHECK(coverage.Missing() == std::vector<SlotRange>{{0, 2}, {4, 6}, {7, 8}});
  coverage.Add({0, 8}, "", Join);
  CHECK(coverage.Missing().empty());
}

}  // namespace shoal
