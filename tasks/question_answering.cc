// The part of a text (an example's pair) that answers a question (its text): a span of tokens, or none. A
// text that is too long becomes several examples, windows that overlap; the answer is the best span of all of
// them.
//
// Statistics: while they are added up, results with key 2q, the best span of question q, and 2q+1, that it
// has no answer, each with the values [exact match, F1]; then sums[exact matches, F1s, questions].
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "common/base/sha256.h"
#include "common/base/target_kind.h"
#include "common/base/utf8.h"
#include "tasks/answer_scores.h"
#include "tasks/separate_words.h"
#include "tasks/statistics.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

constexpr size_t kUncut = 1u << 31;
constexpr size_t kOverlap = 128;  // tokens that consecutive windows have in common, if there is room
constexpr size_t kMaxAnswerTokens = 30;
constexpr size_t kMaxPredictions = 100;  // that a prediction lists
constexpr char kNoAnswer[] = "(no answer)";

bool IsOfText(const Encoding& encoding, size_t token) {
  return encoding.sources[token] == TokenSource::kSecond;
}

// ---- windows ----

// The places of the tokens of a text, for a vocabulary of ours, which does not tell those of a pair.
Encoding PlacedTokens(const TextEncoder& encoder, absl::string_view text) {
  const Encoding words = EncodeSeparateWords(encoder, text, encoder.SplitWords(text));
  Encoding tokens;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words.sources[i] != TokenSource::kTemplate)
      tokens.Append(words.ids[i], 0, words.offsets[i], TokenSource::kSecond);
  }
  // A first character that the next token has as well stands for the space before the word, as in
  // `transformers`.
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    TextSpan& place = tokens.offsets[i];
    if (place.begin > 0 && place.end == place.begin + 1 && place.begin == tokens.offsets[i + 1].begin)
      place = {place.begin - 1, place.begin};
  }
  return tokens;
}

// Question and text as a pair, with the places of the text's tokens.
Encoding EncodePair(const TextEncoder& encoder, absl::string_view question, absl::string_view text) {
  Encoding pair = encoder.EncodePair(question, text, kUncut);
  std::vector<size_t> of_text;
  bool placed = false;
  for (size_t i = 0; i < pair.size(); ++i) {
    if (!IsOfText(pair, i)) continue;
    of_text.push_back(i);
    placed |= pair.offsets[i].end > pair.offsets[i].begin;
  }
  if (placed || of_text.empty()) return pair;
  const Encoding tokens = PlacedTokens(encoder, text);
  if (tokens.size() != of_text.size()) return pair;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens.ids[i] == pair.ids[of_text[i]]) pair.offsets[of_text[i]] = tokens.offsets[i];
  }
  return pair;
}

// The first and the last token that a place has a part of; nullopt: none has.
std::optional<std::pair<size_t, size_t>> TokensAt(const Encoding& encoding, TextSpan place) {
  std::optional<std::pair<size_t, size_t>> tokens;
  for (size_t i = 0; i < encoding.size(); ++i) {
    const TextSpan token = encoding.offsets[i];
    if (!IsOfText(encoding, i) || token.begin == token.end || token.end <= place.begin ||
        place.end <= token.begin)
      continue;
    tokens = {tokens ? tokens->first : i, i};
  }
  return tokens;
}

// The part of a valid text between two characters.
class CharacterIndex {
 public:
  explicit CharacterIndex(absl::string_view text) : text_(text) {
    for (size_t at = 0; at < text.size(); ++at) {
      if ((text[at] & 0xC0) != 0x80) begins_.push_back(at);
    }
    begins_.push_back(text.size());
  }
  absl::string_view Part(TextSpan place) const {
    const size_t begin = At(place.begin);
    return text_.substr(begin, At(place.end) - begin);
  }

 private:
  size_t At(uint32_t character) const { return begins_[std::min<size_t>(character, begins_.size() - 1)]; }

  absl::string_view text_;
  std::vector<size_t> begins_;
};

