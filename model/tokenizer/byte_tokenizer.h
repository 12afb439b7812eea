// A text's bytes as its tokens.
#pragma once

#include <memory>

#include "model/tokenizer/tokenizer.h"

namespace shoal {

// Ids 0 to 255 are the bytes. 256 ends a text, and is every special piece; in Hugging Face's files it is
// called
// "<|endoftext|>" as GPT-2's is, and their tokenizer leaves it away.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

}  // namespace shoal
