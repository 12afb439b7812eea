// The command line as people and scripts use it: its output and its exit codes.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "nlohmann/json.hpp"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

using Catch::Matchers::Contains;

constexpr char kTiny[] = "configs/jobs/tiny.yaml";

TEST_CASE("A cluster is given a job, asked about it, and told to end it", "[cli]") {
  TestCluster cluster({1, 1, 1});
  const auto shoal = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Program("tools/shoal/shoal"));
    arguments.insert(arguments.end(), {"--scheduler", cluster.processes().scheduler()});
    return RunCommand(arguments);
  };
  const auto json = [&](std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const EndedProcess result = shoal(arguments);
    INFO(result.output);
    REQUIRE(result.ended == "exit status 0");
    return nlohmann::json::parse(result.output);
  };

  const std::vector<std::string> submit = {"submit", kTiny, "--request-id", "once"};
  CHECK(json(submit)["job"] == 1);
  CHECK(json(submit)["job"] == 1);  // the same request
  CHECK(cluster.WaitForEnd(JobId(1)).state() == JOB_STATE_COMPLETED);
  const auto jobs = json({"jobs"});
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0]["state"] == "completed");
  CHECK(jobs[0]["parameters_sha256"].get<std::string>().size() == 64);
  const auto status = json({"status"});
  REQUIRE(status["nodes"].size() == 2);
  CHECK(status["stalls"].empty());
  for (const auto& node : status["nodes"]) {
    const std::string address = node["address"].get<std::string>();
    const EndedProcess other = RunCommand({Program("tools/shoal/shoal"), "jobs", "--scheduler", address});
    CHECK(other.ended == "exit status 1");
    CHECK_THAT(
        other.output,
        Contains(absl::StrCat("what answers at ", address, " is not a Shoal scheduler")) && !Contains("()"));
  }
  EndedProcess result = shoal({"logs", "1", "--follow"});
  CHECK(result.ended == "exit status 0");
  // "2026-01-31T12:00:00Z round 102/102 (epoch 6.00)  loss 0.0123  ..."
  CHECK_THAT(result.output,
             Contains("Z job is completed\n") && Contains("Z round 102/102 (epoch 6.00)  loss ") &&
                 Contains(" examples/s  gradient norm ") && Contains("Z checkpoint of version 102\n") &&
                 Contains("Z version 102: validation accuracy "));
  CHECK_THAT(result.output, !Contains("{"));
  result = shoal({"logs", "1", "--json"});
  for (const absl::string_view line : absl::StrSplit(result.output, '\n', absl::SkipEmpty()))
    CHECK(nlohmann::json::parse(line).contains("event"));
  for (const char* command :
       {"jobs", "jobs --json", "status", "logs 1", "logs 1 --follow", "logs 1 --json"}) {
    INFO(command);
    const EndedProcess full = RunCommand(
        {"/bin/sh", "-c",
         absl::StrCat("$0 ", command, " --scheduler ", cluster.processes().scheduler(), " > /dev/full"),
         Program("tools/shoal/shoal")});
    CHECK(full.ended == "exit status 1");
    CHECK_THAT(full.output, Contains("No space left on device"));
  }
  const TestDir dir;
  CHECK(shoal({"export", "1", "--out", dir / "model"}).ended == "exit status 0");
  CHECK(RunCommand({Program("tools/shoal/shoal"), "predict", dir / "model", "some words"}).ended ==
        "exit status 0");

  CHECK(json({"export", "1", "--out", dir / "again"})["model"] == dir / "again");
  result = shoal({"export", "1", "--out", dir / "again"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("already holds a model"));
  // As an export into an existing folder leaves it when it is cut off while it moves the files.
  const std::string unfinished = dir / "again/.export.partial";
  REQUIRE(PosixEnv()->CreateDirs(unfinished).ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "again/.export.moving", "").ok());
  REQUIRE(PosixEnv()->Rename(dir / "again/config.json", JoinPath(unfinished, "config.json")).ok());
  CHECK(json({"export", "1", "--out", dir / "again"})["model"] == dir / "again");
  CHECK(PosixEnv()->ListDir(dir / "again").value() == PosixEnv()->ListDir(dir / "model").value());
  result = shoal({"export", "1", "--out", dir / "none", "--version", "7"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("job 1 has no checkpoint of version 7; it has versions "));
  CHECK(json({"cancel", "1"})["state"] == "completed");

  CHECK(shoal({"submit", kTiny, "--set", "train.epochs=1000"}).ended == "exit status 0");
  cluster.WaitForRound(JobId(2), 1);
  result = shoal({"cancel", "2"});
  CHECK(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("job 2 is cancelled"));
  CHECK(cluster.WaitForEnd(JobId(2)).state() == JOB_STATE_CANCELLED);
  CHECK(json({"jobs"})[1]["state"] == "cancelled");
  CHECK_THAT(shoal({"cancel", "2"}).output, Contains("job 2 is cancelled"));
  result = shoal({"logs", "7"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("7"));
}

TEST_CASE("A trained model predicts, is evaluated, and says what it lacks", "[cli]") {
  const TestDir dir;
  const EndedProcess trained = TrainIn(dir, {kTiny});
  REQUIRE(trained.ended == "exit status 0");
  CHECK_THAT(trained.output, Contains("3 labels: food, travel, weather"));
  CHECK(ReportIn(dir)["test"]["accuracy"] >= 0.9);
  const std::string shoal = Program("tools/shoal/shoal"), model = dir / "run/model";
  EndedProcess result = RunCommand({shoal, "predict", model, "a ferry arrives at the station before noon"});
  CHECK(result.ended == "exit status 0");
  CHECK_THAT(result.output, Contains("travel"));
  result = RunCommand({shoal, "eval", model, "--data", "configs/jobs/tiny.tsv", "--json"});
  CHECK(result.ended == "exit status 0");
  CHECK(nlohmann::json::parse(result.output)["examples"] == 360);
  result = RunCommand({shoal, "eval", model, "--data", "notes.txt"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("expected files with labels (tsv, csv, jsonl, lines), got notes.txt"));
  result = RunCommand({shoal, "eval", model, "--data", "configs/jobs/tiny.tsv", "more.jsonl"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("got configs/jobs/tiny.tsv, more.jsonl; give the format of all files"));
  result = RunCommand({shoal, "eval", model, "--data", "configs/jobs/tiny.tsv", "--ignored-labels", "travel",
                       "--label-separator", ";"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--label-separator: has no effect with task text-classification"));
  result = RunCommand({shoal, "eval", model, "--data", "travel.txt", "--format", "lines", "--label", "kind"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--label: has no effect with format lines"));

  const std::string data = dir / "data.tsv", predictions = dir / "predictions.jsonl";
  const std::string rows = "text\tlabel\na ferry before noon\ttravel\nsoup with bread\tfood\n";
  REQUIRE(PosixEnv()->WriteFileAtomic(data, rows).ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(predictions, "of an earlier model\n").ok());
  const auto predict = [&](std::vector<std::string> files, const std::string& to) {
    std::vector<std::string> arguments = {shoal, "eval", model, "--predictions", to, "--top", "2", "--data"};
    arguments.insert(arguments.end(), files.begin(), files.end());
    return RunCommand(arguments);
  };
  result = predict({data, dir / "missing.tsv"}, predictions);
  CHECK(result.ended == "exit status 1");
  CHECK(*PosixEnv()->ReadFile(predictions) == "of an earlier model\n");
  result =
      predict({dir / "../" + BaseName(dir.path()) + "/data.tsv"}, data);  // another name of the same file
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--predictions: would replace"));
  CHECK(*PosixEnv()->ReadFile(data) == rows);
  CHECK(predict({data}, predictions).ended == "exit status 0");
  const std::vector<std::string> lines =
      absl::StrSplit(*PosixEnv()->ReadFile(predictions), '\n', absl::SkipEmpty());
  REQUIRE(lines.size() == 2);
  const auto first = nlohmann::json::parse(lines[0]);
  CHECK(first["text"] == "a ferry before noon");
  CHECK(first["labels"] == nlohmann::json({"travel"}));
  CHECK(first["predictions"].size() == 2);
  CHECK_FALSE(first.contains("id"));
  for (const std::string arguments : {"predict $1 x", "eval $1 --data configs/jobs/tiny.tsv"}) {
    result = RunCommand({"/bin/sh", "-c", absl::StrCat("$0 ", arguments, " > /dev/full"), shoal, model});
    CHECK(result.ended == "exit status 1");
    CHECK_THAT(result.output, Contains("No space left on device"));
  }
  result = RunCommand(
      {"/bin/bash", "-c", "set -o pipefail; yes 'a text' | $0 predict $1 | head -1", shoal, model});
  CHECK(result.ended == "exit status 141");
  result = RunCommand({shoal, "predict", dir / "none", "x"});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("none/config.json") && !Contains("did you mean"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {shoal, "predict", dir / "run", "x"},
           {shoal, "eval", dir / "run", "--data", "configs/jobs/tiny.tsv"}}) {
    result = RunCommand(command);
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains(absl::StrCat("; did you mean ", model, "?")));
  }
}

// Only standard output.
nlohmann::json JsonOf(const std::string& command) {
  const TestDir dir;
  RunCommand({"/bin/sh", "-c", absl::StrCat(command, " --json > ", dir / "json")});
  const auto text = PosixEnv()->ReadFile(dir / "json");
  REQUIRE(text.ok());
  INFO(*text);
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  REQUIRE_FALSE(json.is_discarded());
  return json;
}

// Fine-tunes the model in `model` with low-rank additions.
std::string LoraJob(const std::string& model) {
  return absl::StrCat("name: lora\ntask: text-classification\ndata: {files: [",
                      std::filesystem::absolute("configs/jobs/tiny.tsv").string(),
                      "], text: text, label: label}\n", "model: {from: ", model,
                      "}\ntrain: {epochs: 2, slots: 4, slot_batch: 4}\n",
                      "optimizer: {learning_rate: 5e-3}\n",
                      "lora: {rank: 2, targets: [query, value, intermediate.dense, output.dense]}\n");
}

TEST_CASE("A model is fine-tuned with low-rank additions, to the same bits on any cluster", "[cli]") {
  const TestDir first, one, two, out;
  REQUIRE(TrainIn(first, {kTiny, "--set", "train.epochs=2"}).ended == "exit status 0");
  REQUIRE(PosixEnv()->WriteFileAtomic(out / "lora.yaml", LoraJob(first / "run/model")).ok());
  const EndedProcess trained = TrainIn(one, {out / "lora.yaml"});
  INFO(trained.output);
  REQUIRE(trained.ended == "exit status 0");
  CHECK_THAT(trained.output, Contains("trained: 24 of 61 tensors"));
  CHECK_THAT(trained.output,
             Contains(absl::StrCat("Adapter: ", one / "run/adapter\nPlots:   ", one / "run/plots\n")));
  REQUIRE(TrainIn(two, {out / "lora.yaml", "--workers", "3", "--servers", "2"}).ended == "exit status 0");
  CHECK(ReportIn(one)["parameters_sha256"] == ReportIn(two)["parameters_sha256"]);
  CHECK(ReportIn(one)["test"] == ReportIn(two)["test"]);
  CHECK(ReportIn(one)["test"]["accuracy"] >= ReportIn(first)["test"]["accuracy"]);
  const auto evaluated = JsonOf(absl::StrCat(Program("tools/shoal/shoal"), " eval ", one / "run/model",
                                             " --data configs/jobs/tiny.tsv"));
  CHECK(evaluated["accuracy"] > 0.9);

  TestCluster cluster({1, 1, 1});
  const auto shoal = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Program("tools/shoal/shoal"));
    arguments.insert(arguments.end(), {"--scheduler", cluster.processes().scheduler()});
    return RunCommand(arguments);
  };
  REQUIRE(shoal({"submit", out / "lora.yaml", "--wait"}).ended == "exit status 0");
  REQUIRE(shoal({"export", "1", "--out", out / "adapter", "--adapter"}).ended == "exit status 0");
  CHECK(PosixEnv()->FileExists(out / "adapter/adapter_config.json"));
  CHECK(PosixEnv()->FileExists(out / "adapter/adapter_model.safetensors"));
  CHECK_THAT(shoal({"export", "1", "--out", out / "adapter"}).output, Contains("already holds a model"));
  REQUIRE(shoal({"submit", kTiny, "--wait", "--set", "train.epochs=1"}).ended == "exit status 0");
  CHECK_THAT(shoal({"export", "2", "--out", out / "none", "--adapter"}).output,
             Contains("the job trained no low-rank additions"));
}

TEST_CASE("A model of words trains to the same bits on any cluster, marks parts of texts, and is evaluated",
          "[cli]") {
  const std::string job = "configs/jobs/tiny-ner.yaml", shoal = Program("tools/shoal/shoal");
  const TestDir one, two;
  const EndedProcess trained = TrainIn(one, {job});
  INFO(trained.output);
  REQUIRE(trained.ended == "exit status 0");
  const nlohmann::json report = ReportIn(one);
  CHECK(report["test"]["micro_f1"] > 0.9);
  REQUIRE(TrainIn(two, {job, "--workers", "2", "--servers", "2"}).ended == "exit status 0");
  CHECK(report["parameters_sha256"] == ReportIn(two)["parameters_sha256"]);

  const std::string model = one / "run/model", text = "Mary lives in Quito .";
  const auto json = JsonOf(absl::StrCat(shoal, " predict ", model, " '", text, "'"));
  CHECK(json["text"] == text);
  REQUIRE(json["spans"].size() == 2);
  const auto& person = json["spans"][0];
  CHECK(person["label"] == "PER");
  CHECK(person["text"] == "Mary");
  CHECK(person["begin"] == 0);
  CHECK(person["end"] == 4);
  CHECK(json["spans"][1]["begin"] == 14);
  EndedProcess result = RunCommand({shoal, "predict", model, "--top", "2", text});
  CHECK(result.ended == "exit status 2");
  CHECK_THAT(result.output, Contains("--top: "));
  const auto evaluated = JsonOf(absl::StrCat(shoal, " eval ", model, " --data configs/jobs/tiny-ner.conll"));
  CHECK(evaluated["micro_f1"] > 0.9);
  result = RunCommand({shoal, "eval", model, "--data", "configs/jobs/tiny.tsv"});
  CHECK(result.ended == "exit status 2");
}

TEST_CASE("A model of pairs of texts is trained, evaluated, and predicts of two texts", "[cli]") {
  const std::string job = "configs/jobs/tiny-pairs.yaml", shoal = Program("tools/shoal/shoal");
  const TestDir dir;
  const EndedProcess trained = TrainIn(dir, {job, "--workers", "2", "--servers", "2"});
  INFO(trained.output);
  REQUIRE(trained.ended == "exit status 0");
  CHECK(ReportIn(dir)["test"]["accuracy"] > 0.9);
  const std::string model = dir / "run/model", predict = absl::StrCat(shoal, " predict ", model, " --pairs ");
  const auto of_arguments = JsonOf(predict + "'where is the cup' 'the cup is by the window'");
  CHECK(of_arguments["text"] == "where is the cup");
  CHECK(of_arguments["pair"] == "the cup is by the window");
  CHECK(of_arguments["predictions"][0]["label"] == "answers");
  CHECK(JsonOf(absl::StrCat("printf 'where is the cup\\tit is a red cup\\n' | ",
                            predict))["predictions"][0]["label"] == "does not");
  const auto evaluated = JsonOf(absl::StrCat(
      shoal, " eval ", model, " --data configs/jobs/tiny-pairs.tsv --text question --pair answer"));
  CHECK(evaluated["accuracy"] > 0.9);
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"one text"}, std::vector<std::string>{"one", "two", "three"}}) {
    std::vector<std::string> command = {shoal, "predict", model, "--pairs"};
    command.insert(command.end(), wrong.begin(), wrong.end());
    const EndedProcess result = RunCommand(command);
    CHECK(result.ended == "exit status 2");
    CHECK_THAT(result.output, Contains("--pairs: expected two texts for each pair"));
  }
}

