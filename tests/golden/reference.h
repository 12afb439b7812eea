// What the tests against dumps from PyTorch share (described in README.md): a dump's batch, and a model that
// runs on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "catch2/catch.hpp"
#include "common/storage/safetensors.h"
#include "kernels/device.h"
#include "model/batch.h"
#include "model/model.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"
#include "nlohmann/json.hpp"

namespace shoal::golden {

using Json = nlohmann::json;

inline constexpr double kTolerance = 1e-4;

template <typename T>
T Ok(absl::StatusOr<T> result) {
  INFO(result.status().ToString());
  REQUIRE(result.ok());
  return *std::move(result);
}

SafetensorsReader OpenTensors(const std::string& folder, const char* file);
Json ReadJson(const std::string& folder, const char* file);

double Norm(absl::Span<const float> x);
// The norm of the difference is at most kTolerance of that of `expected`.
void CheckClose(absl::Span<const float> got, absl::Span<const float> expected, const std::string& what);

// The padded batch of the dump, packed.
struct PackedBatch {
  std::vector<int32_t> tokens, types, offsets{0}, classes, attended;
  std::vector<float> targets;
  std::vector<uint64_t> logit_places;  // rows of logits in the padded batch, where they are of tokens

  model::Batch view() const { return {tokens, types, offsets, attended, classes, targets}; }
};

// A model with its θ, a dump's batch, and the gradient of the last run.
class Reference {
 public:
  // The model in `folder`, all of which must be there. `inputs`: the dump with the batch.
  Reference(const std::string& folder, const std::string& inputs);
  // `trains`: for each of its parameters.
  Reference(const model::ModelConfig& config, std::vector<float> start, const std::vector<bool>& trains,
            const std::string& inputs);

  // Mean loss; the gradient of the sum goes to `gradient`.
  double Run();
  // One AdamW update of what trains as a server computes it, in ranges with and without decay. `training`:
  // that of the dump; `step`: from 0. Returns the norm before clipping.
  double Update(const Json& training, uint64_t step);

  // The logits of each example, or of each token that has some, one after another.
  std::vector<float> Logits();
  // The dump's logits without those of padding and of tokens without a label.
  std::vector<float> RealLogits(const std::vector<float>& padded) const;
  // The number of rows over which Run's loss is the mean.
  double rows() const { return static_cast<double>(rows_); }
  const model::ModelConfig& config() const { return config_; }
  const model::Parameters& parameters() const { return parameters_; }
  bool trains(size_t parameter) const { return trains_[parameter]; }

  std::vector<float> theta;
  std::vector<float> gradient;

 private:
  // PyTorch's table of words has no gradient for padding.
  void ForgetPadding();
  // The norm of the gradient of what trains.
  double GradientNorm() const;

  const model::ModelConfig config_;
  const model::Parameters parameters_;
  const std::vector<bool> trains_;
  const model::TrainableParameters trainable_;
  const PackedBatch batch_;
  int64_t rows_ = 0;
  std::vector<float> m_, v_;  // of Update
  std::unique_ptr<kernels::Device> device_;
  std::unique_ptr<model::Model> model_;
};

// The loss before update `step` is that of the dump.
void CheckLoss(const Json& reference, uint64_t step, Reference* model);

}  // namespace shoal::golden
