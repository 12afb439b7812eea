#include "model/tokenizer/tokenizer.h"

#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/unigram_tokenizer.h"

namespace shoal::model {

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(absl::string_view bytes) {
  std::unique_ptr<Tokenizer> of_bytes = MakeByteTokenizer();
  if (bytes == of_bytes->bytes()) return of_bytes;
  return UnigramTokenizer::FromBytes(bytes);
}

}  // namespace shoal::model