std::string MaskedLoraJob(const std::string& model) {
  return absl::StrCat(
      "name: lora\ntask: masked-language-modelling\ndata: {files: [",
      std::filesystem::absolute("configs/jobs/tiny-gpt2.txt").string(), "]}\nmodel: {from: ", model,
      "}\ntrain: {epochs: 1}\noptimizer: {learning_rate: 1e-3}\n", "lora: {targets: [query]}\n");
}

TEST_CASE("A model of hidden tokens trains to the same bits on any cluster, and learns", "[cli]") {
  const std::string job = "configs/jobs/tiny-mlm.yaml";
  const TestDir one, two;
  REQUIRE(TrainIn(one, {job}).ended == "exit status 0");
  const nlohmann::json report = ReportIn(one);
  CHECK(report["test"]["accuracy"] > 0.6);
  REQUIRE(TrainIn(two, {job, "--workers", "3", "--servers", "2"}).ended == "exit status 0");
  CHECK(report["parameters_sha256"] == ReportIn(two)["parameters_sha256"]);
  CHECK(report["test"] == ReportIn(two)["test"]);
  const std::string predict = absl::StrCat(Program("tools/shoal/shoal"), " predict ", one / "run/model");
  const auto json = JsonOf(predict + " --top 3 'the [MASK]'");
  REQUIRE(json["spans"].size() == 3);
  CHECK(json["spans"][0]["begin"] == 4);
  CHECK(json["spans"][0]["text"] == "[MASK]");
  CHECK(JsonOf(predict + " 'the [MASK]'")["spans"].size() == 5);
  const auto at_both_ends = JsonOf(absl::StrCat("echo '[MASK], the [MASK]' | ", predict, " --top 1"));
  CHECK(at_both_ends["text"] == "[MASK], the [MASK]");
  CHECK(at_both_ends["spans"].size() == 2);
  const EndedProcess brackets =
      RunCommand({Program("tools/shoal/shoal"), "predict", one / "run/model", "[MASK], the [MASK]"});
  CHECK(brackets.ended == "exit status 2");
  CHECK_THAT(brackets.output, Contains("give such texts on standard input"));
  const EndedProcess evaluated = RunCommand(
      {Program("tools/shoal/shoal"), "eval", one / "run/model", "--data", "configs/jobs/tiny.tsv"});
  CHECK(evaluated.ended == "exit status 2");
  CHECK_THAT(evaluated.output, Contains("has no labels to compare with"));

  const TestDir additions;
  REQUIRE(PosixEnv()->WriteFileAtomic(additions / "lora.yaml", MaskedLoraJob(one / "run/model")).ok());
  const EndedProcess tuned = TrainIn(additions, {additions / "lora.yaml"});
  INFO(tuned.output);
  CHECK(tuned.ended == "exit status 0");
  CHECK_THAT(tuned.output, Contains("there is no adapter: can't write an adapter of a model that predicts"));
  CHECK_THAT(tuned.output, Contains("Model:   ") && !Contains("Adapter: "));
}

