// What a model consists of, as data: its layers in order, each with its options and parameters. Families
// (model/families) write recipes; layers (model/layers) are made from them.
//
//   C: hidden size   F: intermediate size   V: vocabulary   P: positions   T: token types   L: labels
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "kernels/activation.h"
#include "model/heads.h"
#include "model/parameters.h"
#include "proto/job.pb.h"

namespace shoal::model {

// A low-rank addition to a linear map (LoRA; Hu et al., 2021): of its rows `first_row` and those after it,
// y += scale * (dropout(x) A^T) B^T.   R: rank
struct LowRankSpec {
  MatrixParameter a;      // [R,in]
  MatrixParameter b;      // [rows,R]
  int64_t first_row = 0;  // of the map's weight
  double scale = 1;
  double dropout = 0;
};

// A bottleneck adapter behind a linear map (Houlsby et al., 2019): h + up(gelu(down(h))).   S: its size
struct BottleneckSpec {
  MatrixParameter down;       // [S,out]
  VectorParameter down_bias;  // [S]
  MatrixParameter up;         // [out,S]
  VectorParameter up_bias;    // [out]
};

// y = x W^T (+ bias), and its low-rank additions; then a bottleneck adapter, if there is one
struct LinearSpec {
  MatrixParameter weight;                  // [out,in]
  std::optional<VectorParameter> bias;     // [out]
  std::vector<LowRankSpec> low_rank = {};  // of rows that don't overlap
  std::optional<BottleneckSpec> bottleneck = {};
};

// Layer normalization of rows.
struct NormSpec {
  VectorParameter weight;  // [C]
  VectorParameter bias;    // [C]
  double epsilon = 1e-12;  // added to the variance
};

// dropout(norm(scale * (word + position + type)))
struct EmbeddingSpec {
  MatrixParameter words;                 // [V,C]
  MatrixParameter positions;             // [P,C]
  int64_t first_position = 0;            // an example's token i has row i + first_position
  std::optional<MatrixParameter> types;  // [T,C]
  double scale = 1;
  std::optional<NormSpec> norm;
  double dropout = 0;
};

// Self-attention.
struct AttentionSpec {
  LinearSpec qkv;  // [3C,C]: queries of all heads, keys, values
  LinearSpec out;  // [C,C]
  int64_t heads = 1;
  bool causal = false;    // a token sees itself and the tokens before it
  double dropout = 0;     // of the attention probabilities
  int64_t mask_site = 0;  // distinguishes the dropout masks of the attention layers
};

// out(activation(up(x)))
struct MlpSpec {
  LinearSpec up;   // [F,C]
  LinearSpec out;  // [C,F]
  kernels::Activation activation = kernels::Activation::kGelu;
};

// A residual sum with dropout(branch(x)), and its norm: of the sum (post-norm) or of x (pre-norm).
struct SublayerSpec {
  std::variant<AttentionSpec, MlpSpec> branch;
  NormSpec norm;
  double dropout = 0;
};

struct StackSpec {
  NormPlacement placement = NORM_PLACEMENT_POST;
  std::vector<SublayerSpec> sublayers;
  std::optional<NormSpec> last_norm;  // pre-norm only, which needs it
};

inline constexpr int kMaxNgram = 3;

// The n-grams of an example, of 1 to `longest` tokens, as a bag:
// scale / sqrt(tokens) * the sum of table[bucket of the n-gram] (kernels/token_ids.h) over all its n-grams
struct NgramBagSpec {
  MatrixParameter table;  // [buckets,L]
  int longest = 1;        // at most kMaxNgram
  double scale = 1;
};

// What stands for an example in the rows of its tokens.
enum class Pooling { kFirst, kMean };

// A label (or numbers) per example, from what its tokens are pooled to, x:
// labels(dropout(activation(dense(input_dropout(x)))))
// Without `dense`: labels(dropout(x))
//
// With `ngrams`, which needs cross-entropy, there are two classifiers with a loss of their own each: the loss
// in training is the mean of theirs. What they predict is the mean of their logits: the normalized geometric
// mean of their probabilities.
struct ClassificationHeadSpec {
  LossKind loss = LossKind::kCrossEntropy;
  Pooling pooling = Pooling::kFirst;
  double input_dropout = 0;         // with `dense`
  std::optional<LinearSpec> dense;  // [C,C]
  kernels::Activation activation = kernels::Activation::kTanh;
  double dropout = 0;
  LinearSpec labels;  // [L,C]
  std::optional<NgramBagSpec> ngrams;
};

// The next token after each token except an example's last: words(x).
struct LanguageModelHeadSpec {
  MatrixParameter words;  // [V,C]; tied: the embedding's
};

// A label for each token of the batch that has one: labels(dropout(x))
struct TokenClassificationHeadSpec {
  double dropout = 0;
  LinearSpec labels;  // [L,C]
};

// The first and the last token of a span of each example (common/base/target_kind.h): ends(dropout(x)), whose
// two columns choose among the example's tokens.
struct SpanHeadSpec {
  double dropout = 0;
  LinearSpec ends;  // [2,C]
};

// What a token was, for each token of the batch that has a label:
// words(norm(activation(dense(x)))) + bias
struct MaskedLanguageModelHeadSpec {
  LinearSpec dense;  // [C,C]
  kernels::Activation activation = kernels::Activation::kGelu;
  NormSpec norm;
  MatrixParameter words;  // [V,C]; tied: the embedding's
  VectorParameter bias;   // [V]
};

using HeadSpec = std::variant<ClassificationHeadSpec, LanguageModelHeadSpec, MaskedLanguageModelHeadSpec,
                              SpanHeadSpec, TokenClassificationHeadSpec>;

struct Recipe {
  Parameters parameters;
  EmbeddingSpec embedding;
  StackSpec stack;
  HeadSpec head;
};

// The recipe for a checked config, from its family.
Recipe MakeRecipe(const ModelConfig& config);

}  // namespace shoal::model
