#include "worker/text/derive.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "catch2/catch.hpp"
#include "common/job/job_spec.h"
#include "common/storage/file.h"
#include "kernels/cpu/cpu_device.h"
#include "model/hugging_face.h"
#include "tasks/dataset.h"
#include "tasks/predictor.h"
#include "worker/text/derive_harness.h"
#include "worker/text/text_program.h"

namespace shoal::worker {
namespace {

using Catch::Matchers::Contains;

uint64_t LongestExample(const DerivedJob& job) {
  const auto dataset = tasks::ParseDataset(job.artifacts.at("dataset"), {kVocabulary, 2});
  REQUIRE(dataset.ok());
  return dataset->longest();
}

TEST_CASE("Examples are cut to the job's max_length, which the exported folder keeps") {
  const DeriveHarness harness;
  const DerivedJob scratch = harness.Derived(harness.Job());
  CHECK(scratch.plan.max_length() == 12);
  CHECK(LongestExample(scratch) == 12);
  harness.Export(scratch, "model");

  CHECK(scratch.plan.cut_examples() == 1);
  SECTION("a job that starts from the folder cuts as it says, and tells what it takes from there") {
    const DerivedJob tuned = harness.Derived(harness.JobFrom("model"));
    REQUIRE(tuned.plan.notes_size() == 1);
    CHECK_THAT(tuned.plan.notes(0), Contains("model: ") && Contains(" tensors of the model"));
    CHECK(tuned.plan.cut_examples() == 1);
    CHECK(tuned.plan.max_length() == 12);
    CHECK(LongestExample(tuned) == 12);
  }
  SECTION("a shorter max_length of such a job holds for its data and for its export, not for positions") {
    JobSpec job = harness.JobFrom("model");
    job.mutable_model()->set_max_length(7);
    const DerivedJob tuned = harness.Derived(job);
    CHECK(LongestExample(tuned) == 7);
    harness.Export(tuned, "tuned");
    CHECK(harness.Derived(harness.JobFrom("tuned")).plan.max_length() == 7);
    job.mutable_model()->set_from(harness.dir() / "tuned");
    job.mutable_model()->set_max_length(12);
    CHECK(LongestExample(harness.Derived(job)) == 12);
  }
  SECTION("a longer one than the model's positions is an error") {
    JobSpec job = harness.JobFrom("model");
    job.mutable_model()->set_max_length(13);
    const absl::Status status = harness.Derive(job).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()),
               Contains("model.max_length: expected at most the 12 positions") && Contains("got 13"));
  }
}

