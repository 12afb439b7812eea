#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "common/base/utf8.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "model/tokenizer/unigram_tokenizer.h"

namespace shoal::model {
namespace {

constexpr size_t kUncut = std::numeric_limits<uint32_t>::max();

// Calls `visit` with each word of `text` and its place.
template <typename Visit>
void ForEachWord(absl::string_view text, const Visit& visit) {
  uint32_t place = 0;
  while (!text.empty()) {
    const auto space = std::find_if(text.begin(), text.end(), absl::ascii_isspace);
    const absl::string_view word = text.substr(0, static_cast<size_t>(space - text.begin()));
    const uint32_t end = place + static_cast<uint32_t>(CountCharacters(word));
    if (!word.empty()) visit(word, TextSpan{place, end});
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    place = end + 1;
  }
}

}  // namespace

Encoding Tokenizer::EncodeWithOffsets(absl::string_view text) const {
  const std::vector<uint32_t> frame = Encode("", 2);  // the last one ends the text, others are before it
  const auto before = static_cast<int64_t>(frame.size()) - 1;
  Encoding encoding;
  for (int64_t i = 0; i < before; ++i) encoding.Append(frame[i], 0, {}, TokenSource::kTemplate);
  ForEachWord(text, [&](absl::string_view word, TextSpan place) {
    const std::vector<uint32_t> ids = Encode(word, kUncut);
    for (auto id = ids.begin() + before; id != ids.end() - 1; ++id)
      encoding.Append(*id, 0, place, TokenSource::kFirst);
  });
  encoding.Append(frame.back(), 0, {}, TokenSource::kTemplate);
  return encoding;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(absl::string_view bytes) {
  std::unique_ptr<Tokenizer> of_bytes = MakeByteTokenizer();
  if (bytes == of_bytes->bytes()) return of_bytes;
  if (IsPretrainedTokenizer(bytes)) return ParsePretrainedTokenizer(bytes);
  return UnigramTokenizer::FromBytes(bytes);
}

}  // namespace shoal::model
