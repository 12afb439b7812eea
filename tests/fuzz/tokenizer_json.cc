// Files of Hugging Face's tokenizers: the input is a byte that names the loader, a byte that is the length of
// a text, the text, and the file. Asserted: ids are below the vocabulary's size, the arrays of an encoding
// have one size, offsets are inside of the text, and decoding accepts any ids.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pipeline/pipeline_files.h"

namespace shoal {
namespace {

using TokenizerOr = absl::StatusOr<std::unique_ptr<model::PipelineTokenizer>>;

constexpr uint32_t kIds[] = {0, 1, 2, 255, 256, 1 << 20, 0xFFFFFFFF};
// A text of this length stays small even when it grows as much as a file may ask for.
constexpr size_t kMaxTextBytes = 64;

TokenizerOr Load(uint8_t loader, absl::string_view file) {
  const size_t half = file.find('\0');
  const absl::string_view first = file.substr(0, half);
  const absl::string_view second = half == absl::string_view::npos ? "" : file.substr(half + 1);
  switch (loader) {
    case 'b':
      return model::LoadBertVocabulary(file, {});
    case 'g':
      return model::LoadBytePairVocabulary(first, second, model::BytePairStyle::kGpt2);
    case 'r':
      return model::LoadBytePairVocabulary(first, second, model::BytePairStyle::kRoberta);
    case 's':
      return model::LoadSentencePieceModel(file);
    default:
      return model::LoadTokenizerJson(file);
  }
}

void CheckEncoding(const model::PipelineTokenizer& tokenizer, absl::string_view text,
                   const Encoding& encoding) {
  const size_t characters = CountCharacters(model::ReplaceInvalidUtf8(text));
  SHOAL_CHECK(encoding.type_ids.size() == encoding.ids.size());
  SHOAL_CHECK(encoding.offsets.size() == encoding.ids.size());
  SHOAL_CHECK(encoding.sources.size() == encoding.ids.size());
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    SHOAL_CHECK(encoding.offsets[i].begin <= characters && encoding.offsets[i].end <= characters);
    // Those of the template are whatever the file says.
    const bool is_template = encoding.sources[i] == TokenSource::kTemplate;
    SHOAL_CHECK(is_template || encoding.ids[i] < tokenizer.vocab_size());
  }
}

void CheckTokenizer(const model::PipelineTokenizer& tokenizer, absl::string_view text) {
  for (const bool special : {false, true}) {
    const Encoding encoding = tokenizer.Encode(text, special);
    CheckEncoding(tokenizer, text, encoding);
    CheckEncoding(tokenizer, text, tokenizer.EncodePair(text, text, special));
    tokenizer.Decode(encoding.ids, special);
  }
  tokenizer.Decode(kIds);
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const absl::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t text_bytes = std::min<size_t>({rest.size(), data[1], shoal::kMaxTextBytes});
  const auto tokenizer = shoal::Load(data[0], rest.substr(text_bytes));
  if (tokenizer.ok()) shoal::CheckTokenizer(**tokenizer, rest.substr(0, text_bytes));
  return 0;
}
