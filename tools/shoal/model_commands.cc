// Commands that use an exported model.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/command_line.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/job_rules.h"
#include "common/job/job_spec.h"
#include "common/storage/file.h"
#include "kernels/cpu/cpu_device.h"
#include "model/tokenizer/characters.h"
#include "tasks/data/format.h"
#include "tasks/data/reader.h"
#include "tasks/predictor.h"
#include "tools/shoal/commands.h"
#include "tools/shoal/report.h"

namespace shoal::tools {
namespace {

// Of files whose columns have names, unless flags say others.
constexpr char kTextColumn[] = "text";
constexpr char kLabelColumn[] = "label";

struct ModelFlags {
  std::string model;
  bool json = false;
  // eval
  std::vector<std::string> data;
  std::vector<std::string> text, pair;
  std::string label;
  std::string format;
  std::string label_separator;
  std::vector<std::string> ignored_labels;
  std::string predictions;  // a file
  // predict
  std::vector<std::string> texts;
  bool pairs = false;
  size_t top = 0;  // 0: as many as are predicted
};

struct Loaded {
  std::unique_ptr<kernels::Device> device;
  std::unique_ptr<tasks::Predictor> predictor;
};

// A path that is not a folder, or a folder that lacks a file of a model, is a wrong argument. A training's
// folder has the model in a folder of its own.
absl::Status ExplainFolder(const absl::Status& status, const std::string& folder) {
  if (!absl::IsNotFound(status) && !absl::IsFailedPrecondition(status)) return status;
  const std::string inside = JoinPath(folder, "model");
  const bool has_model = PosixEnv()->FileExists(JoinPath(inside, "config.json"));
  const std::string hint = has_model ? absl::StrCat("; did you mean ", inside, "?") : "";
  return absl::InvalidArgumentError(absl::StrCat(status.message(), hint));
}

absl::StatusOr<Loaded> Load(const std::string& folder) {
  Loaded loaded;
  SHOAL_ASSIGN_OR_RETURN(
      const kernels::CpuDeviceOptions options,
      kernels::CpuDeviceOptions::FromEnvironment(std::max(1u, std::thread::hardware_concurrency())));
  SHOAL_ASSIGN_OR_RETURN(loaded.device, kernels::CpuDevice::Create(options));
  auto predictor = tasks::Predictor::Load(PosixEnv(), folder, loaded.device.get());
  SHOAL_RETURN_IF_ERROR(ExplainFolder(predictor.status(), folder));
  loaded.predictor = *std::move(predictor);
  return loaded;
}

// The words of the formats of examples with labels.
std::vector<std::string> FormatsWithLabels() {
  std::vector<std::string> words;
  for (const tasks::FormatInfo& info : tasks::Formats()) {
    if (info.records != tasks::RecordKind::kOneText)
      words.push_back(WordOf(DataFormat_descriptor()->FindValueByNumber(info.format)));
  }
  return words;
}

// Errors: INVALID_ARGUMENT when the files have no format of the task, or more than one.
absl::Status CheckFormat(const ModelFlags& flags, TaskType task, const DataSpec& data) {
  const auto& formats = RuleOf(task).formats();
  if (data.has_format() && std::count(formats.begin(), formats.end(), data.format()) > 0)
    return absl::OkStatus();
  std::vector<std::string> words;
  for (const int format : formats)
    words.push_back(WordOf(DataFormat_descriptor()->FindValueByNumber(format)));
  return absl::InvalidArgumentError(
      absl::StrCat("--data: expected files with labels (", absl::StrJoin(words, ", "), "), got ",
                   absl::StrJoin(flags.data, ", "), "; give the format of all files with --format"));
}

// The rules of job files for the fields of `data` that the flags give.
absl::Status CheckDataFlags(const ModelFlags& flags, const JobSpec& spec) {
  const std::map<std::string, std::pair<const char*, bool>> given = {
      {"data.text", {"--text", !flags.text.empty()}},
      {"data.pair", {"--pair", !flags.pair.empty()}},
      {"data.label", {"--label", !flags.label.empty()}},
      {"data.label_separator", {"--label-separator", !flags.label_separator.empty()}},
      {"data.ignored_labels", {"--ignored-labels", !flags.ignored_labels.empty()}},
  };
  std::vector<std::string> lines;
  for (const JobProblem& problem : FindJobProblems(spec)) {
    const auto flag = given.find(problem.field.substr(0, problem.field.find('[')));
    if (flag == given.end() || !flag->second.second) continue;
    lines.push_back(absl::StrCat(flag->second.first, ": ", problem.message));
  }
  return lines.empty() ? absl::OkStatus() : ProblemsToStatus(std::move(lines));
}

// The part of a job that describes how to read data files. Errors: INVALID_ARGUMENT.
absl::StatusOr<DataSpec> DataSpecOf(const ModelFlags& flags, TaskType task) {
  JobSpec spec;
  spec.set_task(task);
  DataSpec* const data = spec.mutable_data();
  for (const std::string& column : flags.text) data->add_text(column);
  for (const std::string& column : flags.pair) data->add_pair(column);
  for (const std::string& file : flags.data) data->add_files(file);
  if (!flags.label.empty()) data->set_label(flags.label);
  if (!flags.label_separator.empty()) data->set_label_separator(flags.label_separator);
  for (const std::string& label : flags.ignored_labels) data->add_ignored_labels(label);
  if (!flags.format.empty()) {
    SHOAL_ASSIGN_OR_RETURN(const auto* format, FindWord(DataFormat_descriptor(), flags.format));
    data->set_format(static_cast<DataFormat>(format->number()));
  }
  CompleteJob(&spec);
  SHOAL_RETURN_IF_ERROR(CheckFormat(flags, task, *data));
  SHOAL_RETURN_IF_ERROR(CheckDataFlags(flags, spec));
  if (data->text_size() == 0) data->add_text(kTextColumn);
  if (!data->has_label()) data->set_label(kLabelColumn);
  return *data;
}

absl::Status CheckTakesPairs(TaskType task, const char* flag) {
  if (RuleOf(task).takes_pairs()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": a model for ", WordOf(task), " takes no pairs of texts"));
}

// Whether the file can be written, before a long evaluation; what is in it stays. It must not be one of the
// data.
absl::Status CheckPredictionsFile(const ModelFlags& flags) {
  for (const std::string& file : flags.data) {
    std::error_code error;  // of a file that does not exist, which is another
    if (!std::filesystem::equivalent(file, flags.predictions, error)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--predictions: would replace ", file, ", which is one of --data; give another file"));
  }
  if (PosixEnv()->FileExists(flags.predictions))
    return PosixEnv()->NewWritableFile(flags.predictions, WriteMode::kAppend).status();
  return PosixEnv()->WriteFileAtomic(flags.predictions, "");
}

absl::Status WritePredictions(const ModelFlags& flags, const DataSpec& data, tasks::Predictor* predictor);

absl::Status Evaluate(const ModelFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const Loaded loaded, Load(flags.model));
  const TaskType task = loaded.predictor->task().type();
  if (RuleOf(task).unlabelled()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.model, ": a model for ", WordOf(task), " has no labels to compare with"));
  }
  if (!flags.pair.empty()) SHOAL_RETURN_IF_ERROR(CheckTakesPairs(task, "--pair"));
  if (flags.top > 0 && flags.predictions.empty())
    return absl::InvalidArgumentError("--top: has no effect without --predictions");
  if (!flags.predictions.empty()) SHOAL_RETURN_IF_ERROR(CheckPredictionsFile(flags));
  SHOAL_ASSIGN_OR_RETURN(const DataSpec data, DataSpecOf(flags, task));
  SHOAL_ASSIGN_OR_RETURN(const EvaluationStatistics statistics,
                         loaded.predictor->Evaluate(PosixEnv(), flags.data, data));
  const std::vector<std::string>& labels = loaded.predictor->config().labels;
  if (flags.json) {
    Json json = EvaluationJson(task, statistics);
    AddLabels(task, labels, statistics, &json);
    absl::FPrintF(stdout, "%s\n", json.dump(2));
  } else {
    PrintEvaluation(task, labels, statistics, stdout);
  }
  return flags.predictions.empty() ? absl::OkStatus() : WritePredictions(flags, data, loaded.predictor.get());
}

