// What a job's mode decides about rounds: when a slot may start, when contributions are applied, and which
// versions are kept. There is one mode so far, and what it does not need is not asked yet: that a round is
// one version (InputOf, OutputOf), that a block sums up one round at a time, and that norms of two rounds are
// kept stands in the code of worker and server.
#pragma once

#include <cstdint>

#include "common/base/types.h"

namespace shoal {

// Pure and immutable; any thread.
class RoundPolicy {
 public:
  virtual ~RoundPolicy() = default;

  // How many consecutive versions exist at once: as published copies of a block at its server, and as
  // parameters in a worker's memory. At least 2: a worker receives a version while it computes with another.
  virtual uint32_t versions_kept() const = 0;

  // The round whose slots a worker starts next. Version `base` is the oldest that it still needs; `done`:
  // whether all its slots of the round that starts from `base` are done. A slot computes with the input
  // version of its round, layer by layer as the blocks arrive.
  virtual Round NextToStart(Version base, bool done) const = 0;

  enum class Timing {
    kOpen,
    kOver,   // too late to matter: dropped, which is not an error
    kEarly,  // nobody can have computed it yet: refused
  };
  // A contribution to `round` reaches a block that has applied version `applied` and published version
  // `published`, which may be the one before.
  virtual Timing TimingOf(Round round, Version applied, Version published) const = 0;

  // Whether a block that has just added a contribution applies what it holds; `complete`: whether that
  // covers all slots of the round.
  virtual bool IsDue(bool complete) const = 0;
};

// Round t applies the contributions of all slots, each computed with version t, at once: the result depends
// on the job alone.
const RoundPolicy& SynchronousRounds();

}  // namespace shoal
