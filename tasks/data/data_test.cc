#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "common/job/job_rules.h"
#include "common/job/job_spec.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tasks/data/delimited.h"
#include "tasks/data/format.h"
#include "tasks/data/reader.h"
#include "tasks/data/split.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;
using Records = std::vector<std::vector<std::string>>;

std::string Write(const TestDir& dir, const std::string& name, const std::string& text) {
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / name, text).ok());
  return dir / name;
}

JobSpec Spec(const std::vector<std::string>& files) {
  JobSpec spec;
  spec.set_name("test");
  for (const std::string& file : files) spec.mutable_data()->add_files(file);
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  CompleteJob(&spec);
  return spec;
}

absl::StatusOr<ExampleSet> Read(const JobSpec& spec) {
  return ReadExamples(PosixEnv(), spec.data().files(), spec.data(), TaskOf(spec));
}

std::string ErrorOf(const TestDir& dir, const std::string& name, const std::string& text) {
  const auto set = Read(Spec({Write(dir, name, text)}));
  REQUIRE_FALSE(set.ok());
  return std::string(set.status().message());
}

Records CsvRecords(absl::string_view text) {
  Records records;
  const absl::Status status =
      ForEachCsvRecord({"test.csv", text}, [&](absl::Span<const absl::string_view> fields, uint64_t) {
        records.emplace_back(fields.begin(), fields.end());
        return absl::OkStatus();
      });
  INFO(status);
  REQUIRE(status.ok());
  return records;
}

TEST_CASE("Numbers of JSON that are equal are one label") {
  const TestDir dir;
  const auto set =
      Read(Spec({Write(dir, "a.jsonl",
                       "{\"text\": \"t\", \"label\": 1}\n{\"text\": \"t\", \"label\": 1.0}\n"
                       "{\"text\": \"t\", \"label\": 10e-1}\n{\"text\": \"t\", \"label\": 1.5}\n"
                       "{\"text\": \"t\", \"label\": -0.0}\n{\"text\": \"t\", \"label\": 1e300}\n")}));
  REQUIRE(set.ok());
  std::vector<std::string> labels;
  for (const Example& example : set->examples) labels.push_back(example.labels[0]);
  CHECK(labels == std::vector<std::string>{"1", "1", "1", "1.5", "0", "1e+300"});
}

TEST_CASE("A line that is not JSON says what is wrong with it") {
  const TestDir dir;
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": \"t\", \"label\": NaN}\n"),
             Contains("NaN is not a number of JSON"));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": \"t\", \"label\": -Infinity}\n"), Contains("a.jsonl:1: "));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": \"\\ud800 x\", \"label\": \"a\"}\n"), Contains("surrogate"));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": \"t\"\n"),
             Contains("expected a JSON object on one line (column "));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "[1]\n"), !Contains("("));
}

TEST_CASE("A compressed file is called so") {
  for (const auto& [name, begin] :
       std::vector<std::pair<std::string, std::string>>{{"gzip", std::string("\x1f\x8b\x08\x00\xff", 5)},
                                                        {"zip", "PK\x03\x04\xff"},
                                                        {"zstd", "\x28\xb5\x2f\xfd"}}) {
    const TestDir dir;
    REQUIRE(PosixEnv()->WriteFileAtomic(dir / "dev.jsonl.gz", begin + "\n").ok());
    google::protobuf::RepeatedPtrField<std::string> files;
    *files.Add() = dir / "dev.jsonl.gz";
    DataSpec data;
    data.set_format(DATA_FORMAT_JSONL);
    const auto set = ReadExamples(PosixEnv(), files, data, *FindTask(TASK_TEXT_CLASSIFICATION));
    CHECK_THAT(std::string(set.status().message()),
               Catch::Contains("dev.jsonl.gz is compressed with " + name + ": unpack it first"));
  }
}

TEST_CASE("CSV is read as RFC 4180 defines it") {
  CHECK(CsvRecords("a,b\r\n1,2\r\n") == Records{{"a", "b"}, {"1", "2"}});
  CHECK(CsvRecords("\"a,b\",\"say \"\"hi\"\"\"\n") == Records{{"a,b", "say \"hi\""}});
  CHECK(CsvRecords("\"two\nlines\",x") == Records{{"two\nlines", "x"}});
  CHECK(CsvRecords(",,\n") == Records{{"", "", ""}});
}

