// How much of a round's communication is hidden behind computation.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal::bench {

struct OverlapOptions {
  double gbits = 1;          // speed of the worker's link, each way
  int64_t mib = 64;          // of float32 parameters, spread evenly over the layers
  double compute_ms = 1000;  // per round: a third forward, two thirds backward
  int layers = 12;
  int servers = 1;
  int rounds = 8;
  std::string wire = "f32";  // f32 | bf16 | f16
};

// One real worker (worker/job_worker.h), whose layers take a given time instead of computing, and real
// servers over loopback; the worker's streams carry no more than the link's bits per second, each way. Prints
// a line with, of the median round,
//   compute_seconds   forward and backward of all layers, without waiting for parameters
//   wire_seconds      bytes of one direction (payloads; gradients go up as parameters come down) over speed
//   exposed_seconds   the round minus compute_seconds
//   bound_seconds     max(0, wire_seconds - backward's seconds), plus a tenth of what the round would take
//                     without any other exposed time
//   within_bound      1 when exposed_seconds is at most bound_seconds, else 0
// Errors: INVALID_ARGUMENT for an unknown format or sizes that are too small.
absl::Status RunOverlap(const OverlapOptions& options);

}  // namespace shoal::bench
