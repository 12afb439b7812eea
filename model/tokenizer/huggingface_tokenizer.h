// A vocabulary as Hugging Face's `tokenizers` and `transformers` read it.
#pragma once

#include <cstdint>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_tokenizer.h"

namespace shoal::model {

// tokenizer.json, tokenizer_config.json, special_tokens_map.json, and the model itself as
// sentencepiece.model. AutoTokenizer gives the ids of Tokenizer::Encode for every text, even one that spells
// a special piece (such as "[SEP]"), except for characters that are newer than its Unicode tables. Pure.
std::vector<NamedFile> HuggingFaceTokenizerFiles(const UnigramTokenizer& tokenizer, uint32_t max_length);

}  // namespace shoal::model
