// Predicts hidden tokens, redrawn in each round (tasks/masking.h). Statistics: confusion[0] counts those
// that are predicted correctly.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tasks/class_labels.h"
#include "tasks/separate_words.h"
#include "tasks/statistics.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

// What stands for a hidden word in a text to predict from, whatever the vocabulary calls its mask token.
constexpr absl::string_view kMask = "[MASK]";
constexpr uint32_t kMaskLength = 6;
constexpr size_t kMaxPredictions = 100;

bool IsTemplate(const Encoding& encoding, size_t token) {
  return encoding.sources[token] == TokenSource::kTemplate;
}

// The ids of an encoded text, and those that the vocabulary puts before and after it.
class Window {
 public:
  explicit Window(const Encoding& encoding) : ids_(encoding.ids) {
    end_ = encoding.size();
    while (begin_ < end_ && IsTemplate(encoding, begin_)) ++begin_;
    while (end_ > begin_ && IsTemplate(encoding, end_ - 1)) --end_;
    // Without text, the last one ends it.
    if (begin_ == end_ && begin_ > 0) begin_ = end_ = begin_ - 1;
  }
  absl::Span<const uint32_t> before() const { return absl::MakeConstSpan(ids_).first(begin_); }
  absl::Span<const uint32_t> text() const { return absl::MakeConstSpan(ids_).subspan(begin_, end_ - begin_); }
  absl::Span<const uint32_t> after() const { return absl::MakeConstSpan(ids_).subspan(end_); }

 private:
  const std::vector<uint32_t> ids_;
  size_t begin_ = 0, end_ = 0;  // of the text
};

// Adds the most probable tokens of a row of logits.
void AddTokens(absl::Span<const float> logits, const TextEncoder& encoder, TextSpan place, uint32_t mask,
               std::vector<LabelledSpan>* spans) {
  const std::vector<float> values = Softmax(logits);
  std::vector<uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t count = std::min(order.size(), kMaxPredictions);
  std::partial_sort(
      order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
      [&](uint32_t a, uint32_t b) { return std::pair(-values[a], a) < std::pair(-values[b], b); });
  for (size_t i = 0; i < count; ++i) {
    std::string word = encoder.Decode({order[i]});
    // A special token, or one of white space.
    if (word.empty()) word = absl::StrCat("(token ", order[i], ")");
    spans->push_back({std::move(word), place, values[order[i]], mask});
  }
}

// The number of the word in which each token begins; -1: in none. `words` are in order.
std::vector<int32_t> WordsOf(const Encoding& encoding, absl::Span<const TextSpan> words) {
  std::vector<int32_t> of_token(encoding.size(), -1);
  size_t word = 0;
  for (size_t token = 0; token < encoding.size(); ++token) {
    if (IsTemplate(encoding, token)) continue;
    const uint32_t place = encoding.offsets[token].begin;
    while (word < words.size() && words[word].end <= place) ++word;
    if (word < words.size() && words[word].begin <= place) of_token[token] = static_cast<int32_t>(word);
  }
  return of_token;
}

class MaskedLanguageModellingTask final : public Task {
 public:
  TaskType type() const override { return TASK_MASKED_LANGUAGE_MODELLING; }
  HeadType head() const override { return HEAD_TYPE_MASKED_TOKEN; }

