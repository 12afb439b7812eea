// How much of a round's communication hides behind the computation.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal {

struct OverlapOptions {
  double gbits = 1;          // speed of the worker's link, each way
  int64_t mib = 64;          // of float32 parameters, spread evenly over the layers
  double compute_ms = 1000;  // of a round: a third forward, two thirds backward
  int layers = 12;
  int servers = 1;
  int rounds = 8;
  std::string wire = "f32";  // f32 | bf16 | f16
};

// One real worker (worker/job_worker.h), whose layers take a given time instead of computing, and real
// servers over loopback; the worker's streams carry no more than the link's bits a second, each way. Prints a
// line with, of the median round,
//   compute_seconds   forward and backward of all layers, without waiting for parameters
//   wire_seconds      bytes of one direction (payloads; gradients go up as parameters come down) over speed
//   exposed_seconds   the round less compute_seconds
//   bound_seconds     max(0, wire_seconds - backward's seconds), and a tenth of the round that would be
//                     without any other exposed time
//   within_bound      1 when exposed_seconds is at most bound_seconds, else 0
// Errors: INVALID_ARGUMENT for an unknown format or sizes that come to nothing.
absl::Status RunOverlap(const OverlapOptions& options);

}  // namespace shoal
