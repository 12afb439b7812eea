// How a server calls the other servers of its job.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/parameter.pb.h"

namespace shoal::server {

// Thread-safe.
class PeerLink {
 public:
  virtual ~PeerLink() = default;

  using NormsDone = std::function<void(absl::StatusOr<Norms>)>;

  // Asks the server at `address` and calls `done` once: with its answer, with the error it returned, or,
  // after `timeout` at the latest, with the reason why there is no answer (UNAVAILABLE, DEADLINE_EXCEEDED,
  // CANCELLED). `done` may run on any thread, even before this returns; it must not block.
  virtual void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                        NormsDone done) = 0;
};

}  // namespace shoal::server