  absl::Status ReadLabels(std::vector<std::string>, Example*) const override { return absl::OkStatus(); }
  bool reads_labels() const override { return false; }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&, const ExampleSet&) const override {
    return std::vector<std::string>();
  }
  TargetKind target_kind() const override { return TargetKind::kHiddenTokens; }

  // For a prediction: the text, cut to `max_tokens`, whose tokens are named where it has kMask.
  void AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                    EncodedPart* part) const override {
    const uint32_t mask = encoder.mask_token().value_or(0);
    std::vector<uint32_t> tokens;
    std::vector<int32_t> classes;
    std::vector<uint32_t> end;
    const auto append = [&](uint32_t token, int32_t label) {
      tokens.push_back(token);
      classes.push_back(label);
    };
    bool first = true;
    const std::vector<absl::string_view> pieces = absl::StrSplit(example.text, kMask);
    for (absl::string_view piece : pieces) {
      // White space before a mask is part of it, as in `transformers`.
      if (piece.data() != pieces.back().data()) piece = absl::StripTrailingAsciiWhitespace(piece);
      const Window window(EncodeSeparateWords(encoder, piece, encoder.SplitWords(piece)));
      for (uint32_t token : first ? window.before() : absl::Span<const uint32_t>()) append(token, -1);
      if (!first) append(mask, 0);
      first = false;
      for (uint32_t token : window.text()) append(token, -1);
      end.assign(window.after().begin(), window.after().end());
    }
    if (tokens.size() + end.size() > max_tokens) ++part->cut;
    tokens.resize(std::min(tokens.size(), max_tokens - std::min(max_tokens, end.size())));
    classes.resize(tokens.size());
    for (uint32_t token : end) append(token, -1);
    part->classes.insert(part->classes.end(), classes.begin(), classes.end());
    part->AppendTokens(tokens);
  }

  // Consecutive windows of the text's tokens, with what the vocabulary puts around a text around each.
  absl::Status AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                             const LabelMap&, EncodedPart* part) const override {
    const std::vector<TextSpan> words = encoder.SplitWords(example.text);
    const Encoding encoding = EncodeSeparateWords(encoder, example.text, words);
    const std::vector<int32_t> word_of = WordsOf(encoding, words);
    const Window all(encoding);
    const size_t before = all.before().size(), after = all.after().size();
    if (before + after >= max_tokens) return absl::OkStatus();
    const size_t room = max_tokens - before - after;
    for (size_t begin = 0; begin < all.text().size(); begin += room) {
      const absl::Span<const uint32_t> text = all.text().subspan(begin, room);
      AppendWords(absl::MakeConstSpan(word_of).subspan(before + begin, text.size()), before, after, part);
      std::vector<uint32_t> window(all.before().begin(), all.before().end());
      for (const auto& rest : {text, all.after()}) window.insert(window.end(), rest.begin(), rest.end());
      part->AppendTokens(window);
    }
    return absl::OkStatus();
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_PERPLEXITY, METRIC_ACCURACY}; }

  Prediction Predict(const PredictionInput& of) const override {
    Prediction prediction;
    prediction.alternatives = 5;
    const auto masks = static_cast<size_t>(std::count(of.part.classes.begin(), of.part.classes.end(), 0));
    uint32_t place = 0;
    size_t row = 0;
    bool first = true;
    for (absl::string_view piece : absl::StrSplit(of.example.text, kMask)) {
      if (!std::exchange(first, false) && row < masks) {
        const size_t columns = of.logits.size() / masks;
        AddTokens(of.logits.subspan(row * columns, columns), of.encoder, {place, place + kMaskLength},
                  static_cast<uint32_t>(row), &prediction.spans);
        ++row;
        place += kMaskLength;
      }
      place += static_cast<uint32_t>(
          std::count_if(piece.begin(), piece.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
    }
    return prediction;
  }

 protected:
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    if (statistics->confusion().empty()) statistics->add_confusion(0);
    statistics->set_confusion(0, statistics->confusion(0) + static_cast<uint64_t>(outcome.correct));
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_PERPLEXITY) return std::exp(MeanLoss(statistics));
    if (metric == METRIC_ACCURACY && statistics.predicted_tokens() > 0 && !statistics.confusion().empty()) {
      return static_cast<double>(statistics.confusion(0)) /
             static_cast<double>(statistics.predicted_tokens());
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  // Appends the words of a window, numbered from 0, between those tokens that belong to none.
  static void AppendWords(absl::Span<const int32_t> words, size_t before, size_t after, EncodedPart* part) {
    part->classes.insert(part->classes.end(), before, -1);
    int32_t number = -1, last = -1;
    for (const int32_t word : words) {
      if (word >= 0 && word != last) ++number;
      if (word >= 0) last = word;
      part->classes.push_back(word < 0 ? -1 : number);
    }
    part->classes.insert(part->classes.end(), after, -1);
  }
};

}  // namespace

const Task& MaskedLanguageModelling() {
  static const MaskedLanguageModellingTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
