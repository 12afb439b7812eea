#include "model/tokenizer/tokenizer.h"

#include <limits>

#include "common/base/status.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/cut.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "model/tokenizer/unigram_tokenizer.h"

namespace shoal::model {
namespace {

constexpr size_t kUncut = std::numeric_limits<uint32_t>::max();

// Takes the parts of a valid text in order.
class TextCutter {
 public:
  explicit TextCutter(absl::string_view text) : rest_(text) {}

  // `place` begins at or after the end of the part before.
  absl::string_view Take(TextSpan place) {
    Characters(place.begin - at_);
    const absl::string_view part = Characters(place.end - place.begin);
    at_ = place.end;
    return part;
  }

 private:
  absl::string_view Characters(uint32_t count) {
    size_t bytes = 0;
    while (count-- > 0 && bytes < rest_.size()) bytes += CharacterAt(rest_, bytes).bytes;
    const absl::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }

  absl::string_view rest_;
  uint32_t at_ = 0;
};

// What Encode puts around a text: the last one ends it, others are before it.
std::vector<uint32_t> Frame(const Tokenizer& tokenizer) { return tokenizer.Encode("", 2); }

}  // namespace

Encoding Tokenizer::EncodePair(absl::string_view text, absl::string_view pair, size_t max_tokens) const {
  SHOAL_CHECK(max_tokens >= 2);
  const size_t before = Frame(*this).size() - 1;
  Encoding encoding;
  const auto append = [&](const std::vector<uint32_t>& ids, size_t begin, uint32_t type, TokenSource source) {
    for (size_t i = begin; i < ids.size(); ++i) {
      const bool frames = i < before || i + 1 == ids.size();
      encoding.Append(ids[i], type, {}, frames ? TokenSource::kTemplate : source);
    }
  };
  append(Encode(text, kUncut), 0, 0, TokenSource::kFirst);
  append(Encode(pair, kUncut), before, 1, TokenSource::kSecond);
  CutTo(max_tokens, &encoding);
  return encoding;
}

Encoding Tokenizer::EncodeWords(absl::string_view text, absl::Span<const TextSpan> words) const {
  const std::vector<uint32_t> frame = Frame(*this);
  Encoding encoding;
  for (size_t i = 0; i + 1 < frame.size(); ++i) encoding.Append(frame[i], 0, {}, TokenSource::kTemplate);
  TextCutter cutter(text);
  for (const TextSpan& word : words) AppendWord(cutter.Take(word), word, &encoding);
  encoding.Append(frame.back(), 0, {}, TokenSource::kTemplate);
  return encoding;
}

void Tokenizer::AppendWord(absl::string_view word, TextSpan place, Encoding* encoding) const {
  const auto before = static_cast<int64_t>(Frame(*this).size()) - 1;
  const std::vector<uint32_t> ids = Encode(word, kUncut);
  for (auto id = ids.begin() + before; id != ids.end() - 1; ++id)
    encoding->Append(*id, 0, place, TokenSource::kFirst);
}

absl::Status CheckForEncoders(const Tokenizer& tokenizer) {
  if (!tokenizer.Encode("", 2).empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "puts no special tokens around a text (post_processor of tokenizer.json); expected one or two, as "
      "models other than causal ones need");
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(absl::string_view bytes) {
  std::unique_ptr<Tokenizer> of_bytes = MakeByteTokenizer();
  if (bytes == of_bytes->bytes()) return of_bytes;
  if (IsPretrainedTokenizer(bytes)) return ParsePretrainedTokenizer(bytes);
  return UnigramTokenizer::FromBytes(bytes);
}

}  // namespace shoal::model