// Cuts a pair into examples of at most `max_tokens` tokens. Each has the question, of which a long one is
// cut.
class Windows {
 public:
  Windows(const Encoding& encoding, size_t max_tokens, const WindowNote& question, absl::string_view text,
          EncodedPart* part)
      : encoding_(encoding), question_(question), characters_(text), part_(part) {
    size_t at = 0;
    while (at < encoding.size() && !IsOfText(encoding, at)) before_.push_back(at++);
    while (at < encoding.size() && IsOfText(encoding, at)) text_.push_back(at++);
    while (at < encoding.size()) after_.push_back(at++);
    CutQuestion(max_tokens);
    const size_t around = before_.size() + after_.size();
    has_room_ = max_tokens > around;
    room_ = has_room_ ? max_tokens - around : 1;
    if (has_room_) return;
    // What is left can only be no answer, but is as long as a model may expect.
    after_.clear();
    before_.resize(std::min(before_.size(), max_tokens - 1));
  }

  // Whether there is room for a token of the text.
  bool has_room() const { return has_room_; }

  // `answer`: its first and last token.
  void Append(const std::optional<std::pair<size_t, size_t>>& answer) {
    const size_t step = room_ - std::min(kOverlap, room_ / 2);
    for (size_t begin = 0; begin == 0 || begin + room_ - step < text_.size(); begin += step)
      AppendWindow(absl::MakeConstSpan(text_).subspan(std::min(begin, text_.size()), room_), answer);
  }

 private:
  // The text has at least half of the tokens.
  void CutQuestion(size_t max_tokens) {
    bool cut = false;
    for (size_t i = before_.size(); i-- > 0 && before_.size() + after_.size() > max_tokens / 2;) {
      if (encoding_.sources[before_[i]] != TokenSource::kFirst) continue;
      before_.erase(before_.begin() + static_cast<int64_t>(i));
      cut = true;
    }
    part_->cut += cut ? 1 : 0;
  }

  void AppendWindow(absl::Span<const size_t> text, const std::optional<std::pair<size_t, size_t>>& answer) {
    std::vector<uint32_t> ids, types;
    const auto append = [&](size_t token, int32_t label) {
      ids.push_back(encoding_.ids[token]);
      types.push_back(encoding_.type_ids[token]);
      part_->classes.push_back(label);
    };
    const bool whole =
        answer && !text.empty() && text.front() <= answer->first && answer->second <= text.back();
    for (size_t token : before_) append(token, -1);
    for (size_t token : text) {
      const int32_t first = whole && token == answer->first ? kSpanFirst : 0;
      append(token, first | (whole && token == answer->second ? kSpanLast : 0));
    }
    for (size_t token : after_) append(token, -1);
    part_->AppendTokens(ids, types);
    part_->notes.push_back(Note(text).SerializeAsString());
  }

  WindowNote Note(absl::Span<const size_t> text) const {
    WindowNote note = question_;
    std::optional<TextSpan> window;
    for (size_t token : text) {
      const TextSpan place = encoding_.offsets[token];
      if (place.begin == place.end) continue;
      if (!window) window = place;
      window = TextSpan{std::min(window->begin, place.begin), std::max(window->end, place.end)};
    }
    if (!window) window = TextSpan();
    note.set_begin(window->begin);
    note.set_text(std::string(characters_.Part(*window)));
    for (size_t token : text) {
      const TextSpan place = encoding_.offsets[token];
      const bool placed = place.begin < place.end;
      note.add_token_begin(placed ? place.begin - window->begin : 0);
      note.add_token_end(placed ? place.end - window->begin : 0);
    }
    return note;
  }

  const Encoding& encoding_;
  const WindowNote& question_;
  const CharacterIndex characters_;
  EncodedPart* const part_;
  std::vector<size_t> before_, text_, after_;  // tokens
  bool has_room_ = false;
  size_t room_ = 1;  // for tokens of the text
};

// ---- spans ----

// A window's logits.
struct Scores {
  absl::Span<const float> logits;     // [T,2]: of a token to be the first, and the last
  absl::Span<const int32_t> classes;  // [T]

  double First(size_t token) const { return logits[2 * token]; }
  double Last(size_t token) const { return logits[2 * token + 1]; }
  double NoAnswer() const { return First(0) + Last(0); }
};

// Where the span is in the window's text, without spaces around it; empty where nothing is left.
TextSpan PlaceOf(const WindowNote& note, const CharacterIndex& text, size_t first, size_t last) {
  TextSpan place = {note.token_begin(static_cast<int>(first)), note.token_end(static_cast<int>(last))};
  const auto is_space = [&](uint32_t at) {
    const absl::string_view character = text.Part({at, at + 1});
    return character.size() == 1 && absl::ascii_isspace(static_cast<unsigned char>(character[0]));
  };
  while (place.begin < place.end && is_space(place.begin)) ++place.begin;
  while (place.begin < place.end && is_space(place.end - 1)) --place.end;
  return place.begin < place.end ? place : TextSpan();
}

