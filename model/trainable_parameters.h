// Which parameters of a model a job trains. The others are frozen: they keep the values that they start with,
// are part of no checkpoint, and never travel between workers and servers. So what the rest of the system
// calls θ are those that a job trains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/parameters.h"
#include "proto/scheduler.pb.h"

namespace shoal::model {

// Two flat orders: that of the whole model, which model.h calls θ, and that of the trainable parameters
// alone, in the same order and in the same groups, some of which may be empty. Immutable; any thread.
class TrainableParameters {
 public:
  // `trains`: for each of parameters.infos.
  TrainableParameters(const Parameters& parameters, const std::vector<bool>& trains);

  // From a plan's parameters, which are all or some of the model's, in their order. Errors: INVALID_ARGUMENT
  // for others, and for groups of other sizes.
  static absl::StatusOr<TrainableParameters> OfPlan(const Parameters& parameters, const JobPlan& plan);

  // As a plan has them: with their offsets among the trainable ones.
  const std::vector<ParameterInfo>& infos() const { return infos_; }
  const std::vector<uint64_t>& group_sizes() const { return group_sizes_; }  // of trainable elements
  uint64_t size() const { return size_; }
  uint64_t frozen_size() const { return whole_size_ - size_; }
  bool all_train() const { return frozen_size() == 0; }
  // The lowest group of which a parameter trains.
  int first_group() const { return ranges_.front().group; }
  // Whether any of these elements of the whole model trains.
  bool AnyTrains(uint64_t offset, uint64_t size) const;

  // Copies a group's trainable elements into the whole model, or from it.
  void Join(int group, const float* trainable, float* whole) const;
  void Extract(int group, const float* whole, float* trainable) const;

  // The trainable elements of a whole model, or the frozen ones.
  std::vector<float> Trainable(absl::Span<const float> whole) const;
  std::vector<float> Frozen(absl::Span<const float> whole) const;
  // The whole model from both. Errors: INVALID_ARGUMENT that gives the sizes, where they are not these.
  absl::StatusOr<std::vector<float>> Whole(absl::Span<const float> trainable,
                                           absl::Span<const float> frozen) const;

 private:
  // Consecutive trainable elements of one group.
  struct Range {
    uint64_t whole = 0;      // where they begin in the whole model
    uint64_t trainable = 0;  // and among the trainable ones
    uint64_t size = 0;
    int group = 0;
  };

  std::vector<ParameterInfo> infos_;
  std::vector<uint64_t> group_sizes_;
  std::vector<Range> ranges_;  // ascending, not empty
  uint64_t size_ = 0;
  uint64_t whole_size_ = 0;
};

// Parameters as the bytes of an artifact (float32), and back; what does not fill a float is left out.
std::string BytesOf(absl::Span<const float> parameters);
std::vector<float> FloatsOf(absl::string_view bytes);

}  // namespace shoal::model
