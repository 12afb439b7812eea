// Patterns that find parts of a text, and what a split does with them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/tokenizer/pipeline/aligned_text.h"
#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

// Immutable; may be used by any thread.
class Pattern {
 public:
  virtual ~Pattern() = default;

  // Appends the matches in `text` (valid UTF-8), in order and without overlap. A match may be empty.
  virtual void FindMatches(absl::string_view text, std::vector<ByteRange>* matches) const = 0;

  // The length in bytes that every match has at least.
  virtual size_t MinBytes() const = 0;
};

// A literal, which is not empty.
std::unique_ptr<Pattern> MakeLiteral(std::string literal);

// A regular expression in ICU's syntax, with these of Oniguruma's meanings (that `tokenizers` uses): ^ and $
// match at every line, whose end is a line feed; \s and \w are Unicode's; \h is a hexadecimal digit. A match
// that takes more than some 10 million steps is given up, and the rest of the text has no matches.
//
// Errors: INVALID_ARGUMENT when ICU can't compile it, or for an inline flag other than i.
absl::StatusOr<std::unique_ptr<Pattern>> MakeRegex(const std::string& regex);

// Reads the field "pattern": {"String": "..."} or {"Regex": "..."}.
absl::StatusOr<std::unique_ptr<Pattern>> ParsePattern(JsonObject* fields);

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// Reads the field "behavior".
SplitBehavior ParseBehavior(JsonObject* fields, SplitBehavior otherwise);

// Appends the parts into which `matches` split bytes [0, size) of a piece that begins at byte `origin` of its
// text; empty parts are left out. `inverted`: what is between the matches is what splits.
void SplitByMatches(size_t size, size_t origin, absl::Span<const ByteRange> matches, SplitBehavior behavior,
                    bool inverted, std::vector<ByteRange>* parts);

}  // namespace shoal::model::pipeline
