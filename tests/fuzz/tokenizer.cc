// Tokenizer files: the input is a two-byte length, that many bytes of text, and the file. Asserted: ids are
// below the vocabulary's size and no more than requested, decoding accepts any ids, and the tokenizer's own
// bytes make an equal one.
#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace shoal {
namespace {

constexpr uint32_t kIds[] = {0, 1, 255, 256, 257, 1 << 20, 0xFFFFFFFF};

void CheckTokenizer(const model::Tokenizer& tokenizer, absl::string_view text) {
  for (size_t max_tokens : {size_t{2}, size_t{5}, size_t{4096}}) {
    const std::vector<uint32_t> ids = tokenizer.Encode(text, max_tokens);
    SHOAL_CHECK(!ids.empty() && ids.size() <= max_tokens);
    SHOAL_CHECK(ids.back() == tokenizer.special().sep);
    for (uint32_t id : ids) SHOAL_CHECK(id < tokenizer.vocab_size());
    tokenizer.Decode(ids);
  }
  tokenizer.Decode(kIds);
  const auto again = model::LoadTokenizer(tokenizer.bytes());
  SHOAL_CHECK_OK(again);
  SHOAL_CHECK((*again)->vocab_size() == tokenizer.vocab_size());
  SHOAL_CHECK((*again)->Encode(text, 64) == tokenizer.Encode(text, 64));
  SHOAL_CHECK(!tokenizer.ExportFiles(64).empty());
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const absl::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t text_bytes = std::min<size_t>(rest.size(), data[0] | data[1] << 8);
  const absl::string_view text = rest.substr(0, text_bytes);
  const auto tokenizer = shoal::model::LoadTokenizer(rest.substr(text_bytes));
  if (tokenizer.ok()) shoal::CheckTokenizer(**tokenizer, text);
  return 0;
}