TEST_CASE("A CSV quote that is not closed is an error with its line") {
  const absl::Status status =
      ForEachCsvRecord({"test.csv", "a,b\n\"open,2\n"},
                       [](absl::Span<const absl::string_view>, uint64_t) { return absl::OkStatus(); });
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), Contains("test.csv:2"));
}

// A format that does not exist yet: a word and its label per line, and empty lines between sentences.
absl::Status ReadSentences(const TextFile& file, const DataSpec&, const LabelReader&, const AddRecord& add) {
  Record sentence;
  uint64_t first = 0;
  const auto finish = [&] {
    return sentence.texts.empty() ? absl::OkStatus() : add(std::exchange(sentence, {}), first);
  };
  const auto visit = [&](absl::string_view line, uint64_t number) {
    if (line.empty()) return finish();
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() != 2) return add(absl::InvalidArgumentError("expected a word and its label"), number);
    if (sentence.texts.empty()) first = number;
    sentence.texts.push_back(fields[0]);
    sentence.labels.push_back(fields[1]);
    return absl::OkStatus();
  };
  SHOAL_RETURN_IF_ERROR(ForEachLine(file, visit));
  return finish();
}

TEST_CASE("A format whose records span lines needs nothing but its reader") {
  std::vector<std::string> records;
  const auto add = [&](absl::StatusOr<Record> record, uint64_t line) {
    if (!record.ok()) return AtLine(record.status(), {"words", ""}, line);
    records.push_back(absl::StrCat(line, ": ", absl::StrJoin(record->texts, " "), " | ",
                                   absl::StrJoin(record->labels, " ")));
    return absl::OkStatus();
  };
  const ReadRecords read = ReadSentences;
  const Task& task = *FindTask(TASK_MULTILABEL_CLASSIFICATION);
  CHECK(read({"words", "an O\r\nox O\r\n\n\r\nAda PER"}, {}, task, add).ok());
  CHECK(records == std::vector<std::string>{"1: an ox | O O", "5: Ada | PER"});
  const absl::Status wrong = read({"words", "an O\nox"}, {}, task, add);
  CHECK(wrong.message() == "words:2: expected a word and its label");
}

TEST_CASE("Every format of job files is listed once, with columns where a job names them") {
  const auto* formats = DataFormat_descriptor();
  CHECK(Formats().size() == formats->value_count());
  for (int i = 0; i < formats->value_count(); ++i) {
    INFO(formats->value(i)->name());
    DataSpec data;
    data.set_format(static_cast<DataFormat>(formats->value(i)->number()));
    const FormatInfo& info = FormatOf(data.format());
    CHECK(info.format == data.format());
    const auto applies = [&](const char* field) {
      return Applies(data, DataSpec::descriptor()->FindFieldByName(field));
    };
    for (const char* field : {"text", "label"})
      CHECK(applies(field) == (info.records == RecordKind::kColumns));
    // A sentence has no value of its own in these files.
    CHECK(applies("group") == (applies("text") && data.format() != DATA_FORMAT_CONLL));
  }
}

TEST_CASE("CoNLL and JSONL give the same words, with their places and labels") {
  const TestDir dir;
  const auto read = [](const std::string& file) {
    JobSpec spec;
    spec.set_task(TASK_TOKEN_CLASSIFICATION);
    spec.mutable_data()->add_files(file);
    if (file.back() == 'l' && file[file.size() - 2] == 'n') {
      spec.mutable_data()->add_text("words");
      spec.mutable_data()->set_label("tags");
    }
    CompleteJob(&spec);
    return Read(spec);
  };
  for (const std::string& file :
       {Write(dir, "a.conll", "Zo\xC3\xAB B-PER\nruns O\n\nRain O\n"),
        Write(dir, "a.jsonl",
              "{\"words\": [\"Zo\xC3\xAB\", \"runs\"], \"tags\": [\"B-PER\", \"O\"]}\n"
              "{\"words\": \"Rain\", \"tags\": \"O\"}\n"),
        Write(dir, "b.jsonl",
              "{\"words\": \"Zo\xC3\xAB  runs\", \"tags\": \"B-PER O\"}\n"
              "{\"words\": [\"Rain\"], \"tags\": \"O\"}\n")}) {
    INFO(file);
    const auto set = read(file);
    INFO(set.status());
    REQUIRE(set.ok());
    REQUIRE(set->examples.size() == 2);
    CHECK(set->examples[0].text == "Zo\xC3\xAB runs");
    CHECK(set->examples[0].words == std::vector<TextSpan>{{0, 3}, {4, 8}});
    CHECK(set->examples[0].labels == std::vector<std::string>{"B-PER", "O"});
    CHECK(set->examples[1].text == "Rain");
  }
  const auto error = [&](const std::string& line) {
    return std::string(read(Write(dir, "c.jsonl", line)).status().message());
  };
  CHECK_THAT(error("{\"words\": [\"a\", \"\"], \"tags\": \"O O\"}\n"),
             Contains("c.jsonl:1: word 2 (data.text) is empty"));
  CHECK_THAT(error("{\"words\": \"a b\", \"tags\": \"O\"}\n"), Contains("2 words (data.text), but 1 labels"));
  CHECK_THAT(error("{\"words\": [], \"tags\": []}\n"), Contains("there are no words"));
}