// Where the characters of valid UTF-8 begin, and at last its end.
std::vector<size_t> CharactersOf(const std::string& text) {
  std::vector<size_t> begins;
  for (size_t at = 0; at < text.size(); at += model::CharacterAt(text, at).bytes) begins.push_back(at);
  begins.push_back(text.size());
  return begins;
}

// The spans to show, and of those of one group not more than the flags say.
Json SpansOf(const ModelFlags& flags, const tasks::Predictor::OfText& of) {
  const std::vector<tasks::LabelledSpan>& spans = of.prediction.spans;
  const std::string& text = of.prediction.in_pair ? *of.pair : of.text;
  const std::vector<size_t> at = CharactersOf(text);
  Json shown = Json::array();
  const bool alternatives = of.prediction.alternatives > 0;
  const size_t most = flags.top > 0 ? flags.top : of.prediction.alternatives;
  size_t of_group = 0;  // spans of the same group before this one
  for (size_t i = 0; i < spans.size(); ++i) {
    const tasks::LabelledSpan& span = spans[i];
    of_group = i > 0 && span.group == spans[i - 1].group ? of_group + 1 : 0;
    if (alternatives && of_group >= most) continue;
    const size_t begin = at[span.place.begin];
    shown.push_back({{"label", span.label},
                     {"begin", span.place.begin},
                     {"end", span.place.end},
                     {"text", text.substr(begin, at[span.place.end] - begin)},
                     {"value", span.score}});
  }
  return shown;
}

