#include "tasks/data/split.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "tasks/data/format.h"
#include "tasks/data/reader.h"

namespace shoal::tasks {
namespace {

constexpr Part kParts[] = {Part::kTrain, Part::kValidation, Part::kTest};

// 53 bits of SHA-256(seed as decimal number, "/", purpose, "/", key), in [0, 1).
double UniformOf(absl::string_view key, uint64_t seed, absl::string_view purpose = "split") {
  Sha256 hash;
  hash.Add(absl::StrCat(seed, "/", purpose, "/"));
  hash.Add(key);
  const Sha256Digest digest = hash.Digest();
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits = bits << 8 | digest[static_cast<size_t>(i)];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// Equal texts, or pairs of texts, are in the same part.
std::string KeyOf(const Example& example) {
  if (!example.pair) return example.text;
  return absl::StrCat(example.text, absl::string_view("\0", 1), *example.pair);
}

SplitExamples PartExamples(ExampleSet all, const JobSpec& job) {
  SplitExamples parts;
  for (Part part : kParts) parts[part].files = all.files;
  parts[Part::kTrain].ignored_labels = all.ignored_labels;
  for (Example& example : all.examples) {
    // Some formats have groups without a column of that name.
    const bool grouped = job.data().has_group() || !example.group.empty();
    const std::string key = grouped ? example.group : KeyOf(example);
    const Part part = PartOf(key, job.seed(), job.data().split());
    if (part != Part::kUnused) parts[part].examples.push_back(std::move(example));
  }
  return parts;
}

// The first start of a UTF-8 character at or after `fraction` of the text.
size_t CutAt(absl::string_view text, double fraction) {
  const double at = std::min(1.0, fraction) * static_cast<double>(text.size());
  size_t cut = std::min(text.size(), static_cast<size_t>(std::llround(at)));
  while (cut < text.size() && (text[cut] & 0xC0) == 0x80) ++cut;
  return cut;
}

// The beginning of each text is for training, its end for the test.
SplitExamples CutTexts(const ExampleSet& all, const SplitSpec& split) {
  SplitExamples parts;
  const double ends[] = {split.train(), split.train() + split.validation(),
                         split.train() + split.validation() + split.test()};
  for (Part part : kParts) parts[part].files = all.files;
  for (const Example& example : all.examples) {
    size_t begin = 0;
    for (Part part : kParts) {
      const size_t end = std::max(begin, CutAt(example.text, ends[static_cast<int>(part)]));
      Example piece;
      piece.text = example.text.substr(begin, end - begin);
      piece.file = example.file;
      piece.line = example.line;
      if (end > begin) parts[part].examples.push_back(std::move(piece));
      begin = end;
    }
  }
  return parts;
}

absl::StatusOr<SplitExamples> ReadGivenParts(Env* env, const DataSpec& data, const LabelReader& labels) {
  SplitExamples parts;
  SHOAL_ASSIGN_OR_RETURN(parts[Part::kTrain], ReadExamples(env, data.train_files(), data, labels));
  SHOAL_ASSIGN_OR_RETURN(parts[Part::kValidation], ReadExamples(env, data.validation_files(), data, labels));
  SHOAL_ASSIGN_OR_RETURN(parts[Part::kTest], ReadExamples(env, data.test_files(), data, labels));
  return parts;
}

// How often each label occurs in `sets`.
class LabelFrequencies {
 public:
  LabelFrequencies(absl::Span<ExampleSet* const> sets, uint64_t min_count) : min_count_(min_count) {
    for (const ExampleSet* set : sets) {
      for (const Example& example : set->examples) {
        for (const std::string& label : example.labels) ++counts_[label];
      }
    }
  }

  // Returns how many examples were removed.
  uint64_t RemoveRareFrom(ExampleSet* set, bool keep_examples) const {
    auto& examples = set->examples;
    for (Example& example : examples) {
      auto& labels = example.labels;
      labels.erase(
          std::remove_if(labels.begin(), labels.end(), [&](const auto& label) { return IsRare(label); }),
          labels.end());
    }
    if (keep_examples) return 0;
    const auto kept_end =
        std::remove_if(examples.begin(), examples.end(), [](const Example& e) { return e.labels.empty(); });
    const auto removed = static_cast<uint64_t>(examples.end() - kept_end);
    examples.erase(kept_end, examples.end());
    return removed;
  }

 private:
  bool IsRare(const std::string& label) const { return counts_.at(label) < min_count_; }

  uint64_t min_count_;
  absl::flat_hash_map<std::string, uint64_t> counts_;
};

// Returns how many examples were removed with their labels.
uint64_t RemoveRareLabels(const DataSpec& data, RareLabels what, absl::Span<ExampleSet* const> sets) {
  if (data.min_class_count() <= 1 || what == RareLabels::kKept) return 0;
  const LabelFrequencies frequencies(sets, data.min_class_count());
  uint64_t removed = 0;
  for (ExampleSet* set : sets) removed += frequencies.RemoveRareFrom(set, what == RareLabels::kRemoved);
  return removed;
}

// Adds the examples that data.replay chooses.
absl::Status AddReplayed(Env* env, const JobSpec& job, const LabelReader& labels, SplitExamples* parts) {
  const ReplaySpec& replay = job.data().replay();
  SHOAL_ASSIGN_OR_RETURN(ExampleSet old, ReadExamples(env, replay.files(), job.data(), labels));
  ExampleSet& training = (*parts)[Part::kTrain];
  absl::flat_hash_set<std::string> elsewhere;
  for (Part part : {Part::kValidation, Part::kTest}) {
    for (const Example& example : (*parts)[part].examples) elsewhere.insert(KeyOf(example));
  }
  const uint32_t first_file = static_cast<uint32_t>(training.files.size());
  training.files.insert(training.files.end(), old.files.begin(), old.files.end());
  parts->replayable_examples = old.examples.size();
  for (Example& example : old.examples) {
    if (UniformOf(KeyOf(example), job.seed(), "replay") >= replay.fraction()) continue;
    if (elsewhere.contains(KeyOf(example))) continue;
    example.file += first_file;
    training.examples.push_back(std::move(example));
    ++parts->replayed_examples;
  }
  return absl::OkStatus();
}

// A label that occurs nowhere is a typo.
absl::Status CheckIgnored(const DataSpec& data, const SplitExamples& parts) {
  for (const std::string& label : data.ignored_labels()) {
    const auto has = [&](const ExampleSet& set) { return set.ignored_labels.count(label) > 0; };
    if (std::any_of(std::begin(parts.part), std::end(parts.part), has)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("data.ignored_labels: no example has the label '", label, "'"));
  }
  return absl::OkStatus();
}

bool IsAskedFor(const DataSpec& data, Part part) {
  const bool split = data.files_size() > 0;
  if (part == Part::kValidation)
    return split ? data.split().validation() > 0 : data.validation_files_size() > 0;
  if (part == Part::kTest) return split ? data.split().test() > 0 : data.test_files_size() > 0;
  return true;
}

absl::Status CheckPart(const DataSpec& data, Part part, size_t examples) {
  if (examples > 0 || !IsAskedFor(data, part)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "no examples are left for the ", NameOf(part), " part; expected more examples, another data.split",
      data.min_class_count() > 1 ? absl::StrCat(", or data.min_class_count below ", data.min_class_count())
                                 : ""));
}

}  // namespace

absl::string_view NameOf(Part part) {
  switch (part) {
    case Part::kTrain:
      return "training";
    case Part::kValidation:
      return "validation";
    case Part::kTest:
      return "test";
    case Part::kUnused:
      break;
  }
  return "unused";
}

Part PartOf(absl::string_view key, uint64_t seed, const SplitSpec& split) {
  const double at = UniformOf(key, seed);
  if (at < split.train()) return Part::kTrain;
  if (at < split.train() + split.validation()) return Part::kValidation;
  // Fractions that are meant to sum to 1 may miss it by a rounding error.
  constexpr double kSlack = 1e-9;
  return at < split.train() + split.validation() + split.test() + kSlack && split.test() > 0 ? Part::kTest
                                                                                             : Part::kUnused;
}

absl::StatusOr<SplitExamples> ReadParts(Env* env, const JobSpec& job, const LabelReader& labels) {
  SplitExamples parts;
  if (job.data().files_size() > 0) {
    SHOAL_ASSIGN_OR_RETURN(ExampleSet all, ReadExamples(env, job.data().files(), job.data(), labels));
    const uint64_t rare_examples = RemoveRareLabels(job.data(), labels.rare_labels(), {&all});
    parts = FormatOf(job.data().format()).records == RecordKind::kOneText ? CutTexts(all, job.data().split())
                                                                          : PartExamples(std::move(all), job);
    parts.rare_examples = rare_examples;
  } else {
    SHOAL_ASSIGN_OR_RETURN(parts, ReadGivenParts(env, job.data(), labels));
    parts.rare_examples =
        RemoveRareLabels(job.data(), labels.rare_labels(), {&parts.part[0], &parts.part[1], &parts.part[2]});
  }
  for (Part part : kParts) SHOAL_RETURN_IF_ERROR(CheckPart(job.data(), part, parts[part].examples.size()));
  SHOAL_RETURN_IF_ERROR(CheckIgnored(job.data(), parts));
  if (job.data().has_replay()) SHOAL_RETURN_IF_ERROR(AddReplayed(env, job, labels, &parts));
  return parts;
}

}  // namespace shoal::tasks
