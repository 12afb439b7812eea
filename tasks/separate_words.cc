#include "tasks/separate_words.h"

namespace shoal::tasks {

Encoding EncodeSeparateWords(const TextEncoder& encoder, absl::string_view text,
                             absl::Span<const TextSpan> words) {
  std::vector<TextSpan> separate;
  for (const TextSpan& word : words) {
    if (!separate.empty() && separate.back().end == word.begin) {
      separate.back().end = word.end;
    } else {
      separate.push_back(word);
    }
  }
  return encoder.EncodeWords(text, separate);
}

}  // namespace shoal::tasks
