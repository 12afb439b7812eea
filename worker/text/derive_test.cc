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
#include "tasks/classifier.h"
#include "tasks/dataset.h"
#include "worker/text/text_program.h"
#include "worker/text/workshop.h"

namespace shoal::worker {
namespace {

using Catch::Matchers::Contains;

uint64_t LongestExample(const DerivedJob& job) {
  const auto dataset = tasks::ParseDataset(job.artifacts.at("dataset"), {kVocabulary, 2});
  REQUIRE(dataset.ok());
  return dataset->longest();
}

TEST_CASE("Examples are cut to the job's max_length, which the exported folder keeps") {
  const Workshop workshop;
  const DerivedJob scratch = workshop.Derived(workshop.Job());
  CHECK(scratch.plan.max_length() == 12);
  CHECK(LongestExample(scratch) == 12);
  workshop.Export(scratch, "model");

  CHECK(scratch.plan.cut_examples() == 1);
  SECTION("a job that starts from the folder cuts as it says, and tells what it takes from there") {
    const DerivedJob tuned = workshop.Derived(workshop.JobFrom("model"));
    REQUIRE(tuned.plan.notes_size() == 1);
    CHECK_THAT(tuned.plan.notes(0), Contains("model: ") && Contains(" tensors of the model"));
    CHECK(tuned.plan.cut_examples() == 1);
    CHECK(tuned.plan.max_length() == 12);
    CHECK(LongestExample(tuned) == 12);
  }
  SECTION("a shorter max_length of such a job holds for its data and for its export, not for positions") {
    JobSpec job = workshop.JobFrom("model");
    job.mutable_model()->set_max_length(7);
    const DerivedJob tuned = workshop.Derived(job);
    CHECK(LongestExample(tuned) == 7);
    workshop.Export(tuned, "tuned");
    CHECK(workshop.Derived(workshop.JobFrom("tuned")).plan.max_length() == 7);
    job.mutable_model()->set_from(workshop.dir() / "tuned");
    job.mutable_model()->set_max_length(12);
    CHECK(LongestExample(workshop.Derived(job)) == 12);
  }
  SECTION("a longer one than the model's positions is an error") {
    JobSpec job = workshop.JobFrom("model");
    job.mutable_model()->set_max_length(13);
    const absl::Status status = workshop.Derive(job).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()),
               Contains("model.max_length: expected at most the 12 positions") && Contains("got 13"));
  }
}

