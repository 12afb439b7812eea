// Standard output as a program's result: what could not be written is an error, not lost.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace shoal {

// 128 + SIGPIPE: what a shell shows of a program whose reader has gone (`shoal logs 1 | head`).
inline constexpr int kExitReaderGone = 141;

// Call it first in main. A closed pipe becomes an error of the write instead of the process's end, so that
// what was started is also stopped; and no file or socket gets the number of a standard stream that was
// closed.
void PrepareStandardStreams();

// Whether nobody reads any more what is written to this descriptor, a pipe or a socket.
bool ReaderGone(int fd);

// Flushes standard output; use it in place of fflush, which loses the reason of an error. One thread.
// Errors: when anything that was printed there could not be written: CANCELLED
// when its reader has gone, else what the system says.
absl::Status FlushStandardOutput();

// What main returns in place of `code`: the same when all of the output was written. Else kExitReaderGone,
// silently, or after a message of `program` on standard error `code` if it is not 0, otherwise 1.
int ExitCodeWithOutput(const std::string& program, int code);

}  // namespace shoal
