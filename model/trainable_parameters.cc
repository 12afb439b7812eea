#include "model/trainable_parameters.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/parameter_info.h"
#include "common/base/status.h"

namespace shoal::model {

TrainableParameters::TrainableParameters(const Parameters& parameters, const std::vector<bool>& trains)
    : whole_size_(parameters.size) {
  SHOAL_CHECK(trains.size() == parameters.infos.size());
  group_sizes_.resize(parameters.group_sizes.size());
  for (size_t i = 0; i < trains.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    if (!trains[i]) continue;
    const int group = parameters.GroupOf(info.offset());
    const uint64_t size = ElementsOf(info);
    infos_.push_back(info);
    infos_.back().set_offset(size_);
    Range* const last = ranges_.empty() ? nullptr : &ranges_.back();
    if (last != nullptr && last->group == group && last->whole + last->size == info.offset()) {
      last->size += size;
    } else {
      ranges_.push_back({info.offset(), size_, size, group});
    }
    group_sizes_[group] += size;
    size_ += size;
  }
  SHOAL_CHECK(!ranges_.empty());
}

absl::StatusOr<TrainableParameters> TrainableParameters::OfPlan(const Parameters& parameters,
                                                                const JobPlan& plan) {
  std::vector<bool> trains(parameters.infos.size());
  int next = 0;
  for (size_t i = 0; i < trains.size() && next < plan.parameters_size(); ++i) {
    trains[i] = parameters.infos[i].name() == plan.parameters(next).name();
    if (trains[i]) ++next;
  }
  if (next < plan.parameters_size() || next == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the plan's parameters are not those of its model: it has no ",
        next < plan.parameters_size() ? plan.parameters(next).name() : std::string("parameters")));
  }
  TrainableParameters trainable(parameters, trains);
  if (!std::equal(trainable.group_sizes_.begin(), trainable.group_sizes_.end(), plan.group_sizes().begin(),
                  plan.group_sizes().end())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the plan's parameter groups are not those of its model: expected ",
        absl::StrJoin(trainable.group_sizes_, " "), ", got ", absl::StrJoin(plan.group_sizes(), " ")));
  }
  return trainable;
}

bool TrainableParameters::AnyTrains(uint64_t offset, uint64_t size) const {
  // The first range that ends after `offset`.
  const auto range = std::upper_bound(
      ranges_.begin(), ranges_.end(), offset,
      [](uint64_t element, const Range& candidate) { return element < candidate.whole + candidate.size; });
  return range != ranges_.end() && range->whole < offset + size;
}

void TrainableParameters::Join(int group, const float* trainable, float* whole) const {
  for (const Range& range : ranges_) {
    if (range.group == group) std::copy_n(trainable + range.trainable, range.size, whole + range.whole);
  }
}

void TrainableParameters::Extract(int group, const float* whole, float* trainable) const {
  for (const Range& range : ranges_) {
    if (range.group == group) std::copy_n(whole + range.whole, range.size, trainable + range.trainable);
  }
}

std::vector<float> TrainableParameters::Trainable(absl::Span<const float> whole) const {
  SHOAL_CHECK(whole.size() == whole_size_);
  std::vector<float> trainable(size_);
  for (const Range& range : ranges_)
    std::copy_n(whole.begin() + range.whole, range.size,
                trainable.begin() + static_cast<int64_t>(range.trainable));
  return trainable;
}

std::vector<float> TrainableParameters::Frozen(absl::Span<const float> whole) const {
  SHOAL_CHECK(whole.size() == whole_size_);
  std::vector<float> frozen;
  frozen.reserve(frozen_size());
  uint64_t next = 0;
  for (const Range& range : ranges_) {
    frozen.insert(frozen.end(), whole.begin() + next, whole.begin() + range.whole);
    next = range.whole + range.size;
  }
  frozen.insert(frozen.end(), whole.begin() + next, whole.end());
  return frozen;
}

absl::StatusOr<std::vector<float>> TrainableParameters::Whole(absl::Span<const float> trainable,
                                                              absl::Span<const float> frozen) const {
  if (trainable.size() != size_ || frozen.size() != frozen_size()) {
    return absl::InvalidArgumentError(absl::StrCat("got ", trainable.size(), " trainable and ", frozen.size(),
                                                   " frozen parameters, expected ", size_, " and ",
                                                   frozen_size()));
  }
  std::vector<float> theta;
  theta.reserve(whole_size_);
  uint64_t used = 0;  // of `frozen`
  for (const Range& range : ranges_) {
    const uint64_t gap = range.whole - theta.size();
    theta.insert(theta.end(), frozen.begin() + used, frozen.begin() + used + gap);
    used += gap;
    theta.insert(theta.end(), trainable.begin() + range.trainable,
                 trainable.begin() + range.trainable + range.size);
  }
  theta.insert(theta.end(), frozen.begin() + used, frozen.end());
  return theta;
}

std::string BytesOf(absl::Span<const float> parameters) {
  return {reinterpret_cast<const char*>(parameters.data()), parameters.size() * sizeof(float)};
}

std::vector<float> FloatsOf(absl::string_view bytes) {
  std::vector<float> parameters(bytes.size() / sizeof(float));
  if (!parameters.empty()) std::memcpy(parameters.data(), bytes.data(), parameters.size() * sizeof(float));
  return parameters;
}

}  // namespace shoal::model
