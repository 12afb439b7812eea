#include "tasks/encode.h"

#include <algorithm>

#include "common/base/status.h"

namespace shoal::tasks {
namespace {

// What one thread encodes at a time, and how many of those are encoded between two reports of progress.
constexpr uint64_t kExamplesPerPiece = 64;
constexpr int64_t kPiecesPerProgress = 64;

template <typename T>
void AppendRange(const std::vector<T>& from, uint64_t begin, uint64_t end, std::vector<T>* to) {
  to->insert(to->end(), from.begin() + static_cast<int64_t>(begin), from.begin() + static_cast<int64_t>(end));
}

// Examples [begin, end) of the set.
absl::StatusOr<EncodedPart> EncodePiece(const ExampleSet& set, uint64_t begin, uint64_t end,
                                        const TextEncoder& encoder, size_t max_tokens, const Task& task,
                                        const LabelMap& labels) {
  EncodedPart piece;
  for (uint64_t i = begin; i < end; ++i) {
    const Example& example = set.examples[i];
    const absl::Status status = task.AppendExample(example, encoder, max_tokens, labels, &piece);
    if (!status.ok()) return Annotate(status, set.Origin(example));
  }
  return piece;
}

}  // namespace

absl::StatusOr<EncodedPart> EncodeExamples(const ExampleSet& set, const model::Tokenizer& tokenizer,
                                           size_t max_tokens, const Task& task,
                                           const std::vector<std::string>& labels, const Progress& progress,
                                           ThreadPool* pool) {
  const LabelMap label_map(labels);
  const TokenizerEncoder encoder(tokenizer);
  EncodedPart part;
  const uint64_t examples = set.examples.size();
  const int64_t pieces = CutCount(static_cast<int64_t>(examples), kExamplesPerPiece);
  std::vector<absl::StatusOr<EncodedPart>> encoded(kPiecesPerProgress, EncodedPart());
  for (int64_t first = 0; first < pieces; first += kPiecesPerProgress) {
    progress("encodes the examples");
    const int64_t count = std::min(kPiecesPerProgress, pieces - first);
    const auto encode = [&](int64_t i, int) {
      const uint64_t begin = static_cast<uint64_t>(first + i) * kExamplesPerPiece;
      encoded[i] = EncodePiece(set, begin, std::min(examples, begin + kExamplesPerPiece), encoder, max_tokens,
                               task, label_map);
    };
    if (pool != nullptr) {
      pool->ParallelFor(count, encode);
    } else {
      for (int64_t i = 0; i < count; ++i) encode(i, 0);
    }
    for (int64_t i = 0; i < count; ++i) {
      SHOAL_RETURN_IF_ERROR(encoded[i].status());
      part.Append(*encoded[i]);
    }
  }
  return part;
}

model::Batch BatchBuffer::Gather(const EncodedPart& part, absl::Span<const uint64_t> examples,
                                 const Masking* masking) {
  tokens_.clear();
  types_.clear();
  offsets_.assign(1, 0);
  classes_.clear();
  targets_.clear();
  notes_.clear();
  for (uint64_t example : examples) {
    AppendRange(part.tokens, part.offsets[example], part.offsets[example + 1], &tokens_);
    if (!part.types.empty())
      AppendRange(part.types, part.offsets[example], part.offsets[example + 1], &types_);
    offsets_.push_back(static_cast<int32_t>(tokens_.size()));
    AddTargets(part, example);
    if (!part.notes.empty()) notes_.push_back(part.notes[example]);
    if (masking != nullptr) {
      HideTokens(*masking, example, absl::MakeSpan(tokens_).last(part.length(example)),
                 absl::MakeSpan(classes_).last(part.length(example)));
    }
  }
  model::Batch batch;
  batch.tokens = tokens_;
  batch.types = types_;
  batch.offsets = offsets_;
  batch.classes = classes_;
  batch.targets = targets_;
  return batch;
}

void BatchBuffer::AddTargets(const EncodedPart& part, uint64_t example) {
  if (!part.classes.empty() && HasTokenClasses(kind_)) {
    AppendRange(part.classes, part.offsets[example], part.offsets[example + 1], &classes_);
  } else if (!part.classes.empty()) {
    classes_.push_back(part.classes[example]);
  }
  if (!part.targets.empty()) AppendRange(part.targets, example * labels_, (example + 1) * labels_, &targets_);
}

int64_t LogitRows(TargetKind kind, const model::Batch& batch) {
  if (kind == TargetKind::kNone || kind == TargetKind::kSpan) return batch.token_count();
  if (!HasTokenClasses(kind)) return batch.example_count();
  return std::count_if(batch.classes.begin(), batch.classes.end(), [](int32_t label) { return label >= 0; });
}

bool EvaluationNeedsLogits(TargetKind kind) {
  return kind != TargetKind::kNone && kind != TargetKind::kHiddenTokens;
}

}  // namespace shoal::tasks