TEST_CASE("Labels of words become a model that predicts them, with a vocabulary of BERT's in its folder") {
  DeriveHarness harness;
  std::string lines;
  for (int i = 0; i < 10; ++i) lines += "Ada B-PER\nsaw O\nOslo B-LOC\n\nrain O\nfell O\n\n";
  harness.Write("data.conll", lines);
  PosixEnv()->CreateDirs(harness.dir() / "vocabulary").IgnoreError();
  harness.Write("vocabulary/vocab.txt",
                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nada\nsaw\nos\n##lo\nrain\nfell\n");
  JobSpec job = harness.Job();
  job.set_task(TASK_TOKEN_CLASSIFICATION);
  job.mutable_data()->Clear();
  job.mutable_data()->add_train_files(harness.dir() / "data.conll");
  job.mutable_tokenizer()->Clear();
  job.mutable_tokenizer()->set_path(harness.dir() / "vocabulary");
  const DerivedJob derived = harness.Derived(job);
  CHECK(std::vector<std::string>(derived.plan.labels().begin(), derived.plan.labels().end()) ==
        std::vector<std::string>{"B-LOC", "B-PER", "I-LOC", "I-PER", "O"});
  CHECK_THAT(derived.plan.model_config(), Contains("\"BertForTokenClassification\""));
  const auto dataset = tasks::ParseDataset(derived.artifacts.at("dataset"), {11, 2});
  REQUIRE(dataset.ok());
  const tasks::EncodedPart& part = (*dataset)[tasks::Part::kTrain];
  CHECK(std::vector<int32_t>(part.tokens.begin(), part.tokens.begin() + 6) ==
        std::vector<int32_t>{2, 5, 6, 7, 8, 3});
  CHECK(std::vector<int32_t>(part.classes.begin(), part.classes.begin() + 6) ==
        std::vector<int32_t>{-1, 1, 4, 0, -1, -1});

  harness.Export(derived, "model");
  CHECK(PosixEnv()->FileExists(harness.dir() / "model/vocab.txt"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto loaded = tasks::Predictor::Load(PosixEnv(), harness.dir() / "model", device->get());
  INFO(loaded.status());
  REQUIRE(loaded.ok());
  // The model is not trained: whatever it predicts is a part of the text with a label.
  const auto predicted = (*loaded)->Predict("Ada saw Oslo");
  REQUIRE(predicted.ok());
  for (const tasks::LabelledSpan& span : predicted->prediction.spans) {
    CHECK((span.label == "PER" || span.label == "LOC"));
    CHECK(span.place.end <= 12);
  }
  DataSpec data = job.data();
  data.set_format(DATA_FORMAT_CONLL);
  const auto statistics = (*loaded)->Evaluate(PosixEnv(), {harness.dir() / "data.conll"}, data);
  REQUIRE(statistics.ok());
  CHECK(statistics->examples() == 20);
  CHECK(statistics->predicted_tokens() == 50);
}

TEST_CASE("Pairs of texts need a model with two types of tokens, or with none") {
  DeriveHarness harness;
  std::string lines = "question\ttext\tlabel\n";
  for (int i = 0; i < 40; ++i) absl::StrAppend(&lines, "red or old\tred rose in the rain\t", i % 2, "\n");
  harness.Write("data.tsv", lines);
  JobSpec job = harness.Job();
  job.mutable_tokenizer()->set_vocab_size(32);
  harness.Export(harness.Derived(job), "one-type");
  job.mutable_data()->add_pair("question");
  const DerivedJob derived = harness.Derived(job);
  const auto config = model::ParseModelConfig(derived.plan.model_config());
  CHECK(config->type_vocab_size == 2);
  CHECK(derived.plan.cut_examples() == 40);
  const auto dataset = tasks::ParseDataset(derived.artifacts.at("dataset"), {32, 2});
  REQUIRE(dataset.ok());
  CHECK(dataset->largest_type() == 1);
  harness.Export(derived, "pairs");
  const auto device = kernels::CpuDevice::Create({}).value();
  const auto loaded = tasks::Predictor::Load(PosixEnv(), harness.dir() / "pairs", device.get());
  REQUIRE(loaded.ok());
  const auto values = [&](const char* text, const char* pair) {
    return (*loaded)->Predict(text, pair)->prediction.values;
  };
  CHECK(values("red", "old") != values("old", "red"));

  JobSpec from = harness.JobFrom("one-type");
  from.mutable_data()->add_pair("question");
  CHECK_THAT(std::string(harness.Derive(from).status().message()),
             Contains("data.pair: the tokenizer marks the two texts") && Contains("one type only"));
  job.mutable_model()->set_family(MODEL_FAMILY_DISTILBERT);
  const DerivedJob untyped = harness.Derived(job);
  CHECK(tasks::ParseDataset(untyped.artifacts.at("dataset"), {32, 0})->largest_type() == 0);
}

TEST_CASE("A job that hides tokens has a text's windows, and needs a token to hide others with") {
  DeriveHarness harness;
  std::string text;
  for (int i = 0; i < 40; ++i) absl::StrAppend(&text, "red rose in the rain, old oak on the hill.\n");
  harness.Write("data.txt", text);
  JobSpec job = harness.Job();
  job.set_task(TASK_MASKED_LANGUAGE_MODELLING);
  job.clear_data();
  job.mutable_data()->add_train_files(harness.dir() / "data.txt");
  const DerivedJob derived = harness.Derived(job);
  const auto dataset = tasks::ParseDataset(derived.artifacts.at("dataset"), {kVocabulary, 1});
  REQUIRE(dataset.ok());
  CHECK(dataset->mask_token == 4);
  CHECK(dataset->vocab_size == kVocabulary);
  CHECK(dataset->longest() == 12);
  // The tokens are those that the vocabulary has for the text in any other job.
  const auto tokenizer = model::LoadTokenizer(derived.artifacts.at("tokenizer"));
  const std::vector<uint32_t> expected = (*tokenizer)->Encode(text, 12);
  const auto first = (*dataset)[tasks::Part::kTrain].tokens_of(0);
  CHECK(std::vector<uint32_t>(first.begin(), first.end()) == expected);
  const auto config = model::ParseModelConfig(derived.plan.model_config());
  CHECK(config->head == HEAD_TYPE_MASKED_TOKEN);
  CHECK(config->type_vocab_size == 2);  // so that a job for pairs can start from it
  harness.Export(derived, "masked");
  const auto device = kernels::CpuDevice::Create({}).value();
  const auto loaded = tasks::Predictor::Load(PosixEnv(), harness.dir() / "masked", device.get());
  REQUIRE(loaded.ok());
  const auto predicted =
      (*loaded)->Predict("red \u00e4 [MASK] in the [MASK] and much too long to fit [MASK]");
  REQUIRE(predicted.ok());
  const auto& spans = predicted->prediction.spans;
  REQUIRE(spans.size() == 2 * kVocabulary);  // the third one is cut off
  CHECK(spans[0].place == TextSpan{6, 12});
  CHECK(spans[kVocabulary].place == TextSpan{20, 26});
  for (size_t i = 1; i < kVocabulary; ++i) CHECK(spans[i].score <= spans[i - 1].score);
  CHECK((*loaded)->Predict("nothing hidden")->prediction.spans.empty());
  CHECK_THAT(std::string((*loaded)->Predict("a [MASK]", "a pair").status().message()),
             Contains("a model for masked-language-modelling takes no pairs of texts"));

  JobSpec from = harness.JobFrom("masked");
  from.set_task(TASK_MASKED_LANGUAGE_MODELLING);
  *from.mutable_data() = job.data();
  const DerivedJob again = harness.Derived(from);
  CHECK_THAT(again.plan.notes(0), Contains("tensors of the model"));
  CHECK(again.plan.notes_size() == 1);  // no new head, nothing ignored
  REQUIRE(PosixEnv()->CreateDirs(harness.dir() / "maskless").ok());
  harness.Write("maskless/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\nrose\n");
  from.mutable_tokenizer()->set_path(harness.dir() / "maskless");
  CHECK_THAT(std::string(harness.Derive(from).status().message()),
             Contains("tokenizer: has no token to hide others with"));
}

TEST_CASE("A job starts from a model of any class, whose head it replaces; only a head of ours can be used") {
  DeriveHarness harness;
  harness.Export(harness.Derived(harness.Job()), "model");
  const auto text = PosixEnv()->ReadFile(harness.dir() / "model/config.json");
  REQUIRE(text.ok());
  harness.Write("model/config.json",
                absl::StrReplaceAll(*text, {{"BertForSequenceClassification", "BertForMultipleChoice"}}));
  const DerivedJob derived = harness.Derived(harness.JobFrom("model"));
  CHECK_THAT(derived.plan.model_config(), Contains("\"BertForSequenceClassification\""));
  REQUIRE(derived.plan.notes_size() == 2);
  CHECK_THAT(derived.plan.notes(1), Contains("new: the head, as the folder's model predicts something else"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto loaded = tasks::Predictor::Load(PosixEnv(), harness.dir() / "model", device->get());
  CHECK(absl::IsInvalidArgument(loaded.status()));
  CHECK_THAT(std::string(loaded.status().message()), Contains("config.json") &&
                                                         Contains("BertForMultipleChoice") &&
                                                         Contains("expected BertForSequenceClassification"));
}

TEST_CASE("A program is built only from plan, dataset and model of the same job") {
  DeriveHarness harness;
  JobSpec job = harness.Job();
  CompleteJob(&job);
  const DerivedJob derived = harness.Derived(job);
  harness.Write("dataset", derived.artifacts.at("dataset"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  TextProgramBuilder builder(PosixEnv(), device->get());
  const auto error = [&](const JobPlan& plan) {
    const auto built = builder.Build(job, plan, {{"dataset", harness.dir() / "dataset"}}, NoProgress);
    return std::string(built.status().message());
  };
  CHECK(error(derived.plan) == "");
  JobPlan plan = derived.plan;
  plan.set_train_examples(plan.train_examples() + 1);
  CHECK_THAT(error(plan), Contains("the dataset belongs to another job: it has 41 examples for training") &&
                              Contains("the plan says 42"));
  plan = derived.plan;
  plan.set_group_sizes(0, plan.group_sizes(0) + 1);
  CHECK_THAT(error(plan), Contains("parameter groups are not those of its model"));
  plan = derived.plan;
  plan.clear_model_config();
  CHECK(error(plan) != "");
}

TEST_CASE("A plan that no message could carry is an error about its labels") {
  DeriveHarness harness;
  harness.Write("data.tsv", Sentences() + absl::StrCat("a rose\t", std::string(9'000'000, 'x'), "\n"));
  JobSpec job = harness.Job();
  CompleteJob(&job);
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  TextProgramBuilder builder(PosixEnv(), device->get());
  const auto derived = builder.Derive(job, [](absl::string_view) {});
  REQUIRE(derived.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(derived.status().message()),
             Contains("the names of 3 labels") && Contains("data.label"));
  CHECK(derived.status().message().size() < 1000);
}

TEST_CASE("Labels that differ only in letter case or spaces are pointed out") {
  DeriveHarness harness;
  harness.Write("data.tsv", Sentences() + "a rose\tred\nan oak\tRed \n");
  const JobPlan plan = harness.Derived(harness.Job()).plan;
  CHECK(plan.labels_size() == 4);
  REQUIRE(plan.notes_size() == 1);
  CHECK(plan.notes(0) == "labels 'Red ' and 'red' differ only in letter case or spaces, and count as two");
}

TEST_CASE("A plan counts the examples that are left out for their rare labels") {
  DeriveHarness harness;
  harness.Write("data.tsv", Sentences() + "a rose\trare\n");
  JobSpec job = harness.Job();
  CHECK(harness.Derived(job).plan.rare_examples() == 0);
  job.mutable_data()->set_min_class_count(2);
  const JobPlan plan = harness.Derived(job).plan;
  CHECK(plan.rare_examples() == 1);
  CHECK(plan.labels_size() == 2);
}

TEST_CASE("A file that is missing is an error with its path and the field that names it") {
  const DeriveHarness harness;
  JobSpec job = harness.JobFrom("none");
  std::string expected = absl::StrCat("model.from: can't open ", harness.dir() / "none/config.json");
  SECTION("a model") {}
  SECTION("data") {
    job = harness.Job();
    job.mutable_data()->add_test_files(harness.dir() / "none.tsv");
    expected = absl::StrCat("data.test_files[0]: can't open ", harness.dir() / "none.tsv");
  }
  SECTION("a vocabulary") {
    job = harness.Job();
    job.clear_tokenizer();
    job.mutable_tokenizer()->set_path(harness.dir() / "none.model");
    expected = absl::StrCat("tokenizer.path: can't open ", harness.dir() / "none.model");
  }
  const absl::Status status = harness.Derive(job).status();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(std::string(status.message()), Contains(expected));
}

TEST_CASE("Deriving reports its progress, file by file and pass by pass") {
  const DeriveHarness harness;
  JobSpec job = harness.Job();
  CompleteJob(&job);
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  std::set<std::string> said;
  TextProgramBuilder builder(PosixEnv(), device->get());
  REQUIRE(builder.Derive(job, [&](absl::string_view what) { said.insert(std::string(what)); }).ok());
  CHECK(said == std::set<std::string>{"encodes the examples", "makes the vocabulary",
                                      absl::StrCat("reads ", harness.dir() / "data.tsv")});
}

TEST_CASE("A folder's max_length is its tokenizer's, and at most its positions") {
  DeriveHarness harness;
  harness.Export(harness.Derived(harness.Job()), "model");
  const auto max_length = [&]() -> absl::StatusOr<uint32_t> {
    const auto config = model::ReadModelConfig(PosixEnv(), harness.dir() / "model");
    REQUIRE(config.ok());
    return model::ReadMaxLength(PosixEnv(), harness.dir() / "model", *config);
  };
  const auto with = [&](const std::string& json) {
    harness.Write("model/tokenizer_config.json", json);
    return max_length();
  };
  CHECK(*max_length() == 12);
  CHECK(*with(R"({"model_max_length": 9})") == 9);
  CHECK(*with(R"({"model_max_length": 1000000000000000019884624838656})") == 12);  // "no limit"
  CHECK(*with(R"({"model_max_length": null})") == 12);
  CHECK(*with("{}") == 12);
  for (const char* bad : {"", "[]", "{", R"({"model_max_length": 0})", R"({"model_max_length": 2})",
                          R"({"model_max_length": -1})", R"({"model_max_length": "512"})"}) {
    INFO(bad);
    const auto length = with(bad);
    CHECK(absl::IsInvalidArgument(length.status()));
    CHECK_THAT(std::string(length.status().message()), Contains("tokenizer_config.json"));
  }
  REQUIRE(PosixEnv()->DeleteFile(harness.dir() / "model/tokenizer_config.json").ok());
  CHECK(*max_length() == 12);
}

TEST_CASE("A loaded model cuts longer texts as its training did") {
  const DeriveHarness harness;
  JobSpec job = harness.Job();
  DerivedJob derived = harness.Derived(job);
  harness.Export(derived, "model");
  derived.plan.set_max_length(7);  // the same parameters
  harness.Export(derived, "short");
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto load = [&](const char* name) {
    auto predictor = tasks::Predictor::Load(PosixEnv(), harness.dir() / name, device->get());
    INFO(predictor.status());
    REQUIRE(predictor.ok());
    return *std::move(predictor);
  };
  const std::unique_ptr<tasks::Predictor> model = load("model"), cut = load("short");
  std::string long_text, longer_text;
  for (int i = 0; i < 100; ++i) {
    if (i < 50) long_text += "rain ";
    longer_text += "rain ";
  }
  CHECK(model->Predict(long_text)->prediction.values == model->Predict(longer_text)->prediction.values);
  CHECK(cut->Predict(long_text)->prediction.values == cut->Predict(longer_text)->prediction.values);
  CHECK(model->Predict(long_text)->prediction.values != cut->Predict(long_text)->prediction.values);
  CHECK(model->Predict("rain")->prediction.values == cut->Predict("rain")->prediction.values);

  CompleteJob(&job);
  const auto all = model->Evaluate(PosixEnv(), {harness.dir() / "data.tsv"}, job.data());
  const auto all_cut = cut->Evaluate(PosixEnv(), {harness.dir() / "data.tsv"}, job.data());
  REQUIRE(all.ok());
  REQUIRE(all_cut.ok());
  CHECK(all->examples() == 41);
  CHECK(all->loss() != all_cut->loss());
}

}  // namespace
}  // namespace shoal::worker
