// A text under change, each byte of which knows the code points of the original that it comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"
#include "model/tokenizer/characters.h"

namespace shoal::model::pipeline {

// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin = 0;
  size_t end = 0;

  size_t size() const { return end - begin; }
};

inline absl::string_view Part(absl::string_view text, ByteRange range) {
  return {text.data() + range.begin, range.size()};
}

// A value type. The text is always valid UTF-8.
class AlignedText {
 public:
  AlignedText() = default;

  // `text` as it is in the original, where it begins at code point `origin`.
  AlignedText(std::string text, uint32_t origin);

  const std::string& text() const { return text_; }
  uint32_t origin() const { return origin_; }

  // The code points from the first of byte range.begin to the last of byte range.end - 1; `range` is not
  // empty.
  TextSpan SpanOf(ByteRange range) const { return {SpanAt(range.begin).begin, SpanAt(range.end - 1).end}; }

  // The part `range` of this text, whose SpanOf stays in code points of the original.
  AlignedText Slice(ByteRange range) const;

  // Whether the text is ASCII and each byte is a code point of the original, in order.
  bool IsBytewise() const { return spans_.empty(); }

  // Replaces each byte c of an ASCII text by the ASCII character map(c).
  template <typename Map>
  void MapAscii(Map&& map) {
    for (char& c : text_) c = map(c);
  }

 private:
  friend class AlignedTextWriter;

  TextSpan SpanAt(size_t byte) const {
    if (!spans_.empty()) return spans_[byte];
    const uint32_t begin = origin_ + static_cast<uint32_t>(byte);
    return {begin, begin + 1};
  }

  std::string text_;
  std::vector<TextSpan> spans_;  // by byte; empty while IsBytewise()
  uint32_t origin_ = 0;
};

// Writes a changed copy of a text from left to right. `source` must outlive this.
//
// What a new character is aligned with is what `tokenizers` does, since offsets have to be the same: a
// character that takes the place of others has the span of the first of them; one that is added has the span
// of the byte before it in `source`, or the empty span at the beginning.
class AlignedTextWriter {
 public:
  explicit AlignedTextWriter(const AlignedText& source) : source_(source) {
    result_.origin_ = source.origin_;
    result_.text_.reserve(source.text_.size() + source.text_.size() / 8);
    result_.spans_.reserve(source.text_.size() + source.text_.size() / 8);
  }

  // The next byte of `source` to be copied, replaced or skipped.
  size_t position() const { return position_; }
  // The bytes written so far.
  size_t written() const { return result_.text_.size(); }

  // Copies the source up to byte `end`, or leaves it out.
  void CopyTo(size_t end);
  void SkipTo(size_t end) { position_ = end; }

  // Writes `characters` in place of the character at position() and the `more` that follow it.
  void Replace(absl::string_view characters, size_t more = 0);

  // Writes `characters`; the position stays.
  void Add(absl::string_view characters);

  // Writes `characters` with the span of byte position() of the source, which stays the position: a prefix
  // of the text that follows.
  void AddBefore(absl::string_view characters) { Write(characters, source_.SpanAt(position_)); }

  // Writes `characters` in place of the source up to byte `end` > position(), all of which they are aligned
  // with.
  void ReplaceTo(size_t end, absl::string_view characters) {
    Write(characters, source_.SpanOf({position_, end}));
    position_ = end;
  }

  // The text written. What was not copied is left out.
  AlignedText Finish() && { return std::move(result_); }

 private:
  void Write(absl::string_view characters, TextSpan span) {
    result_.text_.append(characters.data(), characters.size());
    result_.spans_.insert(result_.spans_.end(), characters.size(), span);
  }
  void SkipCharacter();

  const AlignedText& source_;
  size_t position_ = 0;
  AlignedText result_;
};

// A step of an edit script, which goes over a text character by character.
struct EditStep {
  uint32_t code = 0;
  int change = 0;  // 0 replaces a character by `code`, -n the next n + 1 characters; above 0 `code` is added
};

// What the script does not get to is left out.
void ApplySteps(absl::Span<const EditStep> steps, AlignedText* text);

// Takes one step.
void TakeStep(EditStep step, AlignedTextWriter* writer);

// A text and the parts of it that are tokenized separately, in order.
struct Pieces {
  AlignedText text;
  std::vector<ByteRange> ranges;  // none is empty
};

}  // namespace shoal::model::pipeline
