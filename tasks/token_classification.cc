// One of several labels per word, such as tags of named entities. A word's label is learned, and predicted,
// at its first token; one without a token (an uncased BERT drops some characters) is left out, also of the
// counts. A text with more tokens than fit becomes several examples, cut between words; entities are counted
// in each by itself.
//
// Statistics: those of tasks/kind_counts.h, for the kinds of tasks/word_labels.h and for words.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tasks/class_labels.h"
#include "tasks/kind_counts.h"
#include "tasks/task.h"
#include "tasks/word_labels.h"

namespace shoal::tasks {
namespace {

constexpr int32_t kAsked = 0;  // the class of a token whose label is to be predicted
constexpr int32_t kNoLabel = -1;
constexpr int32_t kContinued = -2;  // of a token that goes on with a word, if it is to have its label

// The tokens of an example: those of the template around those of the words.
struct WordTokens {
  std::vector<uint32_t> before, after;
  struct Word {
    uint32_t word = 0;  // index into Example.words
    std::vector<uint32_t> ids;
  };
  std::vector<Word> words;  // without those that have no token
};

// A token belongs to the first word that it overlaps; one of white space only, to none.
WordTokens TokensOf(const Example& example, const Encoding& encoding) {
  WordTokens tokens;
  uint32_t word = 0;
  for (size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.sources[i] == TokenSource::kTemplate) {
      (tokens.words.empty() ? tokens.before : tokens.after).push_back(encoding.ids[i]);
      continue;
    }
    const TextSpan place = encoding.offsets[i];
    while (word < example.words.size() && example.words[word].end <= place.begin) ++word;
    if (word == example.words.size() || place.end <= example.words[word].begin) continue;
    if (tokens.words.empty() || tokens.words.back().word != word) tokens.words.push_back({word, {}});
    tokens.words.back().ids.push_back(encoding.ids[i]);
  }
  return tokens;
}

// Appends the words as examples of at most `max_tokens` tokens; a word that is longer than that is cut.
class Appender {
 public:
  // `continued`: the class of a word's tokens after the first.
  Appender(const WordTokens& tokens, size_t max_tokens, int32_t continued, EncodedPart* part)
      : tokens_(tokens), room_(RoomIn(tokens, max_tokens)), continued_(continued), part_(part) {}

  void Append() {
    bool cut = false;
    Begin();
    for (const WordTokens::Word& word : tokens_.words) {
      const size_t size = std::min(word.ids.size(), room_);
      cut |= size < word.ids.size();
      if (size > room_ - used_ && used_ > 0) {
        End();
        Begin();
      }
      used_ += size;
      ids_.insert(ids_.end(), word.ids.begin(), word.ids.begin() + static_cast<int64_t>(size));
      part_->words.push_back(word.word);
      part_->classes.push_back(kAsked);
      part_->classes.resize(part_->classes.size() + size - 1, continued_);
    }
    End();
    part_->cut += cut ? 1 : 0;
  }

 private:
  static size_t RoomIn(const WordTokens& tokens, size_t max_tokens) {
    const size_t special = tokens.before.size() + tokens.after.size();
    return max_tokens > special ? max_tokens - special : 1;
  }
  void Begin() {
    used_ = 0;
    ids_ = tokens_.before;
    part_->classes.resize(part_->classes.size() + ids_.size(), kNoLabel);
  }
  void End() {
    ids_.insert(ids_.end(), tokens_.after.begin(), tokens_.after.end());
    part_->classes.resize(part_->classes.size() + tokens_.after.size(), kNoLabel);
    part_->AppendTokens(ids_);
  }

  const WordTokens& tokens_;
  const size_t room_;  // for words
  const int32_t continued_;
  EncodedPart* const part_;
  std::vector<uint32_t> ids_;
  size_t used_ = 0;
};

class TokenClassificationTask final : public Task {
 public:
  TaskType type() const override { return TASK_TOKEN_CLASSIFICATION; }
  HeadType head() const override { return HEAD_TYPE_TOKEN_CLASSES; }

  // ---- labels ----

