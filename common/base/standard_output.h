// Standard output as a program's result: output that could not be written is an error, not silently lost.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace shoal {

// 128 + SIGPIPE: what a shell reports for a program whose reader has gone (`shoal logs 1 | head`).
inline constexpr int kExitReaderGone = 141;

// Call it first in main. Writing to a closed pipe becomes an error instead of ending the process, so that
// what was started is also stopped; and no file or socket gets the number of a standard stream that was
// closed.
void PrepareStandardStreams();

// Whether the reader of this descriptor, a pipe or a socket, has gone.
bool ReaderGone(int fd);

// Flushes standard output; use it instead of fflush, which loses the reason of an error. Single-threaded.
// Errors when anything printed so far could not be written: CANCELLED when the reader has gone, else the
// system's error.
absl::Status FlushStandardOutput();

// What main returns instead of `code`. `code` itself when all output was written. kExitReaderGone, silently,
// when the reader has gone. Otherwise, after a message from `program` on standard error, `code` if it is not
// 0, else 1.
int ExitCodeWithOutput(const std::string& program, int code);

}  // namespace shoal