TEST_CASE("A model that answers questions trains to the same bits on any cluster, and learns", "[cli]") {
  const std::string job = "configs/jobs/tiny-qa.yaml", shoal = Program("tools/shoal/shoal");
  const TestDir one, two;
  REQUIRE(TrainIn(one, {job}).ended == "exit status 0");
  const nlohmann::json report = ReportIn(one);
  CHECK(report["test"]["f1"] > 0.8);
  REQUIRE(TrainIn(two, {job, "--workers", "3", "--servers", "2"}).ended == "exit status 0");
  CHECK(report["parameters_sha256"] == ReportIn(two)["parameters_sha256"]);
  CHECK(report["test"] == ReportIn(two)["test"]);
  const std::string model = one / "run/model", predict = absl::StrCat(shoal, " predict ", model, " --pairs ");
  const std::string pair =
      "'Where does Ada live?' 'Ada keeps bees. The house is red. Ada moved to Kyoto in 1973.'";
  const auto answers = JsonOf(absl::StrCat(predict, pair, " --top 3"));
  CHECK(answers["text"] == "Where does Ada live?");
  REQUIRE(answers["spans"].size() == 3);
  CHECK(answers["spans"][0]["text"] == "Kyoto");
  CHECK(answers["spans"][0]["begin"] == 47);
  CHECK(JsonOf(predict + pair)["spans"].size() == 1);
  const auto evaluated = JsonOf(absl::StrCat(shoal, " eval ", model, " --data configs/jobs/tiny-qa.json"));
  CHECK(evaluated["f1"] > 0.8);
  const EndedProcess alone = RunCommand({shoal, "predict", model, "Where does Ada live?"});
  CHECK(alone.ended == "exit status 2");
  CHECK_THAT(alone.output, Contains("give both with --pairs"));
}

