#include "worker/text/encode.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal::worker {
namespace {

constexpr uint64_t kExamplesPerProgress = 1000;

class LabelEncoder {
 public:
  LabelEncoder(TaskType task, const std::vector<std::string>& labels) : task_(task), count_(labels.size()) {
    for (size_t i = 0; i < labels.size(); ++i) ids_[labels[i]] = static_cast<int32_t>(i);
  }

  absl::Status Encode(const ExampleSet& set, const Example& example, EncodedPart* part) const {
    if (task_ == TASK_TEXT_REGRESSION) {
      part->targets.push_back(static_cast<float>(example.target));
      return absl::OkStatus();
    }
    const size_t first = part->targets.size();
    if (task_ == TASK_MULTILABEL_CLASSIFICATION) part->targets.resize(first + count_);
    for (const std::string& label : example.labels) {
      const auto id = ids_.find(label);
      if (id == ids_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(set.Origin(example), ": the label '", label,
                         "' is none of the training examples'; expected one of theirs (data.min_class_count "
                         "leaves rare labels out)"));
      }
      if (task_ == TASK_TEXT_CLASSIFICATION) {
        part->classes.push_back(id->second);
      } else {
        part->targets[first + id->second] = 1;
      }
    }
    return absl::OkStatus();
  }

 private:
  const TaskType task_;
  const size_t count_;
  std::map<std::string, int32_t> ids_;
};

// A text as windows of `size` tokens. A single token that is left over predicts nothing.
void AppendWindows(const Tokenizer& tokenizer, absl::string_view text, size_t size, EncodedPart* part) {
  const std::vector<uint32_t> tokens = tokenizer.Encode(text, std::numeric_limits<size_t>::max());
  for (size_t begin = 0; begin + 1 < tokens.size(); begin += size) {
    const size_t end = std::min(tokens.size(), begin + size);
    part->tokens.insert(part->tokens.end(), tokens.begin() + static_cast<int64_t>(begin),
                        tokens.begin() + static_cast<int64_t>(end));
    part->offsets.push_back(part->tokens.size());
  }
}

}  // namespace

absl::StatusOr<EncodedPart> EncodeExamples(const ExampleSet& set, const Tokenizer& tokenizer,
                                           size_t max_tokens, TaskType task,
                                           const std::vector<std::string>& labels, const Progress& progress) {
  const LabelEncoder encoder(task, labels);
  EncodedPart part;
  uint64_t count = 0;
  for (const Example& example : set.examples) {
    if (count++ % kExamplesPerProgress == 0) progress("encodes the examples");
    if (task == TASK_CAUSAL_LANGUAGE_MODELLING) {
      AppendWindows(tokenizer, example.text, max_tokens, &part);
      continue;
    }
    for (uint32_t token : tokenizer.Encode(example.text, max_tokens))
      part.tokens.push_back(static_cast<int32_t>(token));
    part.offsets.push_back(part.tokens.size());
    SHOAL_RETURN_IF_ERROR(encoder.Encode(set, example, &part));
  }
  return part;
}

Batch BatchBuffer::Gather(const EncodedPart& part, absl::Span<const uint64_t> examples, uint32_t labels) {
  tokens_.clear();
  offsets_.assign(1, 0);
  classes_.clear();
  targets_.clear();
  for (uint64_t example : examples) {
    tokens_.insert(tokens_.end(), part.tokens.begin() + part.offsets[example],
                   part.tokens.begin() + part.offsets[example + 1]);
    offsets_.push_back(static_cast<int32_t>(tokens_.size()));
    if (!part.classes.empty()) classes_.push_back(part.classes[example]);
    if (!part.targets.empty()) {
      targets_.insert(targets_.end(), part.targets.begin() + example * labels,
                      part.targets.begin() + (example + 1) * labels);
    }
  }
  Batch batch;
  batch.tokens = tokens_;
  batch.offsets = offsets_;
  batch.classes = classes_;
  batch.targets = targets_;
  return batch;
}

}  // namespace shoal::worker
