// Question answering from texts to spans: windows, targets, scores and predictions.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/target_kind.h"
#include "model/tokenizer/words.h"
#include "tasks/question_answering.pb.h"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

constexpr int32_t kBegin = 1, kEnd = 2;  // special tokens

const Task& QuestionTask() { return *FindTask(TASK_QUESTION_ANSWERING); }

// The bytes of question and text are their tokens: 1 question 2 text 2.
class ByteEncoder final : public TextEncoder {
 public:
  // Without places: like a vocabulary that doesn't know them, and has no tokens of white space.
  explicit ByteEncoder(bool places = true) : places_(places) {}

  std::vector<uint32_t> Encode(absl::string_view, size_t) const override { return {}; }
  Encoding EncodePair(absl::string_view text, absl::string_view pair, size_t) const override {
    Encoding encoding;
    encoding.Append(kBegin, 0, {}, TokenSource::kTemplate);
    Append(text, 0, TokenSource::kFirst, &encoding);
    encoding.Append(kEnd, 0, {}, TokenSource::kTemplate);
    Append(pair, 1, TokenSource::kSecond, &encoding);
    encoding.Append(kEnd, 1, {}, TokenSource::kTemplate);
    return encoding;
  }
  Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan> words) const override {
    Encoding encoding;
    encoding.Append(kBegin, 0, {}, TokenSource::kTemplate);
    for (const TextSpan& word : words) {
      for (uint32_t at = word.begin; at < word.end; ++at)
        encoding.Append(static_cast<uint8_t>(text[at]), 0, word, TokenSource::kFirst);
    }
    encoding.Append(kEnd, 0, {}, TokenSource::kTemplate);
    return encoding;
  }
  std::string Decode(absl::Span<const uint32_t> ids) const override { return {ids.begin(), ids.end()}; }
  std::optional<uint32_t> mask_token() const override { return std::nullopt; }
  std::vector<TextSpan> SplitWords(absl::string_view text) const override { return model::SplitWords(text); }

 private:
  void Append(absl::string_view text, uint32_t type, TokenSource source, Encoding* encoding) const {
    for (uint32_t i = 0; i < text.size(); ++i) {
      if (!places_ && text[i] == ' ') continue;
      const TextSpan place = places_ ? TextSpan{i, i + 1} : TextSpan();
      encoding->Append(static_cast<uint8_t>(text[i]), type, place, source);
    }
  }

  const bool places_;
};

Example ExampleOf(const std::string& question, const std::string& text, const std::string& answer,
                  bool may_lack_answer = false) {
  Example example;
  example.text = question;
  example.pair = text;
  example.id = question;
  example.may_lack_answer = may_lack_answer;
  if (answer.empty()) return example;
  const auto begin = static_cast<uint32_t>(text.find(answer));
  example.answer = TextSpan{begin, begin + static_cast<uint32_t>(answer.size())};
  REQUIRE(QuestionTask().ReadLabels({answer}, &example).ok());
  return example;
}

EncodedPart Encode(const Example& example, size_t max_tokens, const TextEncoder& encoder = ByteEncoder()) {
  EncodedPart part;
  REQUIRE(QuestionTask().AppendExample(example, encoder, max_tokens, LabelMap({}), &part).ok());
  CHECK(HasTargets(part, TargetKind::kSpan, 0));
  CHECK(part.notes.size() == part.size());
  return part;
}

// Special tokens as '[' and ']'.
std::string TextOf(const EncodedPart& part, uint64_t example) {
  std::string text;
  for (int32_t token : part.tokens_of(example))
    text += token == kBegin ? '[' : token == kEnd ? ']' : static_cast<char>(token);
  return text;
}

// The tokens of the example's answer; empty without one.
std::string AnswerIn(const EncodedPart& part, uint64_t example) {
  std::string answer;
  bool inside = false;
  for (uint64_t i = part.offsets[example]; i < part.offsets[example + 1]; ++i) {
    const int32_t label = std::max(0, part.classes[i]);
    inside |= (label & kSpanFirst) != 0;
    if (inside) answer += static_cast<char>(part.tokens[i]);
    inside &= (label & kSpanLast) == 0;
  }
  return answer;
}

