// From text to token ids and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"

namespace shoal::model {

// Ids of the pieces with a special role, some or all of which may be the same id. No text is encoded to one
// of them, except `unk`; but with the tokenizer of a downloaded model a text may spell one.
struct SpecialTokens {
  uint32_t pad = 0;   // padding
  uint32_t unk = 1;   // characters that the vocabulary lacks
  uint32_t cls = 2;   // starts a sequence
  uint32_t sep = 3;   // ends a sequence
  uint32_t mask = 4;  // hides a token (masked language models)
};

// A file of a folder: its name inside the folder and its bytes.
struct NamedFile {
  std::string name;
  std::string bytes;
};

// Immutable; any number of threads may use it at the same time.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // `text` as ids, with the special tokens around it that the vocabulary puts there, cut to `max_tokens` (at
  // least 2) with those kept. Accepts any bytes; except for a vocabulary of bytes, those that are not UTF-8
  // are read as U+FFFD.
  virtual std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const = 0;

  // Two texts as one sequence, with the special tokens and token types that the vocabulary gives them, cut to
  // `max_tokens` (at least 2; model/tokenizer/cut.h). Here `text` as Encode gives it, type 0, then the tokens
  // of `pair` and what ends a text, type 1; places are not set.
  virtual Encoding EncodePair(absl::string_view text, absl::string_view pair, size_t max_tokens) const;

  // The tokens of `text`, which is valid UTF-8, with their places in it, and the special tokens around them;
  // not cut. `words`: in order, without overlaps; what is between them may have tokens too, or none. Here
  // each word is encoded by itself.
  virtual Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan> words) const;

  // The text of `ids` without the special tokens, in the normal form that Encode saw. Ids past the vocabulary
  // are skipped.
  virtual std::string Decode(absl::Span<const uint32_t> ids) const = 0;

  virtual uint32_t vocab_size() const = 0;
  virtual const SpecialTokens& special() const = 0;

  // The bytes from which LoadTokenizer makes an equal tokenizer.
  virtual const std::string& bytes() const = 0;

  // The files of a Hugging Face folder with which `transformers` encodes texts to the same ids
  // (AutoTokenizer). `max_length`: the maximum number of tokens, written into tokenizer_config.json.
  virtual std::vector<NamedFile> ExportFiles(uint32_t max_length) const = 0;

 protected:
  // Appends the tokens of a word, which has this place. Here all have the word's place.
  virtual void AppendWord(absl::string_view word, TextSpan place, Encoding* encoding) const;
};

// Whether models that read whole texts can use the tokenizer. Errors: INVALID_ARGUMENT when it puts no
// special tokens around a text, as those of decoders: then nothing stands for the text.
absl::Status CheckForEncoders(const Tokenizer& tokenizer);

// Loads Tokenizer::bytes() or a serialized SentencePiece model. Safe for any bytes.
//
// Errors: INVALID_ARGUMENT when the bytes are neither those of bytes() nor a SentencePiece model, or when the
// model's type is not unigram, it lacks a piece for unk, cls (bos) or sep (eos), or it is not supported for
// another reason (unigram_model.h).
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(absl::string_view bytes);

}  // namespace shoal::model
