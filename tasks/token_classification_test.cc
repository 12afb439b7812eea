// Token classification from words to spans: encoding, gathering, counting and predicting.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/words.h"
#include "tasks/encode.h"
#include "tasks/evaluation.h"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

const Task& TokenTask() { return *FindTask(TASK_TOKEN_CLASSIFICATION); }

// An example of words that spaces separate, with their labels.
Example ExampleOf(absl::string_view text, const Words& labels) {
  Example example;
  uint32_t begin = 0;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    const auto end = begin + static_cast<uint32_t>(word.size());
    example.words.push_back({begin, end});
    begin = end + 1;
  }
  example.text = std::string(text);
  REQUIRE(TokenTask().ReadLabels(labels, &example).ok());
  return example;
}

ExampleSet SetOf(std::vector<Example> examples) {
  ExampleSet set;
  set.files = {"words"};
  set.examples = std::move(examples);
  return set;
}

const Words kLabels = {"B-LOC", "B-PER", "I-LOC", "I-PER", "O"};

TEST_CASE("Each word's label is at its first token, and all else has none") {
  const ExampleSet set = SetOf({ExampleOf("an ox", {"O", "B-LOC"}), ExampleOf("Ada", {"B-PER"})});
  const auto tokenizer = model::MakeByteTokenizer();
  const auto part = EncodeExamples(set, *tokenizer, 10, TokenTask(), kLabels);
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'n', 'o', 'x', 256, 'A', 'd', 'a', 256});
  CHECK(part->classes == std::vector<int32_t>{4, -1, 0, -1, -1, 1, -1, -1, -1});
  CHECK(HasTargets(*part, TargetKind::kTokenClasses, kLabels.size()));

  BatchBuffer buffer(TokenTask().target_kind(), kLabels.size());
  const model::Batch batch = buffer.Gather(*part, {1, 0});
  CHECK(std::vector<int32_t>(batch.classes.begin(), batch.classes.end()) ==
        std::vector<int32_t>{1, -1, -1, -1, 4, -1, 0, -1, -1});
  CHECK(LogitRows(TokenTask().target_kind(), batch) == 3);
}

TEST_CASE("All tokens of a word learn its label if they are to") {
  ExampleSet set = SetOf({ExampleOf("an ox ab", {"O", "B-LOC", "I-LOC"})});
  set.examples[0].labels[2] = "";  // ignored
  set.examples[0].labels_every_token = true;
  const auto part = EncodeExamples(set, *model::MakeByteTokenizer(), 10, TokenTask(), kLabels);
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'n', 'o', 'x', 'a', 'b', 256});
  CHECK(part->classes == std::vector<int32_t>{4, 4, 0, 0, -1, -1, -1});
}

TEST_CASE("A text that is too long becomes several examples, cut between words, and loses none of them") {
  const ExampleSet set =
      SetOf({ExampleOf("abc de fgh i jklmnopq r", {"O", "B-LOC", "O", "B-PER", "I-PER", "O"})});
  const auto part = EncodeExamples(set, *model::MakeByteTokenizer(), 6, TokenTask(), kLabels);
  REQUIRE(part.ok());
  // Of "jklmnopq" only what fits.
  std::string text;
  for (int32_t token : part->tokens) text += token == 256 ? '|' : static_cast<char>(token);
  CHECK(text == "abcde|fghi|jklmn|r|");
  std::vector<int32_t> labels;
  std::copy_if(part->classes.begin(), part->classes.end(), std::back_inserter(labels),
               [](int32_t label) { return label >= 0; });
  CHECK(labels == std::vector<int32_t>{4, 0, 4, 1, 3, 4});
}

TEST_CASE("What is wrong with words and labels is told") {
  Example example = ExampleOf("an ox", {"O", "O"});
  CHECK_THAT(std::string(TokenTask().ReadLabels({"O"}, &example).message()),
             Contains("2 words (data.text), but 1 labels (data.label)"));
  CHECK_THAT(std::string(TokenTask().ReadLabels({"O", ""}, &example).message()), Contains("is empty"));
  const auto wrong = EncodeExamples(SetOf({ExampleOf("Oslo", {"B-ORG"})}), *model::MakeByteTokenizer(), 10,
                                    TokenTask(), kLabels);
  CHECK_THAT(std::string(wrong.status().message()), Contains("words:0: the label 'B-ORG'"));
}

TEST_CASE("A model has all tags of the types of entities, and O; other labels as they are") {
  const auto labels_of = [](const Words& labels) {
    const ExampleSet set =
        SetOf({ExampleOf(std::string(2 * labels.size() - 1, ' '), Words(2 * labels.size(), "O"))});
    ExampleSet training = set;
    training.examples[0].labels = labels;
    return TokenTask().LabelsOf({}, training);
  };
  CHECK(*labels_of({"O", "B-PER"}) == Words{"B-PER", "I-PER", "O"});
  CHECK(*labels_of({"O", "I-PER"}) == Words{"I-PER", "O"});
  CHECK(*labels_of({"O", "S-PER", "B-LOC", "E-LOC"}) ==
        Words{"B-LOC", "B-PER", "E-LOC", "E-PER", "I-LOC", "I-PER", "O", "S-LOC", "S-PER"});
  CHECK(*labels_of({"NOUN", "VERB"}) == Words{"NOUN", "VERB"});
  CHECK_THAT(std::string(labels_of({"B-PER", "noun"}).status().message()), Contains("data.label"));
}

