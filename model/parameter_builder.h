// How a family declares its parameters: in forward order, one after another, group by group.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/recipe.h"

namespace shoal::model {

class ParameterBuilder {
 public:
  struct LinearOptions {
    bool transposed = false;       // in Hugging Face's files, as GPT-2's are
    std::optional<double> stddev;  // of the initial weights; otherwise the model's
  };

  // Adds to `out`. Matrices start normally distributed, with standard deviation `stddev`. The linear maps
  // that `lora` names get low-rank additions, if they are not the head's, and those of SublayerOut adapters.
  ParameterBuilder(double stddev, Parameters* out, LoraConfig lora = {}, BottleneckConfig adapters = {})
      : stddev_(stddev), out_(out), lora_(std::move(lora)), adapters_(adapters) {}

  // The prefix of all names that follow.
  void SetPrefix(std::string prefix);

  MatrixParameter Matrix(absl::string_view name, int64_t rows, int64_t columns) {
    return Matrix(name, rows, columns, stddev_);
  }
  MatrixParameter Matrix(absl::string_view name, int64_t rows, int64_t columns, double stddev);
  // Starts at 0.
  MatrixParameter ZeroMatrix(absl::string_view name, int64_t rows, int64_t columns);
  // `name`.weight and `name`.bias, as for all below.
  LinearSpec Linear(absl::string_view name, int64_t out, int64_t in, const LinearOptions& options);
  LinearSpec Linear(absl::string_view name, int64_t out, int64_t in) { return Linear(name, out, in, {}); }
  enum class SublayerKind { kAttention, kFeedForward };
  // The last map of a sub-layer, with its adapter.
  LinearSpec SublayerOut(SublayerKind kind, absl::string_view name, int64_t out, int64_t in,
                         const LinearOptions& options);
  LinearSpec SublayerOut(SublayerKind kind, absl::string_view name, int64_t out, int64_t in) {
    return SublayerOut(kind, name, out, in, {});
  }
  // Maps of the same input, [out,in] each, that are computed as one: their weights, then their biases.
  LinearSpec JoinedLinear(std::initializer_list<absl::string_view> names, int64_t out, int64_t in);
  // Starts at 0; its name is just `name`.
  VectorParameter Bias(absl::string_view name, int64_t size) {
    return Vector(name, size, Initializer::ZEROS);
  }
  NormSpec Norm(absl::string_view name, int64_t size, double epsilon);

  // The parameters that follow are the head's.
  void BeginHead() {
    out_->head_begin = out_->size;
    lora_ = LoraConfig();
  }
  void EndGroup();

 private:
  // Returns its offset.
  uint64_t Add(absl::string_view name, std::initializer_list<int64_t> shape, Initializer::Kind kind);
  VectorParameter Vector(absl::string_view name, int64_t size, Initializer::Kind kind);
  // The addition to the map `name`, [out,in], at these rows of `linear`, if it gets one.
  void AddLowRank(absl::string_view name, int64_t out, int64_t in, int64_t first_row, LinearSpec* linear);
  int group() const { return static_cast<int>(out_->group_sizes.size()); }

  const double stddev_;
  Parameters* const out_;
  LoraConfig lora_;
  const BottleneckConfig adapters_;
  std::string prefix_;
  uint64_t group_begin_ = 0;
};

}  // namespace shoal::model
