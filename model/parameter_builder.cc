#include "model/parameter_builder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace shoal::model {
namespace {

// Whether the map's name is `target`, or ends with it after a point.
bool IsNamed(absl::string_view name, absl::string_view target) {
  return absl::EndsWith(name, target) &&
         (name.size() == target.size() || name[name.size() - target.size() - 1] == '.');
}

}  // namespace

void ParameterBuilder::SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }

uint64_t ParameterBuilder::Add(absl::string_view name, std::initializer_list<int64_t> shape,
                               Initializer::Kind kind) {
  ParameterInfo info;
  info.set_name(absl::StrCat(prefix_, name));
  info.set_offset(out_->size);
  uint64_t size = 1;
  for (int64_t dimension : shape) {
    info.add_shape(dimension);
    size *= dimension;
  }
  info.set_decay(shape.size() > 1);
  info.mutable_init()->set_kind(kind);
  out_->infos.push_back(std::move(info));
  out_->size += size;
  return out_->size - size;
}

MatrixParameter ParameterBuilder::Matrix(absl::string_view name, int64_t rows, int64_t columns,
                                         double stddev) {
  const uint64_t offset = Add(name, {rows, columns}, Initializer::NORMAL);
  out_->infos.back().mutable_init()->set_stddev(static_cast<float>(stddev));
  return {offset, rows, columns, group()};
}

MatrixParameter ParameterBuilder::ZeroMatrix(absl::string_view name, int64_t rows, int64_t columns) {
  return {Add(name, {rows, columns}, Initializer::ZEROS), rows, columns, group()};
}

VectorParameter ParameterBuilder::Vector(absl::string_view name, int64_t size, Initializer::Kind kind) {
  return {Add(name, {size}, kind), size, group()};
}

LinearSpec ParameterBuilder::Linear(absl::string_view name, int64_t out, int64_t in,
                                    const LinearOptions& options) {
  LinearSpec linear;
  linear.weight = Matrix(absl::StrCat(name, ".weight"), out, in, options.stddev.value_or(stddev_));
  if (options.transposed) out_->infos.back().set_transposed(true);
  linear.bias = Vector(absl::StrCat(name, ".bias"), out, Initializer::ZEROS);
  AddLowRank(name, out, in, 0, &linear);
  return linear;
}

LinearSpec ParameterBuilder::SublayerOut(SublayerKind kind, absl::string_view name, int64_t out, int64_t in,
                                         const LinearOptions& options) {
  LinearSpec linear = Linear(name, out, in, options);
  const bool everywhere = adapters_.placement == ADAPTER_PLACEMENT_BOTH;
  if (adapters_.size == 0 || !(everywhere || kind == SublayerKind::kFeedForward)) return linear;
  const size_t first = out_->infos.size();
  BottleneckSpec bottleneck;
  bottleneck.down = Matrix(absl::StrCat(name, ".adapter.down.weight"), adapters_.size, out);
  bottleneck.down_bias = Vector(absl::StrCat(name, ".adapter.down.bias"), adapters_.size, Initializer::ZEROS);
  // So that the model starts as it is.
  bottleneck.up = ZeroMatrix(absl::StrCat(name, ".adapter.up.weight"), out, adapters_.size);
  bottleneck.up_bias = Vector(absl::StrCat(name, ".adapter.up.bias"), out, Initializer::ZEROS);
  for (size_t i = first; i < out_->infos.size(); ++i) out_->infos[i].set_added(true);
  linear.bottleneck = bottleneck;
  return linear;
}

void ParameterBuilder::AddLowRank(absl::string_view name, int64_t out, int64_t in, int64_t first_row,
                                  LinearSpec* linear) {
  const std::string whole = absl::StrCat(prefix_, name);
  const auto is_target = [&](const std::string& target) { return IsNamed(whole, target); };
  if (lora_.rank == 0 || std::none_of(lora_.targets.begin(), lora_.targets.end(), is_target)) return;
  LowRankSpec low_rank;
  // The variance of PEFT's, which is uniform in ±1/√in. As B starts at 0, the map starts as it is.
  low_rank.a = Matrix(absl::StrCat(name, ".lora_A.weight"), lora_.rank, in,
                      1 / std::sqrt(3 * static_cast<double>(in)));
  out_->infos.back().set_added(true);
  low_rank.b = ZeroMatrix(absl::StrCat(name, ".lora_B.weight"), out, lora_.rank);
  out_->infos.back().set_added(true);
  low_rank.first_row = first_row;
  low_rank.scale = lora_.alpha / static_cast<double>(lora_.rank);
  low_rank.dropout = lora_.dropout;
  linear->low_rank.push_back(low_rank);
}

LinearSpec ParameterBuilder::JoinedLinear(std::initializer_list<absl::string_view> names, int64_t out,
                                          int64_t in) {
  const int64_t rows = static_cast<int64_t>(names.size()) * out;
  LinearSpec joined;
  joined.weight = {out_->size, rows, in, group()};
  for (absl::string_view name : names) Matrix(absl::StrCat(name, ".weight"), out, in);
  joined.bias = VectorParameter{out_->size, rows, group()};
  for (absl::string_view name : names) Vector(absl::StrCat(name, ".bias"), out, Initializer::ZEROS);
  int64_t first_row = 0;
  for (absl::string_view name : names) {
    AddLowRank(name, out, in, first_row, &joined);
    first_row += out;
  }
  return joined;
}

NormSpec ParameterBuilder::Norm(absl::string_view name, int64_t size, double epsilon) {
  NormSpec norm;
  norm.weight = Vector(absl::StrCat(name, ".weight"), size, Initializer::ONES);
  norm.bias = Vector(absl::StrCat(name, ".bias"), size, Initializer::ZEROS);
  norm.epsilon = epsilon;
  return norm;
}

void ParameterBuilder::EndGroup() {
  out_->group_sizes.push_back(out_->size - group_begin_);
  out_->group_begins.push_back(group_begin_);
  group_begin_ = out_->size;
}

}  // namespace shoal::model