TEST_CASE("Question and text become one example, in which the answer is marked") {
  const EncodedPart part = Encode(ExampleOf("who", "so Max ran", "Max"), 32);
  REQUIRE(part.size() == 1);
  CHECK(TextOf(part, 0) == "[who]so Max ran]");
  CHECK(AnswerIn(part, 0) == "Max");
  CHECK(part.types.front() == 0);
  CHECK(part.types.back() == 1);
  for (size_t i = 0; i < part.tokens.size(); ++i) CHECK((part.classes[i] < 0) == (i < 5 || i == 15));
  CHECK(part.cut == 0);
}

TEST_CASE("A long text becomes windows that overlap by half of their room; the answer is where it is whole") {
  const EncodedPart part = Encode(ExampleOf("q", "abcdefghijklm", "ghi"), 10);
  std::vector<std::string> windows, answers;
  for (uint64_t i = 0; i < part.size(); ++i) {
    windows.push_back(TextOf(part, i));
    answers.push_back(AnswerIn(part, i));
  }
  CHECK(windows == std::vector<std::string>{"[q]abcdef]", "[q]defghi]", "[q]ghijkl]", "[q]jklm]"});
  CHECK(answers == std::vector<std::string>{"", "ghi", "ghi", ""});
  // A text that just fits has one.
  CHECK(Encode(ExampleOf("q", "abcdef", "a"), 10).size() == 1);
  CHECK(Encode(ExampleOf("q", "abcdefg", "a"), 10).size() == 2);
}

TEST_CASE("Windows overlap by 128 tokens where there is room") {
  const EncodedPart part = Encode(ExampleOf("q", std::string(500, 'x'), "x"), 304);  // 300 for the text
  REQUIRE(part.size() == 3);
  CHECK(part.length(0) == 304);
  CHECK(part.length(1) == 304);
  CHECK(part.length(2) == 4 + 500 - 2 * 172);
}

TEST_CASE("A long question leaves half of the tokens to the text") {
  const EncodedPart part = Encode(ExampleOf("abcdefghijkl", "so Max ran", "Max"), 20);
  REQUIRE(part.size() == 1);
  CHECK(TextOf(part, 0) == "[abcdefg]so Max ran]");
  CHECK(part.cut == 1);
}

TEST_CASE(
    "A window has at least a token of the text, or a job is refused, and the prediction is that there is no "
    "answer") {
  const Example example = ExampleOf("who", "ab", "b");
  CHECK(TextOf(Encode(example, 4), 1) == "[]b]");
  for (size_t max_tokens : {2, 3}) {
    const ByteEncoder encoder;
    EncodedPart part;
    const absl::Status status =
        QuestionTask().AppendExample(example, encoder, max_tokens, LabelMap({}), &part);
    CHECK_THAT(std::string(status.message()), Catch::Contains("model.max_length: "));
    EncodedPart predicted;
    QuestionTask().AppendTokens(example, encoder, max_tokens, &predicted);
    for (uint64_t i = 0; i < predicted.size(); ++i) CHECK(predicted.length(i) <= max_tokens);
  }
  CHECK(Encode(ExampleOf("who", "", ""), 8).size() == 1);
}

TEST_CASE("With a vocabulary that knows no places, they are found word by word") {
  const EncodedPart part = Encode(ExampleOf("who", "so Max ran.", "Max"), 32, ByteEncoder(/*places=*/false));
  CHECK(TextOf(part, 0) == "[who]soMaxran.]");
  CHECK(AnswerIn(part, 0) == "Max");
  CHECK(part.types.back() == 1);
}

// Logits that choose the token `first` to `last` of the example's tokens, by so much.
std::vector<float> Logits(const EncodedPart& part, uint64_t example, size_t first, size_t last, float by) {
  std::vector<float> logits(2 * part.length(example));
  logits[2 * first] = logits[2 * last + 1] = by;
  return logits;
}