// The labels to show.
Json LabelsOf(const ModelFlags& flags, const std::vector<std::string>& labels,
              const tasks::Predictor::OfText& of) {
  const std::vector<float>& values = of.prediction.values;
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  order.resize(std::min(order.size(), flags.top > 0 ? flags.top : of.prediction.chosen));
  Json shown = Json::array();
  for (size_t i : order) shown.push_back({{"label", labels[i]}, {"value", values[i]}});
  return shown;
}

Json PredictionJson(const ModelFlags& flags, const tasks::Predictor& predictor,
                    const tasks::Predictor::OfText& of) {
  Json json = {{"text", of.text}};
  if (of.pair) json["pair"] = *of.pair;
  if (of.cut) json["cut"] = true;
  if (of.prediction.values.empty()) {
    json["spans"] = SpansOf(flags, of);
  } else {
    json["predictions"] = LabelsOf(flags, predictor.config().labels, of);
  }
  return json;
}

// A line; what is not UTF-8 is replaced instead of failing.
std::string LineOf(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void PrintPrediction(const Json& json) {
  if (json.contains("spans")) {
    for (const Json& span : json["spans"]) {
      absl::FPrintF(stdout, "%s %.3f [%d,%d) %s\n", span["label"].get<std::string>(),
                    span["value"].get<double>(), span["begin"].get<int>(), span["end"].get<int>(),
                    span["text"].get<std::string>());
    }
  } else {
    if (json["predictions"].empty()) absl::FPrintF(stdout, "(no label)  ");
    for (const Json& label : json["predictions"])
      absl::FPrintF(stdout, "%s %.3f  ", label["label"].get<std::string>(), label["value"].get<double>());
  }
  const std::string pair = json.contains("pair") ? "  |  " + json["pair"].get<std::string>() : "";
  absl::FPrintF(stdout, " %s%s\n", json["text"].get<std::string>(), pair);
}

absl::Status PredictOne(const ModelFlags& flags, tasks::Predictor* predictor, const std::string& text,
                        const std::optional<std::string>& pair = std::nullopt) {
  SHOAL_ASSIGN_OR_RETURN(const tasks::Predictor::OfText of, predictor->Predict(text, pair));
  if (of.cut) {
    const bool of_question = RuleOf(predictor->task().type()).needs_pairs();
    absl::FPrintF(stderr, "shoal: the model reads at most %d tokens%s, and some of this was left out: %s\n",
                  predictor->max_length(), of_question ? " (of a question half of them)" : "",
                  ToQuoted(text));
  }
  if (flags.top > 0 && of.prediction.values.empty() && of.prediction.alternatives == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--top: ", flags.model, " labels parts of a text, and all that it finds are shown"));
  }
  const Json json = PredictionJson(flags, *predictor, of);
  if (flags.json) {
    absl::FPrintF(stdout, "%s", LineOf(json));
  } else {
    PrintPrediction(json);
  }
  return absl::OkStatus();
}

// A line of JSON for each example, with what the data say of it.
absl::Status WritePredictions(const ModelFlags& flags, const DataSpec& data, tasks::Predictor* predictor) {
  SHOAL_ASSIGN_OR_RETURN(const tasks::ExampleSet set,
                         tasks::ReadExamples(PosixEnv(), data.files(), data, predictor->task()));
  std::string lines;
  for (const tasks::Example& example : set.examples) {
    const auto of = predictor->Predict(example);
    if (!of.ok()) return Annotate(of.status(), set.Origin(example));
    Json json = {{"labels", example.labels}};
    if (!example.id.empty()) json["id"] = example.id;
    if (!example.words.empty()) json["words"] = Json::array();
    for (const TextSpan& word : example.words) json["words"].push_back({word.begin, word.end});
    json.update(PredictionJson(flags, *predictor, *of));
    lines += LineOf(json);
  }
  return PosixEnv()->WriteFileAtomic(flags.predictions, lines);
}

// A line of standard input: the two texts with a tab between them.
absl::Status PredictPairLine(const ModelFlags& flags, tasks::Predictor* predictor, const std::string& line,
                             uint64_t number) {
  const size_t tab = line.find('\t');
  if (tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--pairs: line ", number,
        " of standard input: expected two texts with a tab between them, got: ", ToQuoted(line)));
  }
  return PredictOne(flags, predictor, line.substr(0, tab), line.substr(tab + 1));
}

