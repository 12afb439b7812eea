// Where the parameters of a model are in flat θ.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"
#include "proto/scheduler.pb.h"

namespace shoal::model {

// A weight [rows,columns], row-major: [out,in] as PyTorch stores it, or a table.
struct MatrixParameter {
  uint64_t offset = 0;  // in θ, elements
  int64_t rows = 0;
  int64_t columns = 0;
  int group = 0;
};

struct VectorParameter {
  uint64_t offset = 0;  // in θ, elements
  int64_t size = 0;
  int group = 0;
};

// All parameters in forward order, without gaps, with Hugging Face's names. Groups: 0 is the embeddings (and
// whatever else many layers use), 1 to L are the layers, L+1 is the head with pre-norm's last norm.
struct Parameters {
  std::vector<ParameterInfo> infos;
  std::vector<uint64_t> group_sizes;   // elements
  std::vector<uint64_t> group_begins;  // in θ
  uint64_t size = 0;                   // elements of θ
  uint64_t head_begin = 0;             // from here on they are the head's, which a job may replace
  std::string root;                    // prefix of names, which a bare model (without a head) lacks: "bert."

  int layers() const { return static_cast<int>(group_sizes.size()) - 2; }
  // The group of an element of θ.
  int GroupOf(uint64_t offset) const {
    const auto next = std::upper_bound(group_begins.begin(), group_begins.end(), offset);
    return static_cast<int>(next - group_begins.begin()) - 1;
  }
  bool OfHead(const ParameterInfo& info) const { return info.offset() >= head_begin; }
};

// Pure. Weights start normally distributed, biases at 0, norms at 1 and 0 (details in model/families). Weight
// decay applies to those of rank 2. The config is already checked.
Parameters MakeParameters(const ModelConfig& config);

}  // namespace shoal::model