EvaluationStatistics Count(const EncodedPart& part, const std::vector<std::vector<float>>& logits) {
  EvaluationStatistics statistics;
  for (uint64_t i = 0; i < part.size(); ++i) {
    const std::vector<int32_t> offsets = {0, static_cast<int32_t>(part.length(i))};
    Outcome outcome;
    outcome.offsets = offsets;
    outcome.logits = logits[i];
    outcome.classes = absl::MakeConstSpan(part.classes).subspan(part.offsets[i], part.length(i));
    outcome.notes = absl::MakeConstSpan(part.notes).subspan(i, 1);
    outcome.loss = 1;
    outcome.loss_rows = 1;
    EvaluationStatistics one;
    QuestionTask().Count(outcome, &one);
    AddStatistics(one, &statistics);
  }
  QuestionTask().Conclude(std::nullopt, &statistics);
  return statistics;
}

double F1(const EvaluationStatistics& statistics) {
  return QuestionTask().MetricValue(METRIC_F1, statistics);
}
double ExactMatch(const EvaluationStatistics& statistics) {
  return QuestionTask().MetricValue(METRIC_EXACT_MATCH, statistics);
}

TEST_CASE("The answer is the best span of all windows of a question") {
  const EncodedPart part = Encode(ExampleOf("q", "ab cd ef gh ij", "cd ef"), 12);  // 8 for the text
  REQUIRE(part.size() == 3);
  CHECK(TextOf(part, 0) == "[q]ab cd ef]");
  CHECK(TextOf(part, 1) == "[q]d ef gh ]");
  const std::vector<float> right = Logits(part, 0, 6, 10, 5), wrong = Logits(part, 1, 8, 9, 4),
                           silent = Logits(part, 2, 3, 3, 1);
  EvaluationStatistics statistics = Count(part, {right, wrong, silent});
  CHECK(ExactMatch(statistics) == 1);
  CHECK(F1(statistics) == 1);
  CHECK(statistics.results_size() == 0);
  CHECK(QuestionTask().MetricValue(METRIC_LOSS, statistics) == 1);
  statistics = Count(part, {Logits(part, 0, 6, 10, 3), wrong, silent});
  CHECK(ExactMatch(statistics) == 0);
  CHECK(F1(statistics) == 0);
  statistics = Count(part, {Logits(part, 0, 6, 7, 5), wrong, silent});  // "cd"
  CHECK(ExactMatch(statistics) == 0);
  CHECK(F1(statistics) == Approx(2.0 / 3));
}

TEST_CASE("A span ends where it begins or after, has at most 30 tokens, and is in the text") {
  const EncodedPart part = Encode(ExampleOf("q", std::string(40, 'x'), "x"), 64);
  std::vector<float> question = Logits(part, 0, 1, 1, 50);
  question[2 * 3] = question[2 * 3 + 1] = 1;
  CHECK(ExactMatch(Count(part, {question})) == 1);
  const EncodedPart words =
      Encode(ExampleOf("q", "ab" + std::string(40, 'x'), "ab" + std::string(28, 'x')), 64);
  CHECK(ExactMatch(Count(words, {Logits(words, 0, 3, 32, 5)})) == 1);
  CHECK(ExactMatch(Count(words, {Logits(words, 0, 3, 33, 5)})) == 0);
}

TEST_CASE("A span that would end before it begins is none") {
  const EncodedPart part = Encode(ExampleOf("q", "abcdefghij", "c"), 32);
  std::vector<float> logits = Logits(part, 0, 9, 4, 5);  // from g to b
  logits[2 * 5] = logits[2 * 5 + 1] = 3;
  CHECK(ExactMatch(Count(part, {logits})) == 1);
}

TEST_CASE("Only where questions may lack an answer, it is predicted that one does") {
  const auto count = [](bool may_lack, const std::string& answer, float none) {
    const EncodedPart part = Encode(ExampleOf("q", "ab cd", answer, may_lack), 16);
    std::vector<float> logits = Logits(part, 0, 3, 4, 5);
    logits[0] = logits[1] = none;
    return ExactMatch(Count(part, {logits}));
  };
  CHECK(count(true, "ab", 4) == 1);
  CHECK(count(true, "ab", 6) == 0);
  CHECK(count(false, "ab", 6) == 1);
  CHECK(count(true, "", 6) == 1);
  CHECK(count(true, "", 4) == 0);
}

TEST_CASE("A question about a text in Chinese may lack an answer, too") {
  const EncodedPart part = Encode(ExampleOf("q", "\u5317\u4eac", "", /*may_lack_answer=*/true), 16);
  std::vector<float> logits(2 * part.length(0));
  logits[0] = logits[1] = 5;
  CHECK(ExactMatch(Count(part, {logits})) == 1);
}