// Counts predictions for the words of one sentence.
EvaluationStatistics Counted(const Words& labels, const std::vector<int32_t>& truth,
                             const std::vector<int32_t>& predicted) {
  std::vector<float> logits(predicted.size() * labels.size());
  for (size_t word = 0; word < predicted.size(); ++word) logits[word * labels.size() + predicted[word]] = 1;
  const std::vector<int32_t> offsets = {0, static_cast<int32_t>(truth.size())};
  model::Batch batch;
  batch.offsets = offsets;
  batch.classes = truth;
  EvaluationStatistics statistics;
  CountBatch(TokenTask(), labels, batch, {}, logits, {6, static_cast<int64_t>(truth.size()), 0}, &statistics);
  return statistics;
}

TEST_CASE("Entities are counted as a whole, words one by one") {
  // Ada Lovelace (PER) saw New York (LOC): the person is found, of the place only the first word.
  const EvaluationStatistics statistics = Counted(kLabels, {1, 3, 4, 0, 2}, {1, 3, 4, 0, 4});
  const Task& task = TokenTask();
  CHECK(task.MetricValue(METRIC_MICRO_F1, statistics) == Approx(0.5));
  CHECK(task.MetricValue(METRIC_MACRO_F1, statistics) == Approx(0.5));
  CHECK(task.MetricValue(METRIC_ACCURACY, statistics) == Approx(0.8));
  CHECK(task.MetricValue(METRIC_LOSS, statistics) == Approx(1.2));
  EvaluationStatistics twice = statistics;
  AddStatistics(statistics, &twice);
  const auto [reports, averages] = task.ReportLabels(kLabels, twice);
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].label == "LOC");
  CHECK(reports[0].recall == 0);
  CHECK(reports[0].support == 2);
  CHECK(reports[1].label == "PER");
  CHECK(reports[1].f1 == 1);
  REQUIRE(averages.size() == 3);
  CHECK(averages[0].label == "micro average");
  CHECK(averages[0].precision == Approx(0.5));
  CHECK(averages[2].support == 4);
}

TEST_CASE("Labels that are not tags are counted word by word") {
  const Words labels = {"NOUN", "VERB"};
  const EvaluationStatistics statistics = Counted(labels, {0, 1, 0, 0}, {0, 1, 1, 0});
  CHECK(TokenTask().MetricValue(METRIC_MICRO_F1, statistics) == Approx(0.75));
  CHECK(TokenTask().ReportLabels(labels, statistics).labels[1].precision == Approx(0.5));
}

TEST_CASE("Without words no metric has a value") {
  for (Metric metric : {METRIC_MICRO_F1, METRIC_MACRO_F1, METRIC_ACCURACY, METRIC_LOSS})
    CHECK(std::isnan(TokenTask().MetricValue(metric, {})));
  CHECK(TokenTask().ReportLabels(kLabels, {}).labels.empty());
}

TEST_CASE("What is predicted of words is told with its place in the text, whatever the examples") {
  const auto tokenizer = model::MakeByteTokenizer();
  const TokenizerEncoder encoder(*tokenizer);
  const Example example = TokenTask().ExampleOf("(Ada Lovelace saw Oslo.)", encoder);
  EncodedPart part;
  TokenTask().AppendTokens(example, encoder, 8, &part);
  CHECK(part.size() == 4);
  REQUIRE(part.words.size() == 7);  // with the parentheses and the full stop
  const std::vector<int32_t> predicted = {4, 1, 3, 4, 0, 4, 4};
  std::vector<float> logits(predicted.size() * kLabels.size());
  for (size_t word = 0; word < predicted.size(); ++word) logits[word * kLabels.size() + predicted[word]] = 10;
  const auto spans = TokenTask().Predict({example, part, kLabels, logits, encoder}).spans;
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].label == "PER");
  CHECK(spans[0].place == TextSpan{1, 13});
  CHECK(spans[0].score > 0.99f);
  CHECK(spans[1].label == "LOC");
  CHECK(spans[1].place == TextSpan{18, 22});
}

// Gives a token to each character, and one to the white space before the last word and after it, as
// byte-level vocabularies do.
class CharacterEncoder final : public TextEncoder {
 public:
  std::vector<uint32_t> Encode(absl::string_view, size_t) const override { return {}; }
  Encoding EncodePair(absl::string_view, absl::string_view, size_t) const override { return {}; }
  Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan>) const override {
    Encoding encoding;
    encoding.Append(1, 0, {}, TokenSource::kTemplate);
    for (uint32_t i = 0; i < text.size(); ++i) {
      const TextSpan place = text[i] == ' ' ? TextSpan{i + 1, i + 1} : TextSpan{i, i + 1};
      encoding.Append(static_cast<unsigned char>(text[i]), 0, place, TokenSource::kFirst);
    }
    encoding.Append(2, 0, {}, TokenSource::kTemplate);
    return encoding;
  }
  std::string Decode(absl::Span<const uint32_t>) const override { return ""; }
  std::optional<uint32_t> mask_token() const override { return std::nullopt; }
  std::vector<TextSpan> SplitWords(absl::string_view text) const override { return model::SplitWords(text); }
};

TEST_CASE("Tokens of white space belong to no word, and what ends a text is kept after them") {
  const CharacterEncoder encoder;
  EncodedPart part;
  TokenTask().AppendTokens(TokenTask().ExampleOf("an  ox ", encoder), encoder, 100, &part);
  CHECK(part.tokens == std::vector<int32_t>{1, 'a', 'n', 'o', 'x', 2});
  CHECK(part.classes == std::vector<int32_t>{-1, 0, -1, 0, -1, -1});
}

}  // namespace
}  // namespace shoal::tasks
