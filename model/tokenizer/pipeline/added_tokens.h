// Tokens that are found in a text before the model sees it, such as "[MASK]" and "<|endoftext|>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/pipeline/aligned_text.h"
#include "model/tokenizer/pipeline/json_object.h"
#include "model/tokenizer/pipeline/normalizer.h"
#include "model/tokenizer/pipeline/vocabulary.h"

namespace shoal::model::pipeline {

struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool single_word = false;  // found only where no word character is next to it
  bool lstrip = false;       // takes in the white space before it
  bool rstrip = false;       // and after it
  bool normalized = false;   // looked for in the normalized text, in its own normalized form
  bool special = false;      // left out by Decode when special tokens are skipped
};

// Reads an element of "added_tokens".
absl::StatusOr<AddedToken> ParseAddedToken(const JsonPlace& place);

// Immutable after it is made; may be used by any thread.
class AddedTokens {
 public:
  // A part of a text: a token, or text between tokens.
  struct Segment {
    ByteRange range;
    std::optional<uint32_t> id;
  };

  // `tokens` in the order of the file; ones without content or that repeat a content are left out.
  // `normalizer` may be null. Errors: INVALID_ARGUMENT when an id is not the one that `tokenizers` gives the
  // token: that of the vocabulary or, for tokens that it lacks, the next after the vocabulary's size and the
  // tokens before it.
  static absl::StatusOr<AddedTokens> Make(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
                                          const Normalizer* normalizer);

  // `text` as segments, in order, for the tokens that are not normalized, or for those that are. Of tokens
  // that overlap the first counts, and of those that begin together the longest. Empty for an empty text.
  std::vector<Segment> Find(absl::string_view text, bool normalized) const;

  std::optional<uint32_t> IdOf(absl::string_view content) const;
  // How the token is decoded: its content, in normalized form for a token that is normalized; nullptr when no
  // added token has this id.
  const std::string* SpellingOf(uint32_t id) const;
  // Whether `spelling` is the content of a special token. (It is not if normalizing changes the content: as
  // in `tokenizers`, such a token is never left out.)
  bool IsSpecial(absl::string_view spelling) const { return special_.contains(spelling); }
  // One more than the largest id, or 0.
  uint32_t end_id() const { return end_id_; }

 private:
  AddedTokens() = default;

  absl::Status Add(const AddedToken& token, const Vocabulary& vocabulary);
  uint32_t NextId(const AddedToken& token, const Vocabulary& vocabulary) const;
  PieceTrie TrieOf(bool normalized) const;

  std::vector<AddedToken> tokens_;
  std::vector<std::string> spellings_;  // of tokens_
  absl::flat_hash_map<std::string, uint32_t> ids_;
  absl::flat_hash_map<uint32_t, size_t> slots_;  // index into tokens_ by id
  absl::flat_hash_set<std::string> special_;
  uint32_t end_id_ = 0;
  PieceTrie raw_{{}};  // of what is looked for in the original text; the values are indices into tokens_
  PieceTrie normalized_{{}};  // in the normalized text
};

}  // namespace shoal::model::pipeline
