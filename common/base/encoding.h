// What a tokenizer makes of a text, on which tasks and tokenizers agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal {

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

  size_t size() const { return ids.size(); }
  void Append(uint32_t id, uint32_t type_id, TextSpan offset, TokenSource source) {
    ids.push_back(id);
    type_ids.push_back(type_id);
    offsets.push_back(offset);
    sources.push_back(source);
  }
};

}  // namespace shoal
