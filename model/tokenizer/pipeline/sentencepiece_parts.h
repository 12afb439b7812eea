// The normalizer and the decoder of SentencePiece itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "model/tokenizer/pipeline/charsmap.h"
#include "model/tokenizer/pipeline/decoder.h"
#include "model/tokenizer/pipeline/normalizer.h"

namespace shoal::model::pipeline {

struct SentencePieceSpacing {
  bool add_dummy_prefix = true;          // a space before the text, unless it is empty
  bool remove_extra_whitespaces = true;  // runs of spaces are one space, and there is none at the ends
  bool escape_whitespaces = true;        // spaces are written as U+2581
};

// The longest strings of `map` are replaced, then spaces are treated. `verbatim`: strings that stay as they
// are.
std::unique_ptr<Normalizer> MakeSentencePieceNormalizer(Charsmap map,
                                                        const std::vector<std::string>& verbatim,
                                                        const SentencePieceSpacing& spacing);

// `surfaces`: what stands for a piece other than itself, such as "" for "</s>".
std::unique_ptr<Decoder> MakeSentencePieceDecoder(absl::flat_hash_map<std::string, std::string> surfaces,
                                                  const SentencePieceSpacing& spacing);

}  // namespace shoal::model::pipeline
