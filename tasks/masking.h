// Hides tokens of examples, which a model then has to name, as in BERT's pretraining (Devlin et al., 2019).
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal::tasks {

struct Masking {
  double rate = 0.15;        // the probability that a token is hidden
  bool whole_words = false;  // whether the tokens of a word are hidden together
  uint32_t mask_token = 0;
  uint32_t vocab_size = 1;  // of the tokenizer
  uint64_t key = 0;         // of what is drawn: another key, other tokens
};

// Hides tokens of one example. Each is replaced by mask_token with probability 0.8 and by a random token with
// 0.1; otherwise it stays. `targets` in: the word of each token, negative: it is never hidden; out: what a
// hidden token was, -1 for all others. Both have the example's length.
//
// A pure function of its arguments, of which `example` is the example's number in its part: it does not
// matter with which others it is in a batch.
void HideTokens(const Masking& masking, uint64_t example, absl::Span<int32_t> tokens,
                absl::Span<int32_t> targets);

}  // namespace shoal::tasks