TEST_CASE("A model of relations learns, and its export says which task it is of", "[cli]") {
  const std::string shoal = Program("tools/shoal/shoal");
  const TestDir dir;
  REQUIRE(TrainIn(dir, {"configs/jobs/tiny-relations.yaml", "--workers", "2"}).ended == "exit status 0");
  const nlohmann::json report = ReportIn(dir);
  CHECK(report["test"]["macro_f1"] > 0.9);
  const std::string model = dir / "run/model";
  const auto evaluated =
      JsonOf(absl::StrCat(shoal, " eval ", model, " --data configs/jobs/tiny-relations.txt"));
  CHECK(evaluated["macro_f1"] > 0.9);
  CHECK(evaluated["labels"].size() == 4);  // relations, each in both directions
  const auto predicted = JsonOf(
      absl::StrCat(shoal, " predict ", model, " 'the <e1>chair</e1> was made by <e2>Ada</e2> again.'"));
  CHECK(predicted["predictions"][0]["label"] == "Product-Producer(e1,e2)");
}

TEST_CASE("A model of intents says what is out of its scope", "[cli]") {
  const TestDir dir;
  REQUIRE(TrainIn(dir, {"configs/jobs/tiny-intents.yaml"}).ended == "exit status 0");
  const nlohmann::json report = ReportIn(dir);
  CHECK(report["test"]["accuracy"] > 0.7);
  CHECK(report["test"]["out_of_scope_recall"] > 0.7);
  const std::string shoal = Program("tools/shoal/shoal"), model = dir / "run/model";
  CHECK(JsonOf(absl::StrCat(shoal, " predict ", model, " 'play a song by Ada'"))["predictions"][0]["label"] ==
        "play_music");
  const auto all = JsonOf(absl::StrCat(shoal, " eval ", model, " --data configs/jobs/tiny-intents.tsv"));
  CHECK(all["accuracy"] > 0.7);
  CHECK(all["out_of_scope_recall"] > 0.6);
  for (const char* name : {"loss", "accuracy", "out_of_scope_recall"})
    CHECK(PosixEnv()->FileExists(JoinPath(dir / "run/plots", absl::StrCat(name, ".svg"))));
}

