// Text to token ids and back as Hugging Face's `tokenizers` does it: normalizer, pre-tokenizer, model and
// post-processor, and a decoder. Made from files by pipeline_files.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"

namespace shoal::model {

namespace pipeline {
struct DraftToken;
struct Parts;
}  // namespace pipeline

// Immutable; any number of threads may use it at the same time. Ids, type ids, offsets and decoded texts are
// those of `tokenizers` 0.23 (README.md lists the differences).
class PipelineTokenizer {
 public:
  // Errors: INVALID_ARGUMENT when the normalizer, pre-tokenizer or decoder could make a text more than 65536
  // times as long, the ids of added tokens are wrong (AddedTokens::Make), or the post-processor adds an id
  // that is not below vocab_size().
  static absl::StatusOr<std::unique_ptr<PipelineTokenizer>> Make(pipeline::Parts parts);
  ~PipelineTokenizer();

  // The tokens of `text`, and with `add_special_tokens` those of the template around them. Accepts any bytes
  // (up to 2^32 - 1 characters): each maximal ill-formed part is read as one U+FFFD, also by the offsets.
  // Near linear in the size of the text. Neither truncates nor pads.
  Encoding Encode(absl::string_view text, bool add_special_tokens = true) const;

  // The tokens of `text` and `pair` together.
  Encoding EncodePair(absl::string_view text, absl::string_view pair, bool add_special_tokens = true) const;

  // The text of `ids`. Ids that no token has are skipped, and special tokens if so wanted.
  std::string Decode(absl::Span<const uint32_t> ids, bool skip_special_tokens = true) const;

  std::optional<uint32_t> IdOf(absl::string_view token) const;
  // The token's spelling in the vocabulary; nullptr when there is none.
  const std::string* TokenOf(uint32_t id) const;

  // One more than the largest id: the number of rows of an embedding, also when some ids have no token.
  uint32_t vocab_size() const;

 private:
  class Encoder;

  explicit PipelineTokenizer(std::unique_ptr<pipeline::Parts> parts);

  Encoding Finish(std::vector<std::vector<pipeline::DraftToken>> parts, bool add_special_tokens) const;

  std::unique_ptr<pipeline::Parts> parts_;
};

}  // namespace shoal::model
