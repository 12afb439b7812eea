// Post-processors: special tokens around the tokens of a text or of a pair, and the offsets of byte-level
// tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/encoding.h"
#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

// A token on its way into an Encoding.
struct DraftToken {
  uint32_t id = 0;
  uint32_t type_id = 0;
  TextSpan offsets;
  TokenSource source = TokenSource::kFirst;
  // How many spaces its spelling begins and ends with. Set only when the post-processor needs_spaces().
  uint32_t leading_spaces = 0;
  uint32_t trailing_spaces = 0;
};

// One per text, and after a post-processor also for special tokens. Joined, they are the encoding.
using DraftParts = std::vector<std::vector<DraftToken>>;

// Immutable; may be used by any thread.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;

  // `parts`: at first the text, and the pair if there is one, with type ids 0 and 1.
  virtual void Apply(bool add_special_tokens, DraftParts* parts) const = 0;

  virtual bool needs_spaces() const { return false; }

  // One more than the largest id that it adds, or 0 when it adds none.
  virtual uint32_t end_id() const { return 0; }
};

// Reads a post-processor of tokenizer.json.
absl::StatusOr<std::unique_ptr<PostProcessor>> ParsePostProcessor(const JsonPlace& place);
absl::StatusOr<std::unique_ptr<PostProcessor>> ParseTemplate(JsonObject* fields);

// [CLS] A [SEP] and [CLS] A [SEP] B [SEP], with type ids 0 and 1.
std::unique_ptr<PostProcessor> MakeBertProcessing(uint32_t cls_id, uint32_t sep_id);

// Without the spaces of byte-level tokens in their offsets. `add_prefix_space`: the first token's space was
// added, so it is not in the text.
struct TrimOptions {
  bool trim_offsets = true;
  bool add_prefix_space = true;
};

// <s> A </s> and <s> A </s> </s> B </s>, with type id 0.
std::unique_ptr<PostProcessor> MakeRobertaProcessing(uint32_t cls_id, uint32_t sep_id,
                                                     const TrimOptions& trim);

std::unique_ptr<PostProcessor> MakeByteLevelProcessing(const TrimOptions& trim);

}  // namespace shoal::model::pipeline