TEST_CASE("A tokenizer shows what it makes of texts and of pairs", "[cli]") {
  const TestDir dir;
  const std::string shoal = Program("tools/shoal/shoal");
  REQUIRE(
      PosixEnv()
          ->WriteFileAtomic(dir / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nrose\n##s\n\u00e4\n")
          .ok());
  const auto tokenize = [&](const std::string& lines, const std::string& arguments) {
    return RunCommand(
        {"/bin/sh", "-c", absl::StrCat("printf '", lines, "' | $0 tokenize ", arguments), shoal});
  };
  CHECK(tokenize("Red roses\\n", dir.path()).output == "[CLS] red rose ##s [SEP]\n");
  const EndedProcess result =
      tokenize("{\"text\": \"red\", \"pair\": \"\u00e4 rose\"}\\n{\"other\": 1\\n", dir.path() + " --json");
  CHECK(result.ended == "exit status 0");
  const std::vector<std::string> lines = absl::StrSplit(result.output, '\n', absl::SkipEmpty());
  REQUIRE(lines.size() == 2);
  const auto json = nlohmann::json::parse(lines[0]);
  CHECK(json["ids"] == std::vector<int>{2, 5, 3, 1, 6, 3});  // its accent is stripped
  CHECK(json["type_ids"] == std::vector<int>{0, 0, 0, 1, 1, 1});
  CHECK(json["offsets"][4] == std::vector<int>{2, 6});
  CHECK(json["decoded"] == "red rose");
  CHECK(nlohmann::json::parse(lines[1])["ids"][0] == 2);  // a text
  CHECK(tokenize("x", dir / "none").ended == "exit status 1");
  CHECK_THAT(tokenize("x", "configs").output, Contains("expected a vocabulary with one of the names"));
}

TEST_CASE("A language model trains from plain text to the same bits on any cluster; it predicts no labels",
          "[cli]") {
  const std::string job = "configs/jobs/tiny-gpt2.yaml";
  const TestDir one, two;
  const EndedProcess trained = TrainIn(one, {job});
  INFO(trained.output);
  REQUIRE(trained.ended == "exit status 0");
  CHECK_THAT(trained.output, Contains("perplexity"));
  const nlohmann::json report = ReportIn(one);
  CHECK(report["test"]["perplexity"] < 3);  // 257 at the start
  CHECK(report["validation"][0]["perplexity"] > report["validation"].back()["perplexity"]);
  REQUIRE(TrainIn(two, {job, "--workers", "2", "--servers", "2"}).ended == "exit status 0");
  CHECK(report["parameters_sha256"] == ReportIn(two)["parameters_sha256"]);

  const EndedProcess result = RunCommand({Program("tools/shoal/shoal"), "predict", one / "run/model", "x"});
  CHECK(result.ended == "exit status 1");
  CHECK_THAT(result.output, Contains("is a language model") && Contains("AutoModelForCausalLM"));
}

TEST_CASE("With --json standard output is one document, also of a job that fails", "[cli]") {
  const TestDir dir;
  const std::string shoal = Program("tools/shoal/shoal");
  const auto failed =
      JsonOf(absl::StrCat(shoal, " train ", kTiny, " --set data.label=lable --out ", dir / "run"));
  CHECK(failed["state"] == "failed");
  CHECK_THAT(failed["reason"].get<std::string>(), Contains("'lable'"));

  TestCluster cluster({1, 1, 1});
  const std::string submit =
      absl::StrCat(shoal, " submit ", kTiny, " --wait --scheduler ", cluster.processes().scheduler());
  const auto completed = JsonOf(submit + " --set train.epochs=1");
  CHECK(completed["job"] == 1);
  CHECK(completed["state"] == "completed");
  const auto refused = JsonOf(submit + " --set data.label=lable");
  CHECK(refused["job"] == 2);
  CHECK(refused["state"] == "failed");
}

}  // namespace
}  // namespace shoal