TEST_CASE("Labels of words become a model that predicts them, with a vocabulary of BERT's in its folder") {
  Workshop workshop;
  std::string lines;
  for (int i = 0; i < 10; ++i) lines += "Ada B-PER\nsaw O\nOslo B-LOC\n\nrain O\nfell O\n\n";
  workshop.Write("data.conll", lines);
  PosixEnv()->CreateDirs(workshop.dir() / "vocabulary").IgnoreError();
  workshop.Write("vocabulary/vocab.txt",
                 "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nada\nsaw\nos\n##lo\nrain\nfell\n");
  JobSpec job = workshop.Job();
  job.set_task(TASK_TOKEN_CLASSIFICATION);
  job.mutable_data()->Clear();
  job.mutable_data()->add_train_files(workshop.dir() / "data.conll");
  job.mutable_tokenizer()->Clear();
  job.mutable_tokenizer()->set_path(workshop.dir() / "vocabulary");
  const DerivedJob derived = workshop.Derived(job);
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

  workshop.Export(derived, "model");
  CHECK(PosixEnv()->FileExists(workshop.dir() / "model/vocab.txt"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto loaded = tasks::Classifier::Load(PosixEnv(), workshop.dir() / "model", device->get());
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
  const auto statistics = (*loaded)->Evaluate(PosixEnv(), {workshop.dir() / "data.conll"}, data);
  REQUIRE(statistics.ok());
  CHECK(statistics->examples() == 20);
  CHECK(statistics->predicted_tokens() == 50);
}

TEST_CASE("Pairs of texts need a model with two types of tokens, or with none") {
  Workshop workshop;
  std::string lines = "question\ttext\tlabel\n";
  for (int i = 0; i < 40; ++i) absl::StrAppend(&lines, "red or old\tred rose in the rain\t", i % 2, "\n");
  workshop.Write("data.tsv", lines);
  JobSpec job = workshop.Job();
  job.mutable_tokenizer()->set_vocab_size(32);
  workshop.Export(workshop.Derived(job), "one-type");
  job.mutable_data()->add_pair("question");
  const DerivedJob derived = workshop.Derived(job);
  const auto config = model::ParseModelConfig(derived.plan.model_config());
  CHECK(config->type_vocab_size == 2);
  CHECK(derived.plan.cut_examples() == 40);
  const auto dataset = tasks::ParseDataset(derived.artifacts.at("dataset"), {32, 2});
  REQUIRE(dataset.ok());
  CHECK(dataset->largest_type() == 1);
  workshop.Export(derived, "pairs");
  const auto device = kernels::CpuDevice::Create({}).value();
  const auto loaded = tasks::Classifier::Load(PosixEnv(), workshop.dir() / "pairs", device.get());
  REQUIRE(loaded.ok());
  const auto values = [&](const char* text, const char* pair) {
    return (*loaded)->Predict(text, pair)->prediction.values;
  };
  CHECK(values("red", "old") != values("old", "red"));

  JobSpec from = workshop.JobFrom("one-type");
  from.mutable_data()->add_pair("question");
  CHECK_THAT(std::string(workshop.Derive(from).status().message()),
             Contains("data.pair: the tokenizer marks the two texts") && Contains("one type only"));
  job.mutable_model()->set_family(MODEL_FAMILY_DISTILBERT);
  const DerivedJob untyped = workshop.Derived(job);
  CHECK(tasks::ParseDataset(untyped.artifacts.at("dataset"), {32, 0})->largest_type() == 0);
}

TEST_CASE("A job that hides tokens has a text's windows, and needs a token to hide others with") {
  Workshop workshop;
  std::string text;
  for (int i = 0; i < 40; ++i) absl::StrAppend(&text, "red rose in the rain, old oak on the hill.\n");
  workshop.Write("data.txt", text);
  JobSpec job = workshop.Job();
  job.set_task(TASK_MASKED_LANGUAGE_MODELLING);
  job.clear_data();
  job.mutable_data()->add_train_files(workshop.dir() / "data.txt");
  const DerivedJob derived = workshop.Derived(job);
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
  workshop.Export(derived, "masked");
  const auto device = kernels::CpuDevice::Create({}).value();
  const auto loaded = tasks::Classifier::Load(PosixEnv(), workshop.dir() / "masked", device.get());
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

  JobSpec from = workshop.JobFrom("masked");
  from.set_task(TASK_MASKED_LANGUAGE_MODELLING);
  *from.mutable_data() = job.data();
  const DerivedJob again = workshop.Derived(from);
  CHECK_THAT(again.plan.notes(0), Contains("tensors of the model"));
  CHECK(again.plan.notes_size() == 1);  // no new head, nothing ignored
  REQUIRE(PosixEnv()->CreateDirs(workshop.dir() / "maskless").ok());
  workshop.Write("maskless/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\nrose\n");
  from.mutable_tokenizer()->set_path(workshop.dir() / "maskless");
  CHECK_THAT(std::string(workshop.Derive(from).status().message()),
             Contains("tokenizer: has no token to hide others with"));
}

TEST_CASE("A job starts from a model of any class, whose head it replaces; only a head of ours can be used") {
  Workshop workshop;
  workshop.Export(workshop.Derived(workshop.Job()), "model");
  const auto text = PosixEnv()->ReadFile(workshop.dir() / "model/config.json");
  REQUIRE(text.ok());
  workshop.Write("model/config.json",
                 absl::StrReplaceAll(*text, {{"BertForSequenceClassification", "BertForMultipleChoice"}}));
  const DerivedJob derived = workshop.Derived(workshop.JobFrom("model"));
  CHECK_THAT(derived.plan.model_config(), Contains("\"BertForSequenceClassification\""));
  REQUIRE(derived.plan.notes_size() == 2);
  CHECK_THAT(derived.plan.notes(1), Contains("new: the head, as the folder's model predicts something else"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto loaded = tasks::Classifier::Load(PosixEnv(), workshop.dir() / "model", device->get());
  CHECK(absl::IsInvalidArgument(loaded.status()));
  CHECK_THAT(std::string(loaded.status().message()), Contains("config.json") &&
                                                         Contains("BertForMultipleChoice") &&
                                                         Contains("expected BertForSequenceClassification"));
}

TEST_CASE("A program is built only from plan, dataset and model of the same job") {
  Workshop workshop;
  JobSpec job = workshop.Job();
  CompleteJob(&job);
  const DerivedJob derived = workshop.Derived(job);
  workshop.Write("dataset", derived.artifacts.at("dataset"));
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  TextProgramBuilder builder(PosixEnv(), device->get());
  const auto error = [&](const JobPlan& plan) {
    const auto built = builder.Build(job, plan, {{"dataset", workshop.dir() / "dataset"}}, NoProgress);
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
  Workshop workshop;
  workshop.Write("data.tsv", Sentences() + absl::StrCat("a rose\t", std::string(9'000'000, 'x'), "\n"));
  JobSpec job = workshop.Job();
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
  Workshop workshop;
  workshop.Write("data.tsv", Sentences() + "a rose\tred\nan oak\tRed \n");
  const JobPlan plan = workshop.Derived(workshop.Job()).plan;
  CHECK(plan.labels_size() == 4);
  REQUIRE(plan.notes_size() == 1);
  CHECK(plan.notes(0) == "labels 'Red ' and 'red' differ only in letter case or spaces, and count as two");
}

TEST_CASE("A plan counts the examples that are left out for their rare labels") {
  Workshop workshop;
  workshop.Write("data.tsv", Sentences() + "a rose\trare\n");
  JobSpec job = workshop.Job();
  CHECK(workshop.Derived(job).plan.rare_examples() == 0);
  job.mutable_data()->set_min_class_count(2);
  const JobPlan plan = workshop.Derived(job).plan;
  CHECK(plan.rare_examples() == 1);
  CHECK(plan.labels_size() == 2);
}

TEST_CASE("A file that is missing is an error with its path and the field that names it") {
  const Workshop workshop;
  JobSpec job = workshop.JobFrom("none");
  std::string expected = absl::StrCat("model.from: can't open ", workshop.dir() / "none/config.json");
  SECTION("a model") {}
  SECTION("data") {
    job = workshop.Job();
    job.mutable_data()->add_test_files(workshop.dir() / "none.tsv");
    expected = absl::StrCat("data.test_files[0]: can't open ", workshop.dir() / "none.tsv");
  }
  SECTION("a vocabulary") {
    job = workshop.Job();
    job.clear_tokenizer();
    job.mutable_tokenizer()->set_path(workshop.dir() / "none.model");
    expected = absl::StrCat("tokenizer.path: can't open ", workshop.dir() / "none.model");
  }
  const absl::Status status = workshop.Derive(job).status();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(std::string(status.message()), Contains(expected));
}

TEST_CASE("Deriving reports its progress, file by file and pass by pass") {
  const Workshop workshop;
  JobSpec job = workshop.Job();
  CompleteJob(&job);
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  std::set<std::string> said;
  TextProgramBuilder builder(PosixEnv(), device->get());
  REQUIRE(builder.Derive(job, [&](absl::string_view what) { said.insert(std::string(what)); }).ok());
  CHECK(said == std::set<std::string>{"encodes the examples", "makes the vocabulary",
                                      absl::StrCat("reads ", workshop.dir() / "data.tsv")});
}

TEST_CASE("A folder's max_length is its tokenizer's, and at most its positions") {
  Workshop workshop;
  workshop.Export(workshop.Derived(workshop.Job()), "model");
  const auto max_length = [&]() -> absl::StatusOr<uint32_t> {
    const auto config = model::ReadModelConfig(PosixEnv(), workshop.dir() / "model");
    REQUIRE(config.ok());
    return model::ReadMaxLength(PosixEnv(), workshop.dir() / "model", *config);
  };
  const auto with = [&](const std::string& json) {
    workshop.Write("model/tokenizer_config.json", json);
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
  REQUIRE(PosixEnv()->DeleteFile(workshop.dir() / "model/tokenizer_config.json").ok());
  CHECK(*max_length() == 12);
}

TEST_CASE("A loaded model cuts longer texts as its training did") {
  const Workshop workshop;
  JobSpec job = workshop.Job();
  DerivedJob derived = workshop.Derived(job);
  workshop.Export(derived, "model");
  derived.plan.set_max_length(7);  // the same parameters
  workshop.Export(derived, "short");
  const auto device = kernels::CpuDevice::Create({});
  REQUIRE(device.ok());
  const auto load = [&](const char* name) {
    auto classifier = tasks::Classifier::Load(PosixEnv(), workshop.dir() / name, device->get());
    INFO(classifier.status());
    REQUIRE(classifier.ok());
    return *std::move(classifier);
  };
  const std::unique_ptr<tasks::Classifier> model = load("model"), cut = load("short");
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
  const auto all = model->Evaluate(PosixEnv(), {workshop.dir() / "data.tsv"}, job.data());
  const auto all_cut = cut->Evaluate(PosixEnv(), {workshop.dir() / "data.tsv"}, job.data());
  REQUIRE(all.ok());
  REQUIRE(all_cut.ok());
  CHECK(all->examples() == 41);
  CHECK(all->loss() != all_cut->loss());
}

}  // namespace
}  // namespace shoal::worker
