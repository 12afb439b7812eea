// How fast texts become tokens.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace shoal::bench {

struct TokenizeOptions {
  std::vector<std::string> tokenizers;  // folders, or files that can be a tokenizer on their own
  std::vector<std::string> texts;       // files whose lines are encoded, one by one
  int repeats = 5;
};

// Prints a line for each tokenizer: tokens and bytes of text per second on one thread, the shortest of
// several runs over all lines. Ids are made with their offsets, as a job needs them. Errors: those of
// reading.
absl::Status RunTokenize(const TokenizeOptions& options);

}  // namespace shoal::bench
