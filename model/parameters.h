// Where the parameters of a model lie in flat θ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Offsets into θ, in elements. Weights are [out, in], row-major, as PyTorch keeps them.
//   C: hidden size   F: intermediate size   V: vocabulary   P: positions   T: token types   L: labels
struct EmbeddingOffsets {
  uint64_t words = 0;        // [V,C]; of a language model, tied, also its head
  uint64_t positions = 0;    // [P,C]
  uint64_t types = 0;        // [T,C], bert only, as the two below
  uint64_t norm_weight = 0;  // [C]
  uint64_t norm_bias = 0;    // [C]
};

struct LayerOffsets {
  uint64_t attention_norm_weight = 0;     // [C]
  uint64_t attention_norm_bias = 0;       // [C]
  uint64_t qkv_weight = 0;                // [3C,C]: query, key, value
  uint64_t qkv_bias = 0;                  // [3C]
  uint64_t out_weight = 0;                // [C,C]
  uint64_t out_bias = 0;                  // [C]
  uint64_t up_weight = 0;                 // [F,C]
  uint64_t up_bias = 0;                   // [F]
  uint64_t down_weight = 0;               // [C,F]
  uint64_t down_bias = 0;                 // [C]
  uint64_t feed_forward_norm_weight = 0;  // [C]
  uint64_t feed_forward_norm_bias = 0;    // [C]
};

struct HeadOffsets {
  uint64_t norm_weight = 0;   // [C], pre-norm only: the norm at the end
  uint64_t norm_bias = 0;     // [C]
  uint64_t dense_weight = 0;  // [C,C], sequence classification only, as those below
  uint64_t dense_bias = 0;    // [C]
  uint64_t label_weight = 0;  // [L,C]
  uint64_t label_bias = 0;    // [L]
};

// All parameters in forward order, without gaps, under Hugging Face's names. Groups: 0 the embeddings, 1 to L
// the layers, L+1 the head with pre-norm's last norm.
struct Parameters {
  std::vector<ParameterInfo> infos;
  std::vector<uint64_t> group_sizes;   // elements
  std::vector<uint64_t> group_begins;  // in θ
  uint64_t size = 0;                   // elements of θ
  uint64_t task_begin = 0;             // from here on they are the task's, which a new one starts anew
  EmbeddingOffsets embeddings;
  std::vector<LayerOffsets> layers;
  HeadOffsets head;
};

// Pure. Weights start normal with initializer_range, but those in front of gpt2's residual sums with
// initializer_range / sqrt(2 L) (Radford et al., 2019); biases at 0, norms at 1 and 0. Weight decay: all of
// rank 2.
Parameters MakeParameters(const ModelConfig& config);

}  // namespace shoal
