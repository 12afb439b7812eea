// Pre-tokenizers: how a normalized text is split into the pieces that the model sees.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/tokenizer/pipeline/aligned_text.h"
#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

// Immutable; may be used by any thread.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  // Splits each piece, and may change the text.
  virtual void Apply(Pieces* pieces) const = 0;

  // How many times as many bytes the text may have afterwards.
  virtual double MaxGrowth() const { return 1; }
};

// Reads a pre-tokenizer of tokenizer.json.
absl::StatusOr<std::unique_ptr<PreTokenizer>> ParsePreTokenizer(const JsonPlace& place);

// At white space, which is left out, and at punctuation.
std::unique_ptr<PreTokenizer> MakeBertPreTokenizer();

// Writes each byte as a printable character (byte_alphabet.h), after splitting into GPT-2's words.
struct ByteLevelOptions {
  bool add_prefix_space = false;  // before each piece that has none
  bool use_regex = true;          // whether to split
};
std::unique_ptr<PreTokenizer> MakeByteLevel(const ByteLevelOptions& options);

// Readers of single kinds, for the table of ParsePreTokenizer.
absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseByteLevel(JsonObject* fields);
absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseMetaspace(JsonObject* fields);

}  // namespace shoal::model::pipeline