TEST_CASE("That a question has no answer is as likely as in the window that says so least") {
  const EncodedPart part = Encode(ExampleOf("q", "ab cd ef gh", "ab", /*may_lack_answer=*/true), 12);
  REQUIRE(part.size() == 2);
  std::vector<float> first = Logits(part, 0, 3, 4, 5), second = Logits(part, 1, 3, 3, 1);
  second[0] = second[1] = 50;
  CHECK(ExactMatch(Count(part, {first, second})) == 1);
  first[0] = first[1] = 6;
  CHECK(ExactMatch(Count(part, {first, second})) == 0);
}

TEST_CASE("Two questions are two, in any order of their windows") {
  EncodedPart part = Encode(ExampleOf("one", "ab cd", "ab"), 16);
  part.Append(Encode(ExampleOf("two", "ab cd", "cd"), 16));
  EvaluationStatistics statistics = Count(part, {Logits(part, 0, 5, 6, 5), Logits(part, 1, 5, 6, 9)});
  CHECK(ExactMatch(statistics) == 0.5);
  CHECK(statistics.sums(2) == 2);
}

TEST_CASE("Damaged notes count nothing") {
  EncodedPart part = Encode(ExampleOf("q", "ab cd", "ab"), 16);
  for (const std::string& note : {std::string("\xff"), std::string(), part.notes[0].substr(0, 5)}) {
    part.notes[0] = note;
    CHECK(std::isnan(F1(Count(part, {Logits(part, 0, 3, 4, 5)}))));
  }
}

TEST_CASE("A token without a place is not an end of an answer") {
  EncodedPart part = Encode(ExampleOf("q", "abcd", "bc"), 16);
  WindowNote note;
  REQUIRE(note.ParseFromString(part.notes[0]));
  note.set_token_begin(3, 0);
  note.set_token_end(3, 0);
  part.notes[0] = note.SerializeAsString();
  std::vector<float> logits(2 * part.length(0));
  logits[2 * 4] = 5;      // b
  logits[2 * 6 + 1] = 9;  // d, which has no place
  logits[2 * 5 + 1] = 4;  // c
  CHECK(ExactMatch(Count(part, {logits})) == 1);
  const ByteEncoder encoder;
  const Prediction prediction =
      QuestionTask().Predict({ExampleOf("q", "abcd", "bc"), part, {}, logits, encoder});
  CHECK(prediction.spans[0].label == "bc");
  for (const LabelledSpan& span : prediction.spans)
    CHECK((span.place.end > span.place.begin || span.place.end == 0));
}

TEST_CASE("Predictions are places in the text, each once, and that it has no answer") {
  const Example example = ExampleOf("q", "  ab cd ef gh ", "");
  EncodedPart part;
  const ByteEncoder encoder;
  QuestionTask().AppendTokens(example, encoder, 12, &part);
  REQUIRE(part.size() == 3);
  std::vector<float> logits;
  for (const auto& of : {Logits(part, 0, 4, 6, 5), Logits(part, 1, 3, 3, 1), Logits(part, 2, 3, 3, 1)})
    logits.insert(logits.end(), of.begin(), of.end());
  const Prediction prediction = QuestionTask().Predict({example, part, {}, logits, encoder});
  CHECK(prediction.in_pair);
  CHECK(prediction.alternatives == 1);
  REQUIRE(prediction.spans.size() > 2);
  CHECK(prediction.spans[0].label == "ab");
  CHECK(prediction.spans[0].place == TextSpan{2, 4});  // without the space before it
  std::vector<std::pair<uint32_t, uint32_t>> places;
  float sum = 0;
  for (const LabelledSpan& span : prediction.spans) {
    places.emplace_back(span.place.begin, span.place.end);
    sum += span.score;
    if (span.place.end == 0) CHECK(span.label == "(no answer)");
  }
  CHECK(sum == Approx(1).epsilon(1e-5));
  std::sort(places.begin(), places.end());
  CHECK(std::adjacent_find(places.begin(), places.end()) == places.end());
  CHECK(places.front() == std::pair<uint32_t, uint32_t>(0, 0));
}

}  // namespace
}  // namespace shoal::tasks
