// Normalizers: how a text changes before it is split.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "model/tokenizer/pipeline/aligned_text.h"
#include "model/tokenizer/pipeline/json_object.h"

namespace shoal::model::pipeline {

// Immutable; may be used by any thread.
class Normalizer {
 public:
  virtual ~Normalizer() = default;

  virtual void Apply(AlignedText* text) const = 0;

  // How many times as many bytes the result may have.
  virtual double MaxGrowth() const { return 1; }
};

// Reads a normalizer of tokenizer.json.
absl::StatusOr<std::unique_ptr<Normalizer>> ParseNormalizer(const JsonPlace& place);

struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
std::unique_ptr<Normalizer> MakeBertNormalizer(const BertNormalizerOptions& options);

// Readers of single kinds, for the table of ParseNormalizer.
absl::StatusOr<std::unique_ptr<Normalizer>> ParseBertNormalizer(JsonObject* fields);
absl::StatusOr<std::unique_ptr<Normalizer>> ParsePrecompiled(JsonObject* fields);

}  // namespace shoal::model::pipeline
