// What a tokenizer makes of a text.
#pragma once

#include <cstdint>
#include <vector>

namespace shoal::model {

// Code points [begin, end) of an original text.
struct TextSpan {
  uint32_t begin = 0;
  uint32_t end = 0;

  friend bool operator==(const TextSpan& a, const TextSpan& b) {
    return a.begin == b.begin && a.end == b.end;
  }
};

// Which text a token is of.
enum class TokenSource : uint8_t {
  kFirst,     // the text
  kSecond,    // the pair
  kTemplate,  // neither: a special token that the template added
};

// Tokens in order; all arrays have the same size.
struct Encoding {
  std::vector<uint32_t> ids;
  std::vector<uint32_t> type_ids;
  std::vector<TextSpan> offsets;     // in the text that `sources` names; {0, 0} for kTemplate
  std::vector<TokenSource> sources;  // kTemplate is what Hugging Face's special_tokens_mask marks
};

}  // namespace shoal::model