TEST_CASE("TSV, CSV and JSONL give the same examples, with their lines") {
  const TestDir dir;
  for (const std::string& file : {Write(dir, "a.tsv", "\xef\xbb\xbflabel\ttext\nx\tone two\n\ny\tthree\r\n"),
                                  Write(dir, "a.csv", "text,label\n\"one two\",x\n\nthree,y\n"),
                                  Write(dir, "a.jsonl",
                                        "\n{\"text\": \"one two\", \"label\": \"x\"}\n\n{\"label\": \"y\", "
                                        "\"text\": \"three\", \"more\": 1}\n")}) {
    const auto set = Read(Spec({file}));
    INFO(set.status());
    REQUIRE(set.ok());
    REQUIRE(set->examples.size() == 2);
    CHECK(set->examples[0].text == "one two");
    CHECK(set->examples[0].labels == std::vector<std::string>{"x"});
    CHECK(set->examples[1].text == "three");
    CHECK(set->Origin(set->examples[1]) == absl::StrCat(file, ":4"));
  }
}

TEST_CASE("Pairs of texts have a second text of its own columns, and are split by both") {
  const TestDir dir;
  for (const std::string& file :
       {Write(dir, "a.tsv", "label\ttext\tmore\tthen\nx\tone\ttwo\tthree\n"),
        Write(dir, "a.jsonl",
              "{\"text\": \"one\", \"more\": \"two\", \"then\": \"three\", \"label\": \"x\"}\n")}) {
    JobSpec spec = Spec({file});
    CHECK_FALSE(Read(spec)->examples[0].pair.has_value());
    for (const char* column : {"more", "then"}) spec.mutable_data()->add_pair(column);
    const auto set = Read(spec);
    REQUIRE(set.ok());
    CHECK(set->examples[0].text == "one");
    CHECK(set->examples[0].pair == "two three");
    spec.mutable_data()->set_pair(0, "mre");
    CHECK_THAT(std::string(Read(spec).status().message()),
               Contains("there is no column 'mre' (data.pair)") && Contains("did you mean 'more'?"));
  }
  std::string text = "text\tmore\tlabel\n";
  for (int i = 0; i < 600; ++i) absl::StrAppend(&text, "the question\tanswer ", i, "\tx\n");
  JobSpec spec = Spec({Write(dir, "b.tsv", text)});
  spec.mutable_data()->add_pair("more");
  const auto parts = ReadParts(PosixEnv(), spec, TaskOf(spec));
  REQUIRE(parts.ok());
  CHECK(parts->part[0].examples.size() == Approx(540).margin(30));
}

