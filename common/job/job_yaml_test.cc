#include "common/job/job_yaml.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "catch2/catch.hpp"
#include "common/base/utf8.h"
#include "common/job/job_print.h"

namespace shoal {
namespace {

constexpr char kJob[] = R"(name: sections
task: text-classification
data:
  files: [sections.tsv]
  text: [name, text]
  label: section
train:
  epochs: 3
  slots: 4
optimizer:
  learning_rate: 1e-3
)";

absl::StatusOr<JobSpec> Parse(const std::string& yaml, const JobOverrides& overrides = {}) {
  return ParseJob({yaml, "job.yaml", ""}, overrides);
}

std::string ErrorOf(const std::string& yaml, const JobOverrides& overrides = {}) {
  const absl::StatusOr<JobSpec> job = Parse(yaml, overrides);
  if (job.ok()) return "";
  CHECK(job.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(job.status().message());
}

// The error when, in the job above, `line` is replaced by `other`.
std::string ErrorWith(const std::string& line, const std::string& other) {
  return ErrorOf(absl::StrReplaceAll(kJob, {{line, other}}));
}

TEST_CASE("A job file is read with its values and the defaults of the rest") {
  const absl::StatusOr<JobSpec> job = Parse(kJob);
  REQUIRE(job.ok());
  CHECK(job->name() == "sections");
  CHECK(job->data().text_size() == 2);
  CHECK(job->train().epochs() == 3);
  CHECK(job->train().slots() == 4);
  CHECK(job->optimizer().learning_rate() == 1e-3);
  CHECK(job->train().slot_batch() == 16);
}

TEST_CASE("Intervals carry their unit") {
  const std::string more =
      "log_every: 10 rounds\nevaluation: {every: 0.5 epochs}\ncheckpoint: {every: never}\n";
  const absl::StatusOr<JobSpec> job = Parse(kJob + more);
  REQUIRE(job.ok());
  CHECK(job->log_every().rounds() == 10);
  CHECK(job->evaluation().every().epochs() == 0.5);
  CHECK(job->checkpoint().every().never());
}

TEST_CASE("A list of one may be written without brackets") {
  CHECK(Parse(absl::StrReplaceAll(kJob, {{"[sections.tsv]", "sections.tsv"}}))->data().files(0) ==
        "sections.tsv");
}

TEST_CASE("YAML's aliases are resolved") {
  const absl::StatusOr<JobSpec> job =
      Parse(absl::StrReplaceAll(kJob, {{"slots: 4", "slots: &n 4\n  slot_batch: *n"}}));
  REQUIRE(job.ok());
  CHECK(job->train().slot_batch() == 4);
}

TEST_CASE("Paths are relative to the job file's folder") {
  const absl::StatusOr<JobSpec> job =
      ParseJob({std::string(kJob) + "tokenizer: {path: /spm/a.model}\n", "job.yaml", "/jobs/x"}, {});
  REQUIRE(job.ok());
  CHECK(job->data().files(0) == "/jobs/x/sections.tsv");
  CHECK(job->tokenizer().path() == "/spm/a.model");
}

struct Mistake {
  std::string line;      // of the job above
  std::string other;     // replaces it
  std::string expected;  // the whole message
};

TEST_CASE("Each mistake in a job file is reported with its line, its field and what was expected") {
  const Mistake mistakes[] = {
      {"  slots: 4", "  slotz: 4", "job.yaml:9: train.slotz: unknown field; did you mean 'slots'?"},
      {"  slots: 4", "  learning_rate: 4",
       "job.yaml:9: train.learning_rate: unknown field; did you mean 'optimizer.learning_rate'?"},
      {"  epochs: 3", "  epoch: 3", "job.yaml:8: train.epoch: unknown field; did you mean 'epochs'?"},
      {"name: sections", "nmae: sections", "job.yaml:1: nmae: unknown field; did you mean 'name'?"},
      {"  slots: 4", "  slots: 4\n  slots: 5", "job.yaml:10: train.slots: is given twice, first on line 9"},
      {"  slots: 4", "  rounds: 4",
       "job.yaml:9: train.rounds: can't be combined with 'epochs': use one of them"},
      {"  slots: 4", "  slots: four",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got 'four'"},
      {"  slots: 4", "  slots: \"4\"",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got the string '4'"},
      {"  slots: 4", "  slots: -4",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got '-4'"},
      {"  slots: 4", "  slots: 4.5",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got '4.5'"},
      {"  slots: 4", "  slots: 99999999999999999999",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got '99999999999999999999'"},
      {"  slots: 4", "  slots: 0", "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got 0"},
      {"  slots: 4",
       "  slots:", "job.yaml:9: train.slots: has no value; to get the default, leave the field out"},
      {"  slots: 4", "  slots: [4]",
       "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got a list"},
      {"  slots: 4", "  slots: !!int 4",
       "job.yaml:9: train.slots: has the YAML tag tag:yaml.org,2002:int; expected a value without a tag"},
      {"  slots: 4", "  wire: f31",
       "job.yaml:9: train.wire: expected one of f32, bf16, f16, got 'f31'; did you mean 'f32'?"},
      {"  slots: 4", "  mode: async",
       "job.yaml:9: train.mode: mode async is not supported in this version; use sync"},
      {"  learning_rate: 1e-3", "  learning_rate: fast",
       "job.yaml:11: optimizer.learning_rate: expected a number above 0 and at most 1000, got 'fast'"},
      {"  learning_rate: 1e-3", "  learning_rate: .inf",
       "job.yaml:11: optimizer.learning_rate: expected a number above 0 and at most 1000, got '.inf'"},
      {"  learning_rate: 1e-3", "  learning_rate: 1e999",
       "job.yaml:11: optimizer.learning_rate: expected a number above 0 and at most 1000, got '1e999'"},
      {"  learning_rate: 1e-3", "  learning_rate: 1e-3\n  type: sgd\n  nesterov: yes",
       "job.yaml:13: optimizer.nesterov: expected true or false, got 'yes'"},
      {"  learning_rate: 1e-3", "  learning_rate: 1e-3\n  momentum: 0.9",
       "job.yaml:12: optimizer.momentum: has no effect with type adamw; only with type sgd"},
      {"  learning_rate: 1e-3", "  type: adamw",
       "job.yaml:10: optimizer.learning_rate: is missing; expected a number above 0 and at most 1000, for "
       "example 1e-3"},
      {"  label: section\n", "",
       "job.yaml:3: data.label: is missing; expected a string, for example section"},
      {"  label: section", "  label: section\n  split: {train: 0.9, validation: 0.2}",
       "job.yaml:7: data.split: train, validation and test sum to 1.15; expected at most 1"},
      {"  files: [sections.tsv]", "  files: [sections.tsv, {a: b}]",
       "job.yaml:4: data.files[1]: expected a list of strings, got a mapping"},
      {"  files: [sections.tsv]", "  files:\n    - sections.tsv\n    - more.jsonl",
       "job.yaml:6: data.files[1]: by their extensions 'more.jsonl' is jsonl and 'sections.tsv' is tsv; all "
       "files of a job have one format: set data.format"},
      {"data:\n", "data: all\nignored:\n",
       "job.yaml:3: data: expected fields, one 'name: value' per line, got 'all'"},
      {"name: sections", "name: sections\nlog_every: 50",
       "job.yaml:2: log_every: expected a number with a unit, such as '200 rounds' or '0.5 epochs', or "
       "'never'; got '50'"},
      {"name: sections", "name: sections\nlog_every: 2 epocs",
       "job.yaml:2: log_every: unknown unit in '2 epocs'; expected rounds or epochs; did you mean 'epochs'?"},
      {"name: sections", "name: sections\nlog_every: 0.5 rounds",
       "job.yaml:2: log_every: expected a whole number of rounds, got '0.5 rounds'"},
      {"name: sections", "name: sections\n? [a, b]\n: c",
       "job.yaml:2: expected the name of a field, got a list"},
      {"name: sections", "name: sections\n<<: {seed: 3}", "job.yaml:2: <<: unknown field; expected one of "},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string error = ErrorWith(mistake.line, mistake.other);
    const std::string first = error.substr(0, error.find('\n'));
    INFO(error);
    CHECK(absl::StartsWith(first, mistake.expected));
  }
}

TEST_CASE("A misspelt required field is one problem, not two") {
  CHECK(ErrorWith("  epochs: 3", "  epoch: 3") ==
        "job.yaml:8: train.epoch: unknown field; did you mean 'epochs'?");
  CHECK(ErrorWith("  learning_rate: 1e-3", "  learning_rate: fast") ==
        "job.yaml:11: optimizer.learning_rate: expected a number above 0 and at most 1000, got 'fast'");
  CHECK(ErrorWith("  files: [sections.tsv]", "  files: [sections.dat]\n  fromat: tsv") ==
        "job.yaml:5: data.fromat: unknown field; did you mean 'format'?");
  CHECK(ErrorWith("  files: [sections.tsv]", "  files: [a.tsv, b.csv]\n  format: tvs") ==
        "job.yaml:5: data.format: expected one of tsv, csv, jsonl, text, conll, squad, semeval, lines, got "
        "'tvs'; "
        "did you mean "
        "'tsv'?");
}

TEST_CASE("Several mistakes are reported together, in the order of the file") {
  const std::string error = ErrorOf(absl::StrReplaceAll(
      kJob, {{"text-classification", "text-clasification"}, {"slots: 4", "slots: 5000"}, {"1e-3", "fast"}}));
  CHECK(error ==
        "job.yaml:2: task: expected one of text-classification, text-regression, multilabel-classification, "
        "causal-language-modelling, token-classification, masked-language-modelling, question-answering, "
        "relation-extraction, "
        "intent-classification, got "
        "'text-clasification'; did you mean "
        "'text-classification'?\n"
        "job.yaml:9: train.slots: expected a whole number from 1 to 4096, got 5000\n"
        "job.yaml:11: optimizer.learning_rate: expected a number above 0 and at most 1000, got 'fast'");
}

TEST_CASE("Text that is not a job is refused") {
  CHECK(ErrorOf("") == "job.yaml: is empty; expected fields of a job (docs/job-file.md)");
  CHECK(ErrorOf("# only a comment\n") == "job.yaml: is empty; expected fields of a job (docs/job-file.md)");
  CHECK(ErrorOf("- a\n- b\n") == "job.yaml:1: expected fields, one 'name: value' per line, got a list");
  CHECK(absl::StartsWith(ErrorOf("name: [a\n"), "job.yaml:2: is not valid YAML: "));
  CHECK(absl::StartsWith(ErrorOf("a: *nowhere\n"), "job.yaml:1: is not valid YAML: "));
  CHECK(absl::StartsWith(ErrorOf(std::string(5000, '[')), "job.yaml:1: is not valid YAML: "));
  CHECK(ErrorOf("train:\n  slots: 2\n\tepochs: 2\n") ==
        "job.yaml:3: is not valid YAML: the line is indented with a tab; use spaces");
  const std::string ended = "is not valid YAML: the document has ended before this; expected a single one";
  CHECK(ErrorOf(std::string(kJob) + "---\nname: b\n") == "job.yaml:12: " + ended);
  CHECK(ErrorOf("{name: a} ]\n") == "job.yaml:1: is not valid YAML: illegal flow end");
  CHECK(ErrorOf("{name: a}\n\nb: c\n") == "job.yaml:3: " + ended);
  CHECK(ErrorOf("name: \xff\xfe\n") == "job.yaml: expected text in UTF-8");
  CHECK(ErrorOf(std::string("name: a\0b\n", 10)) == "job.yaml: expected text in UTF-8");
  CHECK(absl::StartsWith(ErrorOf(std::string(2000000, '#')), "job.yaml: expected a job file of at most"));
}

TEST_CASE("What a message quotes is cut between characters") {
  std::string long_text;
  for (int i = 0; i < 200; ++i) long_text += "\u00e4\u20ac";
  for (const std::string& text : {"seed: " + long_text, "task: " + long_text, long_text + ": 1",
                                  "seed: !" + long_text + " 1", "data: " + long_text}) {
    const std::string error = ErrorOf(text + "\n");
    INFO(error);
    CHECK(IsValidUtf8(error));
    CHECK(error.find("...") != std::string::npos);
  }
}

TEST_CASE("Assignments override the file, and later ones override earlier ones") {
  const absl::StatusOr<JobSpec> job =
      Parse(kJob, {{"train.slots=2", "train.slots=3", "evaluation.every=2 epochs",
                    "data.files=[a.tsv, b.tsv]", "optimizer={type: sgd, momentum: 0.9}", "train.rounds=10"},
                   ""});
  REQUIRE(job.ok());
  CHECK(job->train().slots() == 3);
  CHECK(job->evaluation().every().epochs() == 2);
  CHECK(job->data().files_size() == 2);
  CHECK(job->optimizer().momentum() == 0.9);
  CHECK(job->optimizer().learning_rate() == 1e-3);
  CHECK(job->train().has_rounds());
}

TEST_CASE("Paths in assignments are relative to their own folder") {
  const absl::StatusOr<JobSpec> job =
      ParseJob({kJob, "job.yaml", "/jobs"}, {{"tokenizer.path=spm.model"}, "/here"});
  REQUIRE(job.ok());
  CHECK(job->data().files(0) == "/jobs/sections.tsv");
  CHECK(job->tokenizer().path() == "/here/spm.model");
}

TEST_CASE("A mistake in an assignment names the flag") {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"train.slots", "--set train.slots: expected key.path=value"},
      {"=3", "--set =3: expected key.path=value"},
      {"train.slots=x", "--set train.slots=x: train.slots: expected a whole number from 1 to 4096, got 'x'"},
      {"seed=-1", "--set seed=-1: seed: expected a whole number from 0 to 18446744073709551615, got '-1'"},
      {"train.slots=0", "--set train.slots=0: train.slots: expected a whole number from 1 to 4096, got 0"},
      {"train.slotz=3", "--set train.slotz=3: train.slotz: unknown field; did you mean 'slots'?"},
      {"slots=3", "--set slots=3: slots: unknown field; did you mean 'train.slots'?"},
      {"train.slots.x=3", "--set train.slots.x=3: train.slots: has no fields inside"},
      {"train=3", "--set train=3: train: expected fields, one 'name: value' per line, got '3'"},
      {"train.slots=",
       "--set train.slots=: train.slots: has no value; to get the default, leave the field out"},
      {"data.files=[a", "--set data.files=[a: data.files: the value is not valid YAML: "},
      {"train={slots: 2, slots: 3}", "--set train={slots: 2, slots: 3}: train.slots: is given twice"},
      {"train.slots=\xff", "--set train.slots=?: expected text in UTF-8"},
  };
  for (const auto& [assignment, expected] : mistakes) {
    const std::string error = ErrorOf(kJob, {{assignment}, ""});
    INFO(error);
    CHECK(absl::StartsWith(error, expected));
    CHECK_FALSE(absl::StrContains(error, "\n"));
  }
}

TEST_CASE("A printed job reads back as the same job") {
  JobSpec job = *Parse(kJob);
  job.mutable_data()->set_files(0, "/a b/'quoted\": #\t\x01 日本 \\x.tsv");
  job.mutable_data()->set_text(0, "null");
  job.mutable_data()->set_text(1, "- true");
  job.mutable_data()->set_label("12");
  job.mutable_optimizer()->set_learning_rate(0.1 + 0.2);
  job.mutable_train()->set_epochs(1e-7);
  job.set_seed(18446744073709551615u);
  const absl::StatusOr<JobSpec> again = Parse(PrintJob(job));
  INFO(PrintJob(job));
  CHECK(again.status().message() == "");
  CHECK(PrintJob(*again) == PrintJob(job));
  CHECK(again->SerializeAsString() == job.SerializeAsString());
}

TEST_CASE("The numerics text is the same exactly for jobs that compute the same") {
  const JobSpec job = *Parse(kJob);
  const std::string text = NumericsText(job);
  for (const char* same :
       {"name=other", "log_every=1 round", "evaluation.every=never", "checkpoint.keep=9",
        "cluster.min_workers=2", "data.files=/elsewhere/sections.tsv", "optimizer.layer_decay=1",
        "optimizer.head_learning_rate=0.001", "loss.label_smoothing=0", "tokenizer.lowercase=false"}) {
    INFO(same);
    CHECK(NumericsText(*Parse(kJob, {{same}, ""})) == text);
  }
  for (const char* other :
       {"seed=2", "data.files=others.tsv", "data.pair=[title]", "train.slots=8", "train.wire=bf16",
        "train.epochs=4", "model.dropout=0", "optimizer.beta1=0.8", "schedule.warmup=1 round", "numerics=any",
        "optimizer.layer_decay=0.9", "optimizer.head_learning_rate=0.002", "loss.label_smoothing=0.1"}) {
    INFO(other);
    CHECK(NumericsText(*Parse(kJob, {{other}, ""})) != text);
  }
}

// Checkpoints on disk name its SHA-256: a field that is added now must not change it (FieldRule.added_later).
TEST_CASE("The numerics text of a job stays what it was in November 2026") {
  CHECK(NumericsText(*Parse(kJob)) == R"(task: text-classification
seed: 1
data:
  files: [sections.tsv]
  format: tsv
  text: [name, text]
  label: section
  split:
    train: 0.9
    validation: 0.05
    test: 0.05
  min_class_count: 0
tokenizer:
  type: sentencepiece
  vocab_size: 8000
model:
  family: bert
  hidden_size: 128
  layers: 2
  heads: 2
  intermediate_size: 512
  max_length: 64
  norm: post
  activation: gelu
  layer_norm_epsilon: 1e-12
  dropout: 0.1
  attention_dropout: 0.1
train:
  epochs: 3
  slots: 4
  slot_batch: 16
  micro_batches: 1
  precision: f32
  wire: f32
  mode: sync
optimizer:
  type: adamw
  learning_rate: 0.001
  beta1: 0.9
  beta2: 0.999
  epsilon: 1e-08
  weight_decay: 0
  clip_norm: 0
schedule:
  type: linear
  warmup: 0 rounds
  end_factor: 0
numerics: strict
)");
  CHECK(NumericsText(*Parse(kJob, {{"tokenizer.lowercase=false"}, ""})) == NumericsText(*Parse(kJob)));
  CHECK(absl::StrContains(NumericsText(*Parse(kJob, {{"tokenizer.lowercase=true"}, ""})), "lowercase: true"));
}

TEST_CASE("The difference of two jobs names each field with both values") {
  const std::string text = NumericsText(*Parse(kJob));
  CHECK(JobDifferences(text, text).empty());
  const auto numerics = [](const std::vector<std::string>& set) {
    return NumericsText(*Parse(kJob, {set, ""}));
  };
  const std::string constant = numerics({"schedule.type=constant"});
  CHECK(DifferOnlyInLength(numerics({"schedule.type=constant", "train.epochs=9"}), constant));
  CHECK_FALSE(DifferOnlyInLength(numerics({"schedule.type=constant", "train.epochs=9", "seed=4"}), constant));
  CHECK_FALSE(DifferOnlyInLength(numerics({"schedule.type=linear"}),
                                 numerics({"schedule.type=linear", "train.epochs=9"})));
  CHECK_FALSE(DifferOnlyInLength(constant, numerics({"schedule.type=linear"})));
  CHECK(JobDifferences(NumericsText(*Parse(kJob, {{"train.epochs=8"}, ""})), text) ==
        "train.epochs: 8 here, 3 there");
  CHECK(JobDifferences(NumericsText(*Parse(kJob, {{"seed=2", "data.group=source"}, ""})), text) ==
        "seed: 2 here, 1 there; data.group: source here, not set there");
  CHECK(JobDifferences("", "a: 1\nb:\n  c: \"x: y\"\n") ==
        "a: not set here, 1 there; b.c: not set here, \"x: y\" there");
  std::string many;
  for (int i = 0; i < 13; ++i) many += "f" + std::to_string(i) + ": 1\n";
  CHECK_THAT(JobDifferences(many, ""), Catch::Matchers::EndsWith("; and 3 more"));
}

TEST_CASE("Damaged job files are refused or valid, and nothing else happens") {
  const std::string good = PrintJob(*Parse(kJob));
  const std::string special = "[]{}:,#&*!|>'\"%@`-?\n\t \\~<=.0e";
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string yaml = good;
    for (int k = 0; k < 1 + i % 4; ++k) {
      const size_t at = random() % yaml.size();
      const char byte = random() % 4 == 0 ? static_cast<char>(random()) : special[random() % special.size()];
      if (random() % 2 == 0) {
        yaml[at] = byte;
      } else {
        yaml.insert(at, 1, byte);
      }
    }
    if (!ErrorOf(yaml).empty()) ++refused;
  }
  CHECK(refused > 1000);
  CHECK(refused < 3000);
}

TEST_CASE("Random bytes are refused") {
  std::mt19937 random(2);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes(1 + random() % 200, ' ');
    for (char& c : bytes) c = static_cast<char>(i % 2 == 0 ? random() : 0x20 + random() % 0x5f);
    CHECK(ErrorOf(bytes) != "");
  }
}

}  // namespace
}  // namespace shoal