// Calls `predict` for the lines of standard input, whose ends may be those of Windows. Output that can't be
// written is reported by main.
absl::Status ForEachInputLine(
    absl::FunctionRef<absl::Status(const std::string& line, uint64_t number)> predict) {
  uint64_t number = 0;
  for (std::string line; std::ferror(stdout) == 0 && std::getline(std::cin, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    SHOAL_RETURN_IF_ERROR(predict(line, ++number));
  }
  return absl::OkStatus();
}

absl::Status PredictPairs(const ModelFlags& flags, tasks::Predictor* predictor) {
  SHOAL_RETURN_IF_ERROR(CheckTakesPairs(predictor->task().type(), "--pairs"));
  if (flags.texts.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--pairs: expected two texts for each pair, got ", flags.texts.size(), " in all"));
  }
  for (size_t i = 0; i < flags.texts.size(); i += 2)
    SHOAL_RETURN_IF_ERROR(PredictOne(flags, predictor, flags.texts[i], flags.texts[i + 1]));
  if (!flags.texts.empty()) return absl::OkStatus();
  return ForEachInputLine([&](const std::string& line, uint64_t number) {
    return line.empty() ? absl::OkStatus() : PredictPairLine(flags, predictor, line, number);
  });
}

absl::Status Predict(const ModelFlags& flags) {
  SHOAL_ASSIGN_OR_RETURN(const Loaded loaded, Load(flags.model));
  const TaskType task = loaded.predictor->task().type();
  if (!flags.pairs && RuleOf(task).needs_pairs()) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.model, " answers questions about texts: give both with --pairs \"QUESTION\" \"TEXT\""));
  }
  if (flags.pairs) return PredictPairs(flags, loaded.predictor.get());
  for (const std::string& text : flags.texts)
    SHOAL_RETURN_IF_ERROR(PredictOne(flags, loaded.predictor.get(), text));
  if (!flags.texts.empty()) return absl::OkStatus();
  return ForEachInputLine(
      [&](const std::string& line, uint64_t) { return PredictOne(flags, loaded.predictor.get(), line); });
}

}  // namespace

void AddModelCommands(CLI::App* app, CommandResult* result) {
  {
    const auto flags = std::make_shared<ModelFlags>();
    CLI::App* const command = app->add_subcommand("eval", "Evaluate a model on labelled examples");
    command->add_option("model", flags->model, "Folder of an exported model")->required()->type_name("DIR");
    command->add_option("--data", flags->data, "Files of examples")->required()->type_name("FILE");
    command->add_option("--text", flags->text,
                        "Columns that form the text (default: text, or those of the format)");
    command->add_option("--pair", flags->pair, "Columns that form the second text of a pair (default: none)");
    command->add_option("--label", flags->label,
                        "Column of the label (default: label, or that of the format)");
    command->add_option("--format", flags->format, "Format of the files (default: by their extension)")
        ->check(CLI::IsMember(FormatsWithLabels()));
    command->add_option("--label-separator", flags->label_separator,
                        "Separates several labels of one example (default: that of the task)");
    command->add_option("--ignored-labels", flags->ignored_labels,
                        "Labels whose examples, or words, don't count (default: none)");
    command
        ->add_option("--predictions", flags->predictions,
                     "Write a JSON line with the predictions for each example to this file")
        ->type_name("FILE");
    AddNumberOption(command, "--top", &flags->top, 1, 1'000'000,
                    "How many labels or answers of an example to write (default: as of predict)");
    command->add_flag("--json", flags->json, "Print JSON");
    command->footer("Example:\n  shoal eval out/mine/model --data dev.tsv --text text --label section");
    command->callback([flags, result] { result->Set(Evaluate(*flags)); });
  }
  {
    const auto flags = std::make_shared<ModelFlags>();
    CLI::App* const command = app->add_subcommand(
        "predict", "Predict labels for texts, answers to questions, or what [MASK] stands for");
    command->add_option("model", flags->model, "Folder of an exported model")->required()->type_name("DIR");
    command->add_option("texts", flags->texts, "Texts (default: the lines of standard input)")
        ->type_name("TEXT");
    command->add_flag(
        "--pairs", flags->pairs,
        "The texts come in pairs: two arguments for each, or two texts separated by a tab on each line");
    AddNumberOption(command, "--top", &flags->top, 1, 1'000'000,
                    "How many labels or answers to show of a text, or tokens of a [MASK] (default: those "
                    "that are predicted, 5)");
    command->add_flag("--json", flags->json, "Print a JSON line for each text");
    command->footer(
        "Examples:\n  shoal predict out/mine/model \"a text\" \"another\"\n  shoal predict out/mine/model "
        "--top 3 < texts.txt\n  shoal predict out/mine/model --pairs \"a question\" \"an answer\"");
    command->callback([flags, result] { result->Set(Predict(*flags)); });
  }
}

}  // namespace shoal::tools