TEST_CASE("Wrong data is an error with file, line, and what was expected") {
  const TestDir dir;
  CHECK_THAT(ErrorOf(dir, "a.tsv", "lable\ttext\nx\ty\n"),
             Contains("there is no column 'label'") && Contains("did you mean 'lable'"));
  CHECK_THAT(ErrorOf(dir, "a.tsv", "label\ttext\nx\ty\nx\n"),
             Contains("a.tsv:3") && Contains("expected 2 fields"));
  CHECK_THAT(ErrorOf(dir, "a.tsv", "label\ttext\n"), Contains("a.tsv"));
  CHECK_THAT(ErrorOf(dir, "a.tsv", "label\ttext\tlabel\nx\ty\tz\n"), Contains("twice"));
  CHECK_THAT(ErrorOf(dir, "a.tsv", "label\ttext\nx\t\xff\xfe\n"), Contains("UTF-8"));
  CHECK_THAT(ErrorOf(dir, "a.tsv", "label\ttext\n\ttext\n"), Contains("a.tsv:2"));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": \"a\", \"label\": \"b\"}\n[1]\n"),
             Contains("a.jsonl:2") && Contains("JSON object"));
  CHECK_THAT(ErrorOf(dir, "a.jsonl", "{\"text\": {}, \"label\": \"b\"}\n"), Contains("expected a string"));
  CHECK(Read(Spec({dir / "none.tsv"})).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("An error quotes no more of a file than a reader wants to see") {
  const TestDir dir;
  const std::string megabytes(5'000'000, 'x');
  CHECK(ErrorOf(dir, "a.csv", megabytes).size() < 1000);
  std::string columns;
  for (int i = 0; i < 10'000; ++i) absl::StrAppend(&columns, "column-", i, ",");
  const std::string many = ErrorOf(dir, "a.csv", columns + "z\n");
  CHECK(many.size() < 1000);
  CHECK_THAT(many, Contains("'column-19' and 9981 more"));
}

TEST_CASE(
    "A part of a split is a function of seed and key: groups stay together, fractions are about right") {
  const TestDir dir;
  std::string text = "group\tlabel\ttext\n";
  for (int i = 0; i < 6000; ++i)
    absl::StrAppend(&text, "g", i / 3, "\t", i % 2 == 0 ? "a" : "b", "\ttext ", i, "\n");
  JobSpec spec = Spec({Write(dir, "a.tsv", text)});
  spec.mutable_data()->set_group("group");
  const auto parts = ReadParts(PosixEnv(), spec, TaskOf(spec));
  REQUIRE(parts.ok());
  std::set<std::string> groups[kNumParts];
  size_t examples = 0;
  for (int part = 0; part < kNumParts; ++part) {
    examples += parts->part[part].examples.size();
    for (const Example& example : parts->part[part].examples) groups[part].insert(example.group);
  }
  CHECK(examples == 6000);
  CHECK(groups[0].size() + groups[1].size() + groups[2].size() == 2000);  // none is in two parts
  CHECK(groups[0].size() == Approx(1800).margin(60));
  CHECK(groups[1].size() == Approx(100).margin(40));
  CHECK(PartOf("g7", 1, spec.data().split()) == PartOf("g7", 1, spec.data().split()));
}

// tools/bench/sections_baseline, which splits the same way in Python, checks itself against the same file.
TEST_CASE("Keys are in the parts that tasks/data/split_cases.tsv says") {
  JobSpec spec = Spec({"a.tsv"});
  const auto cases = PosixEnv()->ReadFile("tasks/data/split_cases.tsv");
  REQUIRE(cases.ok());
  const std::vector<std::string> lines = absl::StrSplit(*cases, '\n', absl::SkipEmpty());
  REQUIRE(lines.size() > 30);
  CHECK(lines[0] == "seed\tkey\tpart");
  for (size_t i = 1; i < lines.size(); ++i) {
    INFO(lines[i]);
    const std::vector<std::string> fields = absl::StrSplit(lines[i], '\t');
    REQUIRE(fields.size() == 3);
    uint64_t seed = 0;
    REQUIRE(absl::SimpleAtoi(fields[0], &seed));
    CHECK(NameOf(PartOf(fields[1], seed, spec.data().split())) == fields[2]);
  }
}

TEST_CASE("Plain text is cut into consecutive parts, between characters") {
  const TestDir dir;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\xc3\xa4";  // two bytes each
  JobSpec spec;
  spec.set_task(TASK_CAUSAL_LANGUAGE_MODELLING);
  for (const char* name : {"a.txt", "b.txt"}) spec.mutable_data()->add_files(Write(dir, name, text));
  spec.mutable_data()->mutable_split()->set_train(0.703);
  spec.mutable_data()->mutable_split()->set_validation(0.2);
  spec.mutable_data()->mutable_split()->set_test(0.097);
  CompleteJob(&spec);
  const auto parts = ReadParts(PosixEnv(), spec, TaskOf(spec));
  INFO(parts.status());
  REQUIRE(parts.ok());
  for (size_t file = 0; file < 2; ++file) {
    std::string whole;
    for (const ExampleSet& part : parts->part) {
      REQUIRE(part.examples.size() == 2);
      CHECK(part.examples[file].file == file);
      whole += part.examples[file].text;
    }
    CHECK(whole == text);
    CHECK(parts->part[0].examples[file].text.size() == 142);  // 140.6, rounded, then to a whole character
    CHECK(parts->part[1].examples[file].text.size() == 40);
  }
}

TEST_CASE("Labels that are rarer than min_class_count are left out with their examples") {
  const TestDir dir;
  std::string text = "label\ttext\n";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&text, i % 2 == 0 ? "a" : "b", "\ttext ", i, "\n");
  text += "rare\tsomething\n";
  JobSpec spec = Spec({Write(dir, "a.tsv", text)});
  spec.mutable_data()->set_min_class_count(2);
  const auto parts = ReadParts(PosixEnv(), spec, TaskOf(spec));
  REQUIRE(parts.ok());
  CHECK(parts->part[0].examples.size() + parts->part[1].examples.size() + parts->part[2].examples.size() ==
        100);
  CHECK(parts->rare_examples == 1);
}

TEST_CASE("Of data to replay a fraction is added to the training examples, the same in any order") {
  const TestDir dir;
  std::string old = "label\ttext\n", reversed = "label\ttext\n";
  for (int i = 0; i < 200; ++i) {
    absl::StrAppend(&old, "a\told text ", i, "\n");
    absl::StrAppend(&reversed, "a\told text ", 199 - i, "\n");
  }
  JobSpec spec = Spec({});
  spec.mutable_data()->clear_split();
  spec.mutable_data()->add_train_files(Write(dir, "new.tsv", "label\ttext\nb\tone\nc\ttwo\n"));
  spec.mutable_data()->mutable_replay()->add_files(Write(dir, "old.tsv", old));
  spec.mutable_data()->mutable_replay()->set_fraction(0.25);
  const auto texts = [&] {
    const auto parts = ReadParts(PosixEnv(), spec, TaskOf(spec));
    REQUIRE(parts.ok());
    const ExampleSet& training = (*parts)[Part::kTrain];
    CHECK(training.examples[1].text == "two");
    CHECK(training.files[training.examples.back().file] == spec.data().replay().files(0));
    std::set<std::string> chosen;
    for (size_t i = 2; i < training.examples.size(); ++i) chosen.insert(training.examples[i].text);
    return chosen;
  };
  const std::set<std::string> chosen = texts();
  CHECK(chosen.size() > 30);
  CHECK(chosen.size() < 70);
  spec.mutable_data()->mutable_replay()->set_files(0, Write(dir, "reversed.tsv", reversed));
  CHECK(texts() == chosen);
}

TEST_CASE("Examples with an ignored label are left out, and words lose only the label") {
  const TestDir dir;
  JobSpec spec = Spec({Write(dir, "a.tsv", "label\ttext\na\tone\nunsure\ttwo\nb\tthree\n")});
  spec.mutable_data()->add_ignored_labels("unsure");
  const auto read = ReadExamples(PosixEnv(), spec.data().files(), spec.data(), TaskOf(spec));
  REQUIRE(read.ok());
  REQUIRE(read->examples.size() == 2);
  CHECK(read->examples[1].text == "three");
  CHECK(read->examples[1].line == 4);
  spec.set_task(TASK_TOKEN_CLASSIFICATION);
  spec.mutable_data()->clear_files();
  spec.mutable_data()->add_files(Write(dir, "a.conll", "one a\ntwo unsure\n\nthree b\n"));
  spec.mutable_data()->set_format(DATA_FORMAT_CONLL);
  spec.mutable_data()->clear_text();
  spec.mutable_data()->add_text("1");
  spec.mutable_data()->set_label("-1");
  const auto words = ReadExamples(PosixEnv(), spec.data().files(), spec.data(), TaskOf(spec));
  REQUIRE(words.ok());
  CHECK(words->examples[0].text == "one two");
  CHECK(words->examples[0].labels == std::vector<std::string>{"a", ""});
  CHECK(*TaskOf(spec).LabelsOf(spec.data(), *words) == std::vector<std::string>{"a", "b"});
}

}  // namespace
}  // namespace shoal::tasks
