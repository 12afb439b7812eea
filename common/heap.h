// How the C library manages memory in a process that moves blocks.
#pragma once

namespace shoal {

// From now on freed memory stays with the process: up to 64 MiB in each of malloc's arenas. Call it once,
// before threads start.
//
// gRPC allocates and frees a block's worth of slices for each block it receives. By default malloc gives such
// memory back to the system at once and the next block faults it in again, page by page: measured, half of
// all processor time of a push and pull over loopback.
void KeepFreedMemory();

}  // namespace shoal
