#include "model/tokenizer/pipeline/aligned_text.h"

#include <algorithm>

namespace shoal::model::pipeline {

AlignedText::AlignedText(std::string text, uint32_t origin) : text_(std::move(text)), origin_(origin) {
  if (IsAscii(text_)) return;
  spans_.reserve(text_.size());
  uint32_t index = origin;
  for (size_t i = 0; i < text_.size(); ++index) {
    const uint32_t bytes = CharacterAt(text_, i).bytes;
    spans_.insert(spans_.end(), bytes, {index, index + 1});
    i += bytes;
  }
}

AlignedText AlignedText::Slice(ByteRange range) const {
  AlignedText result;
  result.text_ = text_.substr(range.begin, range.size());
  if (range.size() > 0) result.origin_ = SpanAt(range.begin).begin;
  if (!spans_.empty()) result.spans_.assign(spans_.begin() + range.begin, spans_.begin() + range.end);
  return result;
}

void AlignedTextWriter::CopyTo(size_t end) {
  result_.text_.append(source_.text_, position_, end - position_);
  if (source_.spans_.empty()) {
    for (; position_ < end; ++position_) result_.spans_.push_back(source_.SpanAt(position_));
  } else {
    const auto spans = source_.spans_.begin();
    result_.spans_.insert(result_.spans_.end(), spans + position_, spans + end);
    position_ = end;
  }
}

void AlignedTextWriter::SkipCharacter() {
  if (position_ < source_.text_.size()) position_ += CharacterAt(source_.text_, position_).bytes;
}

void AlignedTextWriter::Replace(absl::string_view characters, size_t more) {
  if (position_ >= source_.text_.size()) return Add(characters);
  Write(characters, source_.SpanAt(position_));
  for (size_t i = 0; i <= more; ++i) SkipCharacter();
}

void AlignedTextWriter::Add(absl::string_view characters) {
  const TextSpan start{source_.origin_, source_.origin_};
  Write(characters, position_ == 0 ? start : source_.SpanAt(position_ - 1));
}

void TakeStep(EditStep step, AlignedTextWriter* writer) {
  const std::string character = Utf8Of(step.code);
  if (step.change > 0) return writer->Add(character);
  writer->Replace(character, static_cast<size_t>(-step.change));
}

void ApplySteps(absl::Span<const EditStep> steps, AlignedText* text) {
  const auto keeps_bytes = [](EditStep step) { return step.change == 0 && step.code < 0x80; };
  if (text->IsBytewise() && steps.size() == text->text().size() &&
      std::all_of(steps.begin(), steps.end(), keeps_bytes)) {
    size_t i = 0;
    return text->MapAscii([&](char) { return static_cast<char>(steps[i++].code); });
  }
  AlignedTextWriter writer(*text);
  for (const EditStep step : steps) TakeStep(step, &writer);
  *text = std::move(writer).Finish();
}

}  // namespace shoal::model::pipeline
