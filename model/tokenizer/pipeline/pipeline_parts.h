// What a PipelineTokenizer is made of.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "model/tokenizer/pipeline/added_tokens.h"
#include "model/tokenizer/pipeline/decoder.h"
#include "model/tokenizer/pipeline/normalizer.h"
#include "model/tokenizer/pipeline/post_processor.h"
#include "model/tokenizer/pipeline/pre_tokenizer.h"
#include "model/tokenizer/pipeline/subword_model.h"

namespace shoal::model::pipeline {

struct Parts {
  std::vector<AddedToken> added_tokens;
  std::unique_ptr<Normalizer> normalizer;         // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;    // may be null: each segment is one piece
  std::unique_ptr<SubwordModel> model;            // not null
  std::unique_ptr<PostProcessor> post_processor;  // may be null: the pair follows the text, with type id 1
  std::unique_ptr<Decoder> decoder;               // may be null: a space between tokens

  std::optional<AddedTokens> added;  // made from added_tokens by PipelineTokenizer::Make
};

}  // namespace shoal::model::pipeline
