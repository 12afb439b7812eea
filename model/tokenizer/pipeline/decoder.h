// Decoders: from the spellings of tokens to text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

// Immutable; may be used by any thread.
class Decoder {
 public:
  virtual ~Decoder() = default;

  // Changes the spellings, which together are the text in the end.
  virtual void Apply(std::vector<std::string>* tokens) const = 0;

  // How many times as many bytes the result may have, beyond one byte per token.
  virtual double MaxGrowth() const { return 1; }
};

// Reads a decoder of tokenizer.json.
absl::StatusOr<std::unique_ptr<Decoder>> ParseDecoder(const JsonPlace& place);

// Tokens that begin with `prefix` continue a word. `cleanup`: no space before punctuation and contractions.
std::unique_ptr<Decoder> MakeWordPieceDecoder(std::string prefix, bool cleanup);

// The inverse of the byte-level alphabet; bytes that are not UTF-8 become U+FFFD.
std::unique_ptr<Decoder> MakeByteLevelDecoder();

// <0xNN> tokens become their bytes, or U+FFFD each when a run of them is not UTF-8.
std::unique_ptr<Decoder> MakeByteFallbackDecoder();

}  // namespace shoal::model::pipeline