  bool reads_words() const override { return true; }
  bool reads_lists() const override { return true; }
  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    if (labels.size() != example->words.size()) {
      return absl::InvalidArgumentError(absl::StrCat(example->words.size(), " words (data.text), but ",
                                                     labels.size(), " labels (data.label)"));
    }
    for (const std::string& label : labels) SHOAL_RETURN_IF_ERROR(CheckNotEmpty(label));
    example->labels = std::move(labels);
    return absl::OkStatus();
  }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data,
                                                    const ExampleSet& training) const override {
    SHOAL_ASSIGN_OR_RETURN(std::vector<std::string> labels, DistinctLabels(training, 2));
    SHOAL_ASSIGN_OR_RETURN(labels, CompleteWordLabels(std::move(labels)));
    for (const std::string& ignored : data.ignored_labels())
      labels.erase(std::remove(labels.begin(), labels.end(), ignored), labels.end());
    return labels;
  }
  TargetKind target_kind() const override { return TargetKind::kTokenClasses; }

  // ---- examples ----

  Example ExampleOf(std::string text, const TextEncoder& encoder) const override {
    Example example;
    example.text = std::move(text);
    example.words = encoder.SplitWords(example.text);
    return example;
  }

  void AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                    EncodedPart* part) const override {
    Appender(TokensOf(example, encoder.EncodeWords(example.text, example.words)), max_tokens,
             example.labels_every_token ? kContinued : kNoLabel, part)
        .Append();
  }

  absl::Status AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                             const LabelMap& labels, EncodedPart* part) const override {
    const size_t first_class = part->classes.size();
    part->words.clear();
    AppendTokens(example, encoder, max_tokens, part);
    auto word = part->words.begin();
    for (size_t i = first_class; i < part->classes.size(); ++i) {
      int32_t& target = part->classes[i];
      if (target == kContinued) {
        target = part->classes[i - 1];
      } else if (target == kAsked) {
        const std::string& label = example.labels[*word++];
        target = kNoLabel;  // of an ignored label
        if (!label.empty()) {
          SHOAL_ASSIGN_OR_RETURN(target, labels.Find(label));
        }
      }
    }
    return absl::OkStatus();
  }

  // ---- evaluation ----

  std::vector<Metric> reported_metrics() const override {
    return {METRIC_MICRO_F1, METRIC_MACRO_F1, METRIC_ACCURACY};
  }
  // With the averages of seqeval's report.
  LabelTable ReportLabels(absl::Span<const std::string> labels,
                          const EvaluationStatistics& statistics) const override {
    const std::vector<LabelCounts> counts = KindCounts(statistics);
    std::vector<LabelReport> reports = ReportsOf(counts, WordLabels(labels).kinds());
    if (reports.empty()) return {};
    return {std::move(reports),
            {Named(MicroAverage(counts), "micro average"), Named(MacroAverage(counts), "macro average"),
             Named(WeightedAverage(counts), "weighted average")}};
  }

  // ---- prediction ----

  // The score of an entity is the mean of those of its words' labels.
  Prediction Predict(const PredictionInput& of) const override {
    std::vector<int32_t> predicted;
    std::vector<float> scores;
    const size_t labels = of.labels.size();
    for (size_t row = 0; row < of.part.words.size(); ++row) {
      const std::vector<float> values = Softmax(of.logits.subspan(row * labels, labels));
      predicted.push_back(LargestLogit(values));
      scores.push_back(values[predicted.back()]);
    }
    const auto place = [&](size_t row) { return of.example.words[of.part.words[row]]; };
    Prediction prediction;
    for (LabelledWords& words : WordLabels(of.labels).Read(predicted)) {
      LabelledSpan& span = prediction.spans.emplace_back();
      span.label = std::move(words.label);
      span.place = {place(words.begin).begin, place(words.end - 1).end};
      for (size_t word = words.begin; word < words.end; ++word) span.score += scores[word];
      span.score /= static_cast<float>(words.end - words.begin);
    }
    return prediction;
  }

 protected:
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    const WordLabels labels(outcome.labels);
    std::vector<LabelCounts> counts(labels.kinds().size());
    uint64_t right = 0, words = 0;
    for (int64_t example = 0; example < outcome.examples(); ++example) {
      std::vector<int32_t> truth, predicted;
      for (int32_t token = outcome.offsets[example]; token < outcome.offsets[example + 1]; ++token) {
        if (outcome.classes[token] < 0) continue;
        truth.push_back(outcome.classes[token]);
        const auto row = outcome.logits.subspan(words++ * outcome.labels.size(), outcome.labels.size());
        predicted.push_back(LargestLogit(row));
        right += truth.back() == predicted.back() ? 1 : 0;
      }
      labels.Count(truth, predicted, absl::MakeSpan(counts));
    }
    AddKindCounts(counts, right, words, statistics);
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_MICRO_F1) return MicroF1(KindCounts(statistics));
    if (metric == METRIC_MACRO_F1) return MacroF1(KindCounts(statistics));
    if (metric == METRIC_ACCURACY) return RightFraction(statistics);
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& TokenClassification() {
  static const TokenClassificationTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