// Calls visit(place, score) for all spans that may be an answer: a token without a place is not an end of
// one.
template <typename Visit>
void ForEachSpan(const WindowNote& note, const CharacterIndex& text, const Scores& scores, Visit visit) {
  struct End {
    size_t token = 0;  // of the window
    size_t index = 0;  // among those of the text
  };
  std::vector<End> ends;
  size_t index = 0;
  for (size_t token = 0; token < scores.classes.size(); ++token) {
    if (scores.classes[token] < 0) continue;
    const int at = static_cast<int>(index);
    if (note.token_begin(at) < note.token_end(at)) ends.push_back({token, index});
    ++index;
  }
  for (size_t first = 0; first < ends.size(); ++first) {
    for (size_t last = first; last < ends.size() && ends[last].index < ends[first].index + kMaxAnswerTokens;
         ++last) {
      const TextSpan place = PlaceOf(note, text, ends[first].index, ends[last].index);
      if (place.begin < place.end)
        visit(place, scores.First(ends[first].token) + scores.Last(ends[last].token));
    }
  }
}

// The window's note, if it belongs to the window.
std::optional<WindowNote> ParseNote(const std::string& bytes, absl::Span<const int32_t> classes) {
  WindowNote note;
  if (!note.ParseFromString(bytes)) return std::nullopt;
  const auto tokens = std::count_if(classes.begin(), classes.end(), [](int32_t label) { return label >= 0; });
  if (note.token_begin_size() != tokens || note.token_end_size() != tokens) return std::nullopt;
  return note;
}

uint64_t NumberOf(const Example& example) {
  Sha256 hash;
  hash.Add(std::to_string(example.file));
  hash.Add("/");
  hash.Add(example.id);
  const Sha256Digest digest = hash.Digest();
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; ++i) bits = bits << 8 | digest[i];
  return bits & ~uint64_t{1};
}

ScoredResult ResultOf(uint64_t key, double score, const WindowNote& note, absl::string_view answer) {
  ScoredResult result;
  result.set_key(key);
  result.set_score(score);
  const std::vector<std::string> answers(note.answers().begin(), note.answers().end());
  const AnswerScores scores = ScoreAnswer(answer, answers, note.measure());
  result.add_values(scores.exact ? 1 : 0);
  result.add_values(scores.f1);
  return result;
}

