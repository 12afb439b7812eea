// The bytes of a text as its tokens.
#pragma once

#include <memory>

#include "model/tokenizer/tokenizer.h"

namespace shoal::model {

// Ids 0 to 255 are the bytes. 256 ends a text and serves as every special piece. In Hugging Face's files it
// is called "<|endoftext|>" as in GPT-2, and their tokenizer does not append it.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

}  // namespace shoal::model
