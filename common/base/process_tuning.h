// How the C library and Abseil serve a process that moves blocks.
#pragma once

namespace shoal {

// Once, before threads start. Measured on pushes and pulls over loopback and on a scheduler with many nodes:
//   - Freed memory stays with the process, up to 64 MiB in each of malloc's arenas. gRPC allocates and frees
//   a
//     block's worth of slices for each block it receives; by default malloc gives them back to the system and
//     the next block faults them in again, page by page, which took half of all processor time.
//   - Mutexes don't look for lock cycles, as Debian's Abseil otherwise does also in gRPC. Tests still do.
void TuneProcess();

}  // namespace shoal