class QuestionAnsweringTask final : public Task {
 public:
  TaskType type() const override { return TASK_QUESTION_ANSWERING; }
  HeadType head() const override { return HEAD_TYPE_SPAN; }

  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    example->labels = std::move(labels);
    return absl::OkStatus();
  }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&, const ExampleSet&) const override {
    return std::vector<std::string>();
  }
  TargetKind target_kind() const override { return TargetKind::kSpan; }

  void AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                    EncodedPart* part) const override {
    AppendWindows(example, encoder, max_tokens, part);
  }

  absl::Status AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                             const LabelMap&, EncodedPart* part) const override {
    if (AppendWindows(example, encoder, max_tokens, part)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("model.max_length: ", max_tokens, " tokens have no room for a text beside a question"));
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_F1, METRIC_EXACT_MATCH}; }

  void Conclude(std::optional<double>, EvaluationStatistics* statistics) const override {
    double exact = 0, f1 = 0, questions = 0;
    const std::map<uint64_t, ScoredResult> best = BestResults(*statistics);
    for (auto result = best.begin(); result != best.end();) {
      const ScoredResult* chosen = &result->second;
      const uint64_t question = result->first | 1;
      // That there is no answer has the score of the window that says so least: the others don't have it.
      for (; result != best.end() && (result->first | 1) == question; ++result) {
        if (result->first == question &&
            (chosen == &result->second || -result->second.score() > chosen->score()))
          chosen = &result->second;
      }
      if (chosen->values_size() != 2) continue;
      exact += chosen->values(0);
      f1 += chosen->values(1);
      ++questions;
    }
    statistics->clear_results();
    statistics->clear_sums();
    for (double sum : {exact, f1, questions}) statistics->add_sums(sum);
  }

  Prediction Predict(const PredictionInput& of) const override {
    Prediction prediction;
    prediction.alternatives = 1;
    prediction.in_pair = true;
    std::map<std::pair<uint32_t, uint32_t>, double> scores;  // by place; {0,0}: no answer
    double no_answer = std::numeric_limits<double>::infinity();
    for (uint64_t window = 0; window < of.part.size(); ++window) AddSpans(of, window, &scores, &no_answer);
    if (std::isfinite(no_answer)) scores[{0, 0}] = no_answer;
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const auto& [place, score] : scores) largest = std::max(largest, score);
    for (const auto& [place, score] : scores) sum += std::exp(score - largest);
    const CharacterIndex text(*of.example.pair);
    for (const auto& [place, score] : scores) {
      const TextSpan span = {place.first, place.second};
      const bool none = span.end == 0;
      prediction.spans.push_back({none ? kNoAnswer : std::string(text.Part(span)), span,
                                  static_cast<float>(std::exp(score - largest) / sum)});
    }
    std::stable_sort(prediction.spans.begin(), prediction.spans.end(),
                     [](const LabelledSpan& a, const LabelledSpan& b) { return a.score > b.score; });
    prediction.spans.resize(std::min(prediction.spans.size(), kMaxPredictions));
    return prediction;
  }

 protected:
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    for (size_t b = 0; b < outcome.notes.size(); ++b) {
      const auto begin = static_cast<size_t>(outcome.offsets[b]);
      const size_t size = static_cast<size_t>(outcome.offsets[b + 1]) - begin;
      const Scores scores = {outcome.logits.subspan(2 * begin, 2 * size),
                             outcome.classes.subspan(begin, size)};
      const std::optional<WindowNote> note = ParseNote(outcome.notes[b], scores.classes);
      if (note) CountWindow(*note, scores, statistics);
    }
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (statistics.sums_size() < 3 || statistics.sums(2) == 0 ||
        (metric != METRIC_F1 && metric != METRIC_EXACT_MATCH))
      return std::numeric_limits<double>::quiet_NaN();
    return statistics.sums(metric == METRIC_F1 ? 1 : 0) / statistics.sums(2);
  }

 private:
  // Returns whether there is room for the text.
  static bool AppendWindows(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                            EncodedPart* part) {
    const std::string text = example.pair.value_or("");
    const Encoding encoding = EncodePair(encoder, example.text, text);
    WindowNote question;
    question.set_question(NumberOf(example));
    question.mutable_answers()->Add(example.labels.begin(), example.labels.end());
    question.set_measure(MeasureOf(text, example.may_lack_answer));
    question.set_may_lack_answer(example.may_lack_answer);
    std::optional<std::pair<size_t, size_t>> answer;
    if (example.answer) answer = TokensAt(encoding, *example.answer);
    Windows windows(encoding, max_tokens, question, text, part);
    windows.Append(answer);
    return windows.has_room();
  }

  // The window's best span, and, where a text may lack an answer, that it has none.
  static void CountWindow(const WindowNote& note, const Scores& scores, EvaluationStatistics* statistics) {
    const CharacterIndex text(note.text());
    TextSpan best;
    double largest = -std::numeric_limits<double>::infinity();
    ForEachSpan(note, text, scores, [&](TextSpan place, double score) {
      if (score > largest) best = place;
      largest = std::max(largest, score);
    });
    *statistics->add_results() = ResultOf(note.question(), largest, note, text.Part(best));
    if (note.may_lack_answer())
      *statistics->add_results() = ResultOf(note.question() | 1, -scores.NoAnswer(), note, "");
  }

  static void AddSpans(const PredictionInput& of, uint64_t window,
                       std::map<std::pair<uint32_t, uint32_t>, double>* scores, double* no_answer) {
    const size_t begin = of.part.offsets[window], size = of.part.length(window);
    const Scores logits = {of.logits.subspan(2 * begin, 2 * size),
                           absl::MakeConstSpan(of.part.classes).subspan(begin, size)};
    const std::optional<WindowNote> note = ParseNote(of.part.notes[window], logits.classes);
    if (!note) return;
    *no_answer = std::min(*no_answer, logits.NoAnswer());
    const CharacterIndex text(note->text());
    ForEachSpan(*note, text, logits, [&](TextSpan place, double score) {
      const std::pair<uint32_t, uint32_t> key = {note->begin() + place.begin, note->begin() + place.end};
      const auto [known, is_new] = scores->emplace(key, score);
      if (!is_new) known->second = std::max(known->second, score);
    });
  }
};

}  // namespace

const Task& QuestionAnswering() {
  static const QuestionAnsweringTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
