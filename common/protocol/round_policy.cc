#include "common/protocol/round_policy.h"

namespace shoal {
namespace {

class Synchronous : public RoundPolicy {
 public:
  // A block reaches t+2 only when every slot of round t+1 is in, and each of these has seen version t+1 of
  // all blocks. So the versions of a job's blocks differ by one at most, and a slot that is lost in round t
  // can be recomputed.
  uint32_t versions_kept() const override { return 2; }

  Round NextToStart(Version base, bool done) const override { return RoundFrom(done ? base + 1 : base); }

  Timing TimingOf(Round round, Version applied, Version published) const override {
    if (round < RoundFrom(applied)) return Timing::kOver;
    return round > RoundFrom(published) ? Timing::kEarly : Timing::kOpen;
  }

  bool IsDue(bool complete) const override { return complete; }
};

}  // namespace

const RoundPolicy& SynchronousRounds() {
  static const Synchronous kRounds;
  return kRounds;
}

}  // namespace shoal
