// The protocol's terms as types, so that a round can't be passed where a slot is meant.
#pragma once

#include <cstdint>
#include <limits>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"

namespace shoal {

// An integer with one meaning. Comparable and hashable; arithmetic only with plain integers.
template <typename Tag>
class Number {
 public:
  constexpr Number() = default;
  constexpr explicit Number(uint64_t value) : value_(value) {}
  constexpr uint64_t value() const { return value_; }

  friend constexpr bool operator==(Number a, Number b) { return a.value_ == b.value_; }
  friend constexpr bool operator!=(Number a, Number b) { return a.value_ != b.value_; }
  friend constexpr bool operator<(Number a, Number b) { return a.value_ < b.value_; }
  friend constexpr bool operator<=(Number a, Number b) { return a.value_ <= b.value_; }
  friend constexpr bool operator>(Number a, Number b) { return a.value_ > b.value_; }
  friend constexpr bool operator>=(Number a, Number b) { return a.value_ >= b.value_; }
  friend constexpr Number operator+(Number a, uint64_t n) { return Number(a.value_ + n); }
  friend constexpr Number operator-(Number a, uint64_t n) { return Number(a.value_ - n); }
  Number& operator++() {
    ++value_;
    return *this;
  }
  template <typename H>
  friend H AbslHashValue(H h, Number n) {
    return H::combine(std::move(h), n.value_);
  }
  friend std::ostream& operator<<(std::ostream& os, Number n) { return os << n.value_; }

 private:
  uint64_t value_ = 0;
};

using JobId = Number<struct JobIdTag>;
using NodeId = Number<struct NodeIdTag>;          // never reused in a cluster; 0: no node
using TrainingId = Number<struct TrainingIdTag>;  // of a View: tells jobs of the same number apart
using ViewId = Number<struct ViewIdTag>;          // increases with every view of a job
using Round = Number<struct RoundTag>;            // round t turns version t into version t+1
using Version = Number<struct VersionTag>;        // rounds applied to a block
using RestoreId =
    Number<struct RestoreIdTag>;            // of a restore point: grows with every rewind of a job; 0: none
using BlockId = Number<struct BlockIdTag>;  // index into the job's block list
using Slot = Number<struct SlotTag>;

// Round t computes from version t and yields version t+1.
constexpr Version InputOf(Round round) { return Version(round.value()); }
constexpr Version OutputOf(Round round) { return Version(round.value() + 1); }
constexpr Round RoundFrom(Version version) { return Round(version.value()); }

// A version, and the restore point that it follows from: the same rounds after a rewind yield another one.
struct RestoredVersion {
  Version version;
  RestoreId restore_id;

  friend constexpr bool operator==(RestoredVersion a, RestoredVersion b) {
    return a.version == b.version && a.restore_id == b.restore_id;
  }
  friend constexpr bool operator!=(RestoredVersion a, RestoredVersion b) { return !(a == b); }
  friend constexpr bool operator<(RestoredVersion a, RestoredVersion b) {
    return a.version != b.version ? a.version < b.version : a.restore_id < b.restore_id;
  }
};

// The slots [begin, end). A node of the reduction tree when it comes from SlotTree.
struct SlotRange {
  uint32_t begin = 0;
  uint32_t end = 0;

  constexpr uint32_t size() const { return end - begin; }
  constexpr bool empty() const { return begin >= end; }
  constexpr bool Contains(SlotRange other) const { return begin <= other.begin && other.end <= end; }
  constexpr bool Overlaps(SlotRange other) const { return begin < other.end && other.begin < end; }
  friend constexpr bool operator==(SlotRange a, SlotRange b) { return a.begin == b.begin && a.end == b.end; }
  friend constexpr bool operator!=(SlotRange a, SlotRange b) { return !(a == b); }
  friend constexpr bool operator<(SlotRange a, SlotRange b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  }
  template <typename H>
  friend H AbslHashValue(H h, SlotRange r) {
    return H::combine(std::move(h), r.begin, r.end);
  }
  std::string ToString() const { return absl::StrCat("[", begin, ",", end, ")"); }
};

}  // namespace shoal
