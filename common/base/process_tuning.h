// Settings of the C library and Abseil for a process that moves blocks.
#pragma once

namespace shoal {

// Call once, before threads start. Measured on pushes and pulls over loopback and on a scheduler with many
// nodes:
//   - The process keeps freed memory, up to 64 MiB in each of malloc's arenas. gRPC allocates and frees a
//     block's worth of slices for each block it receives; by default malloc returns them to the system and
//     the next block faults them in again, page by page, which took half of all processor time.
//   - Mutexes don't check for lock cycles, which Debian's Abseil otherwise does, in gRPC too. Tests still
//     check.
void TuneProcess();

}  // namespace shoal
