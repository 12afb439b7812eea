#include "model/tokenizer/cut.h"

#include <algorithm>
#include <utility>

namespace shoal::model {

void CutTo(size_t max_tokens, Encoding* encoding) {
  if (encoding->size() <= max_tokens) return;
  const auto count = [&](TokenSource source) {
    return static_cast<size_t>(std::count(encoding->sources.begin(), encoding->sources.end(), source));
  };
  const size_t fixed = std::min(max_tokens, count(TokenSource::kTemplate)), room = max_tokens - fixed;
  size_t first = count(TokenSource::kFirst), second = count(TokenSource::kSecond);
  const bool swapped = first > second;
  size_t& shorter = swapped ? second : first;
  shorter = std::min(shorter, room / 2);
  (swapped ? first : second) = room - shorter;
  size_t left[] = {first, second, fixed};  // by TokenSource
  Encoding kept;
  for (size_t i = 0; i < encoding->size(); ++i) {
    const TokenSource source = encoding->sources[i];
    size_t& of_source = left[static_cast<size_t>(source)];
    if (of_source == 0) continue;
    --of_source;
    kept.Append(encoding->ids[i], encoding->type_ids[i], encoding->offsets[i], source);
  }
  *encoding = std::move(kept);
}

}  // namespace shoal::model
