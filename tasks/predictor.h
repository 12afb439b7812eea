// A trained model in use: texts in, labels out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/file.h"
#include "kernels/device.h"
#include "model/model.h"
#include "model/model_config.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/scheduler.pb.h"
#include "tasks/encode.h"

namespace shoal::tasks {

// Not thread-safe.
class Predictor {
 public:
  // From a folder that ExportModel (tasks/export.h) wrote. `device` must outlive the result. Errors:
  // NOT_FOUND or INVALID_ARGUMENT, naming the file; UNIMPLEMENTED for a language model.
  static absl::StatusOr<std::unique_ptr<Predictor>> Load(Env* env, const std::string& folder,
                                                         kernels::Device* device);

  const model::ModelConfig& config() const { return config_; }

  const Task& task() const { return *task_; }
  uint32_t max_length() const { return max_length_; }

  struct OfText {
    std::string text;  // with U+FFFD for what is not UTF-8; the prediction's spans are places in it
    std::optional<std::string> pair;  // likewise
    Prediction prediction;
    bool cut = false;  // some of it was left out, as it has more tokens than max_length()
  };
  // `pair`: the second text, for a model of pairs. Errors: INVALID_ARGUMENT when the task takes no pairs, or
  // nothing else, finds nothing to predict (Task::CheckExample), the model has no tokens of a second type, or
  // it computes values that are not finite.
  absl::StatusOr<OfText> Predict(absl::string_view text,
                                 std::optional<absl::string_view> pair = std::nullopt);

  // The same of an example of a file, with its words.
  absl::StatusOr<OfText> Predict(const Example& example);

  // Except of a language model: the statistics over the examples in the files, concluded. `data`: format,
  // text, pair, label. Errors: those of ReadExamples; INVALID_ARGUMENT for a label that the model does not
  // have.
  absl::StatusOr<EvaluationStatistics> Evaluate(Env* env, const std::vector<std::string>& files,
                                                const DataSpec& data);

 private:
  Predictor() = default;
  std::vector<float> Logits(const model::Batch& batch, kernels::LossSum* loss);
  // Of all examples, one after another.
  std::vector<float> LogitsOf(const EncodedPart& part);

  const Task* task_ = nullptr;
  model::ModelConfig config_;
  uint32_t max_length_ = 0;  // longer texts are cut
  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::vector<float> theta_;
  std::unique_ptr<model::Model> model_;
  BatchBuffer buffer_{TargetKind::kNone, 0};
};

}  // namespace shoal::tasks
