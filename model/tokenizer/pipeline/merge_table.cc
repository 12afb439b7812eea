#include "model/tokenizer/pipeline/merge_table.h"

#include <algorithm>
#include <queue>
#include <vector>

namespace shoal::model::pipeline {
namespace {

// Up to here a scan of all pairs is faster than a heap.
constexpr size_t kFew = 24;

}  // namespace

// A merge that could be applied at a symbol when it was found.
struct MergeTable::Candidate {
  uint32_t rank;
  uint32_t result;
  size_t at;

  // For a heap whose top is the lowest rank, and of these the leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

// A doubly linked list over the symbols.
class MergeTable::Chain {
 public:
  Chain(const MergeTable& table, Symbols* symbols)
      : table_(table), symbols_(*symbols), links_(symbols->size()) {
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < links_.size(); ++i) {
      links_[i] = {i == 0 ? kEnd : i - 1, i + 1 == links_.size() ? kEnd : i + 1};
      const Merge merge = MergeAt(i);
      if (merge.rank != kNone) candidates.push_back({merge.rank, merge.result, i});
    }
    heap_ = std::priority_queue<Candidate>(std::less<Candidate>(), std::move(candidates));
  }

  void Run() {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const Merge now = MergeAt(top.at);
      // The symbols may have been merged with others since.
      if (now.rank != kNone && now.result == top.result) Apply(top);
    }
    RemoveMerged();
  }

 private:
  static constexpr size_t kEnd = SIZE_MAX;
  static constexpr size_t kMerged = SIZE_MAX - 1;

  struct Link {
    size_t previous, next;
  };

  Merge MergeAt(size_t at) const {
    const size_t next = links_[at].next;
    if (next == kEnd || next == kMerged) return {};
    return table_.Find(symbols_[at], symbols_[next]);
  }

  void Push(size_t at) {
    const Merge merge = MergeAt(at);
    if (merge.rank != kNone) heap_.push({merge.rank, merge.result, at});
  }

  void Apply(const Candidate& merge) {
    const size_t next = links_[merge.at].next;
    symbols_[merge.at] = {merge.result, symbols_[merge.at].bytes + symbols_[next].bytes};
    links_[merge.at].next = links_[next].next;
    if (links_[next].next != kEnd) links_[links_[next].next].previous = merge.at;
    links_[next].next = kMerged;
    if (links_[merge.at].previous != kEnd) Push(links_[merge.at].previous);
    Push(merge.at);
  }

  void RemoveMerged() {
    size_t size = 0;
    for (size_t i = 0; i < links_.size(); ++i) {
      if (links_[i].next != kMerged) symbols_[size++] = symbols_[i];
    }
    symbols_.resize(size);
  }

  const MergeTable& table_;
  Symbols& symbols_;
  std::vector<Link> links_;
  std::priority_queue<Candidate> heap_;
};

void MergeTable::ApplyToFew(Symbols* symbols) const {
  Merge merges[kFew];  // of symbol i with the next
  size_t last = symbols->size() - 1;
  for (size_t i = 0; i < last; ++i) merges[i] = Find((*symbols)[i], (*symbols)[i + 1]);
  while (last > 0) {
    const size_t best = std::min_element(merges, merges + last,
                                         [](const Merge& a, const Merge& b) { return a.rank < b.rank; }) -
                        merges;
    if (merges[best].rank == kNone) break;
    Symbol& merged = (*symbols)[best];
    merged = {merges[best].result, merged.bytes + (*symbols)[best + 1].bytes};
    symbols->erase(symbols->begin() + best + 1);
    std::copy(merges + best + 1, merges + last, merges + best);
    --last;
    if (best < last) merges[best] = Find((*symbols)[best], (*symbols)[best + 1]);
    if (best > 0) merges[best - 1] = Find((*symbols)[best - 1], (*symbols)[best]);
  }
}

void MergeTable::Apply(Symbols* symbols) const {
  if (symbols->size() < 2) return;
  if (symbols->size() <= kFew) return ApplyToFew(symbols);
  Chain(*this, symbols).Run();
}

}  // namespace shoal::model::pipeline
