// FindJobProblems of common/job/job_spec.h: checks that involve several fields.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/utf8.h"
#include "common/job/class_weight.h"
#include "common/job/data_files.h"
#include "common/job/frozen_part.h"
#include "common/job/job_scalar.h"
#include "common/job/job_spec.h"
#include "common/job/rule_defaults.h"

namespace shoal {
namespace {

constexpr size_t kMaxNameBytes = 63;  // fits a folder, a host name and a Kubernetes label
constexpr double kSplitSlack = 1e-9;  // 0.9 + 0.05 + 0.05 is not 1 in binary

class Problems {
 public:
  // Notes a problem of `field` when `wrong`.
  template <typename... Text>
  void AddIf(bool wrong, const std::string& field, const Text&... text) {
    if (wrong) list_.push_back({field, absl::StrCat(text...), false});
  }
  void AddMissingIf(bool wrong, const std::string& field, const std::string& text) {
    if (wrong) list_.push_back({field, text, true});
  }
  void ForgetMissing(const std::string& field) {
    const auto is_it = [&](const JobProblem& problem) { return problem.missing && problem.field == field; };
    list_.erase(std::remove_if(list_.begin(), list_.end(), is_it), list_.end());
  }
  void Add(std::vector<JobProblem> more) { list_.insert(list_.end(), more.begin(), more.end()); }
  std::vector<JobProblem> Take() { return std::move(list_); }

 private:
  std::vector<JobProblem> list_;
};

// The value may be unknown to the enum.
template <typename Enum>
std::string Word(Enum value) {
  const auto* known = google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(value);
  return known == nullptr ? absl::StrCat(static_cast<int>(value)) : WordOf(known);
}

template <typename Enum>
std::vector<std::string> Words(const google::protobuf::RepeatedField<int>& values) {
  std::vector<std::string> words;
  for (int value : values) words.push_back(Word(static_cast<Enum>(value)));
  return words;
}

bool Holds(const google::protobuf::RepeatedField<int>& values, int value) {
  return std::count(values.begin(), values.end(), value) > 0;
}

// "tsv, csv or jsonl".
std::string Alternatives(const std::vector<std::string>& words) {
  const std::string last = words.empty() ? "" : words.back();
  if (words.size() < 2) return last;
  return absl::StrCat(absl::StrJoin(words.begin(), words.end() - 1, ", "), " or ", last);
}

// The tasks whose rule satisfies `is_such`.
std::string TasksWith(bool (*is_such)(const TaskRule& rule)) {
  std::vector<std::string> words;
  const auto* tasks = google::protobuf::GetEnumDescriptor<TaskType>();
  for (int i = 0; i < tasks->value_count(); ++i) {
    if (is_such(RuleOf(static_cast<TaskType>(tasks->value(i)->number()))))
      words.push_back(WordOf(tasks->value(i)));
  }
  return Alternatives(words);
}

bool IsName(const std::string& name) {
  return name.size() <= kMaxNameBytes && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; });
}

void CheckName(const JobSpec& job, Problems* problems) {
  problems->AddIf(!job.name().empty() && !IsName(job.name()), "name",
                  "expected letters, digits, '.', '_' and '-', at most ", kMaxNameBytes,
                  ", the first neither '.' nor '-'; got '", ToQuoted(job.name()), "'");
}

void CheckFilesOnce(const std::vector<DataFile>& files, Problems* problems) {
  std::set<std::string> seen;
  for (const DataFile& file : files)
    problems->AddIf(!seen.insert(file.path).second, file.field, "'", file.path, "' is listed twice");
}

// "'a.tsv' is tsv", for a file whose extension says it.
std::string FormatText(const DataFile& file) {
  return absl::StrCat("'", ToQuoted(file.path), "' is ", Word(*file.format));
}

bool IsRequiredWith(DataFormat format, const google::protobuf::FieldDescriptor* field) {
  JobSpec job;
  job.mutable_data()->set_format(format);
  FillRuleDefaults(&job);
  return RuleOf(field).required() && Applies(job.data(), field) && !IsSet(job.data(), field);
}

// While a job has no format, it misses only what it would miss with every format of its task.
void ForgetMissingByFormat(const TaskRule& task, Problems* problems) {
  const auto* data = DataSpec::descriptor();
  for (int i = 0; i < data->field_count(); ++i) {
    const bool required = std::all_of(task.formats().begin(), task.formats().end(), [&](int format) {
      return IsRequiredWith(static_cast<DataFormat>(format), data->field(i));
    });
    if (!required) problems->ForgetMissing(FieldPath("data", data->field(i)->name()));
  }
}

// Without a format: why CompleteJob could not infer it.
void CheckFormat(const JobSpec& job, const std::vector<DataFile>& files, Problems* problems) {
  if (job.data().has_format() || files.empty()) return;
  ForgetMissingByFormat(RuleOf(job.task()), problems);
  const DataFile* other = FileOfOtherFormat(files);
  if (other != nullptr) {
    return problems->AddMissingIf(
        true, other->field,
        absl::StrCat("by their extensions ", FormatText(*other), " and ", FormatText(files[0]),
                     "; all files of a job have one format: set data.format"));
  }
  problems->AddMissingIf(
      true, "data.format",
      absl::StrCat("is missing and can't be inferred from the extension of '", ToQuoted(files[0].path),
                   "'; expected ", Alternatives(Words<DataFormat>(RuleOf(job.task()).formats())),
                   " with task ", Word(job.task())));
}

void CheckFiles(const JobSpec& job, Problems* problems) {
  const DataSpec& data = job.data();
  const bool split = data.files_size() > 0;
  const bool given = data.train_files_size() > 0;
  problems->AddIf(
      !split && !given, "data.files",
      "is missing; expected 'files' (with 'split'), or 'train_files', 'validation_files' and 'test_files'");
  problems->AddIf(split && given, "data.train_files", "can't be combined with 'files': use one of them");
  const std::string alone = "is only for 'train_files'; 'files' are split by 'data.split'";
  problems->AddIf(split && data.validation_files_size() > 0, "data.validation_files", alone);
  problems->AddIf(split && data.test_files_size() > 0, "data.test_files", alone);
  const std::string without = "has no effect with 'train_files': only 'files' are split";
  problems->AddIf(given && !split && data.has_split(), "data.split", without);
  problems->AddIf(given && !split && data.has_group(), "data.group", without);
  const std::vector<DataFile> files = DataFilesOf(job);
  CheckFormat(job, files, problems);
  CheckFilesOnce(files, problems);
}

// Of a format whose columns have no names.
void CheckColumnNumbers(const DataSpec& data, Problems* problems) {
  const auto check = [&](const std::string& field, const std::string& column) {
    int number = 0;
    problems->AddIf(!absl::SimpleAtoi(column, &number) || number == 0, field,
                    "expected the number of a column (", "1: the first, -1: the last) with format ",
                    Word(data.format()), ", got '", column, "'");
  };
  for (int i = 0; i < data.text_size(); ++i) check(absl::StrCat("data.text[", i, "]"), data.text(i));
  if (data.has_label()) check("data.label", data.label());
}

void CheckFreeze(const JobSpec& job, Problems* problems) {
  const auto& freeze = job.train().freeze();
  problems->AddIf(!freeze.empty() && !job.model().has_from(), "train.freeze",
                  "needs 'model.from': parameters that start at random would never learn");
  problems->AddIf(job.has_adapters() && !job.model().has_from(), "adapters", "needs 'model.from'");
  problems->AddIf(job.has_adapters() && (job.has_lora() || !freeze.empty()), "adapters",
                  "can't be combined with ", job.has_lora() ? "'lora'" : "'train.freeze'",
                  ": each chooses what is trained");
  problems->AddIf(!freeze.empty() && job.has_lora(), "train.freeze",
                  "has no effect with 'lora', which freezes all of the model's own parameters but the head");
  problems->AddIf(job.has_lora() && !job.model().has_from(), "lora",
                  "needs 'model.from': the model that it adds to");
  for (int i = 0; i < freeze.size(); ++i) {
    const auto part = ParseFrozenPart(freeze[i]);
    problems->AddIf(!part.ok(), absl::StrCat("train.freeze[", i, "]"),
                    absl::string_view(part.status().message()));
  }
}

void CheckRates(const OptimizerSpec& optimizer, Problems* problems) {
  constexpr double kMaxRatio = 1e6;
  problems->AddIf(optimizer.has_head_learning_rate() &&
                      !(optimizer.head_learning_rate() <= kMaxRatio * optimizer.learning_rate() &&
                        optimizer.learning_rate() <= kMaxRatio * optimizer.head_learning_rate()),
                  "optimizer.head_learning_rate", "expected ", 1 / kMaxRatio, " to ", kMaxRatio,
                  " times learning_rate (", optimizer.learning_rate(), "), got ",
                  optimizer.head_learning_rate());
}

void CheckLoss(const JobSpec& job, Problems* problems) {
  problems->AddIf(job.data().has_labelled_tokens() && job.task() != TASK_TOKEN_CLASSIFICATION,
                  "data.labelled_tokens", "has no effect with task ", Word(job.task()));
  problems->AddIf(job.data().has_replay() && !job.model().has_from(), "data.replay",
                  "needs 'model.from': a model that was trained on these examples");
  problems->AddIf(job.data().has_replay() && RuleOf(job.task()).unlabelled(), "data.replay",
                  "has no effect with task ", Word(job.task()), ": list its files among the training files");
  problems->AddIf(job.data().ignored_labels_size() > 0 && !RuleOf(job.task()).chooses_label(),
                  "data.ignored_labels", "has no effect with task ", Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return other.chooses_label(); }));
  problems->AddIf(job.has_loss() && !RuleOf(job.task()).chooses_label(), "loss", "has no effect with task ",
                  Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return other.chooses_label(); }));
  const LossSpec& loss = job.loss();
  problems->AddIf(loss.label_smoothing() > 0 && loss.focusing() > 0, "loss.focusing",
                  "can't be combined with 'label_smoothing'");
  const auto& weights = loss.class_weights();
  if (weights.size() == 1 && weights[0] == kBalancedWeights) return;
  for (int i = 0; i < weights.size(); ++i) {
    const auto weight = ParseClassWeight(weights[i]);
    problems->AddIf(!weight.ok(), absl::StrCat("loss.class_weights[", i, "]"),
                    absl::string_view(weight.status().message()));
  }
}

void CheckMasking(const JobSpec& job, Problems* problems) {
  problems->AddIf(job.has_masking() && !RuleOf(job.task()).hides_tokens(), "masking",
                  "has no effect with task ", Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return other.hides_tokens(); }));
}

void CheckData(const JobSpec& job, Problems* problems) {
  const DataSpec& data = job.data();
  CheckFiles(job, problems);
  const double sum = data.split().train() + data.split().validation() + data.split().test();
  problems->AddIf(data.has_split() && sum > 1 + kSplitSlack, "data.split",
                  "train, validation and test sum to ", sum, "; expected at most 1");
  const TaskRule& rule = RuleOf(job.task());
  problems->AddIf(data.has_label_separator() && rule.label_separator().empty(), "data.label_separator",
                  "has no effect with task ", Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return !other.label_separator().empty(); }));
  const auto* min_class_count = DataSpec::descriptor()->FindFieldByName("min_class_count");
  problems->AddIf(data.min_class_count() > 0 && !rule.has_classes() && Applies(data, min_class_count),
                  "data.min_class_count", "has no effect with task ", Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return other.has_classes(); }));
  if (rule.unlabelled()) problems->ForgetMissing("data.label");
  const auto* label = DataSpec::descriptor()->FindFieldByName("label");
  const bool other_format = !Holds(rule.formats(), data.format()) || !Applies(data, label);
  problems->AddIf(data.has_label() && rule.unlabelled() && !other_format, "data.label",
                  "has no effect with task ", Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return !other.unlabelled(); }));
  problems->AddIf(data.pair_size() > 0 && !rule.takes_pairs(), "data.pair", "has no effect with task ",
                  Word(job.task()), "; only with ",
                  TasksWith([](const TaskRule& other) { return other.takes_pairs(); }));
  const auto& text = data.text();
  problems->AddIf(rule.one_text_column() && text.size() > 1, "data.text", "got ", text.size(),
                  " columns; expected one with task ", Word(job.task()));
  if (RuleOf(data.format()).text_size() > 0) CheckColumnNumbers(data, problems);
  for (const auto& columns : {text, data.pair()}) {
    problems->AddIf(data.has_label() && std::count(columns.begin(), columns.end(), data.label()) > 0,
                    "data.label", "'", data.label(),
                    "' is also a text column: the model would read the answer");
  }
}

// Unknown values are already reported for the field itself.
template <typename Enum>
void CheckAllowed(Enum value, const google::protobuf::RepeatedField<int>& allowed, const std::string& field,
                  TaskType task, Problems* problems) {
  const bool known = google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(value) != nullptr;
  problems->AddIf(known && !Holds(allowed, value), field, "expected ", Alternatives(Words<Enum>(allowed)),
                  " with task ", Word(task));
}

// Checks that the task supports the data, vocabulary and model.
void CheckTask(const JobSpec& job, Problems* problems) {
  const TaskType task = job.task();
  const TaskRule& rule = RuleOf(task);
  if (job.data().has_format())
    CheckAllowed(job.data().format(), rule.formats(), "data.format", task, problems);
  CheckAllowed(job.tokenizer().type(), rule.tokenizers(), "tokenizer.type", task, problems);
  if (!job.model().has_from())
    CheckAllowed(job.model().family(), rule.families(), "model.family", task, problems);
}

// What a family's config.json can't express.
void CheckFamily(const ModelSpec& model, Problems* problems) {
  const FamilyRule& rule = RuleOf(model.family());
  const bool known = rule.norms_size() > 0;  // otherwise already reported for the field itself
  problems->AddIf(known && !Holds(rule.norms(), model.norm()), "model.norm", "expected ",
                  Alternatives(Words<NormPlacement>(rule.norms())), " with family ", Word(model.family()),
                  ", got ", Word(model.norm()));
  problems->AddIf(rule.fixed_epsilon() && model.layer_norm_epsilon() != rule.layer_norm_epsilon(),
                  "model.layer_norm_epsilon", "expected ", rule.layer_norm_epsilon(), " with family ",
                  Word(model.family()), ", got ", model.layer_norm_epsilon());
}

void CheckModel(const JobSpec& job, Problems* problems) {
  const ModelSpec& model = job.model();
  problems->AddIf(RuleOf(job.task()).needs_vocabulary() &&
                      job.tokenizer().type() == TOKENIZER_TYPE_SENTENCEPIECE && !job.tokenizer().has_path() &&
                      !model.has_from(),
                  "tokenizer.path", "is missing; expected a folder with a vocabulary, as task ",
                  Word(job.task()), " makes none: what it would make loses white space");
  problems->AddIf(job.tokenizer().has_path() && job.tokenizer().has_vocab_size(), "tokenizer.vocab_size",
                  "has no effect with 'path': the size is that of the given vocabulary");
  problems->AddIf(job.tokenizer().lowercase() && (job.tokenizer().has_path() || model.has_from()),
                  "tokenizer.lowercase", "has no effect with ",
                  job.tokenizer().has_path() ? "'path'" : "'model.from'",
                  ": the given vocabulary has a normal form of its own");
  if (!model.has_from()) {
    problems->AddIf(model.heads() > 0 && model.hidden_size() % model.heads() != 0, "model.heads",
                    "expected a divisor of hidden_size ", model.hidden_size(), ", got ", model.heads());
    CheckFamily(model, problems);
    return;
  }
  for (const char* name : {"family", "hidden_size", "layers", "heads", "intermediate_size", "norm",
                           "activation", "layer_norm_epsilon"}) {
    const auto* field = ModelSpec::descriptor()->FindFieldByName(name);
    problems->AddIf(IsSet(model, field), absl::StrCat("model.", name),
                    "is given by the weights in 'from'; leave it out");
  }
}

void CheckTrain(const JobSpec& job, Problems* problems) {
  const TrainSpec& train = job.train();
  problems->AddMissingIf(train.length_case() == TrainSpec::LENGTH_NOT_SET, "train.epochs",
                         "is missing; expected 'epochs' or 'rounds', for example epochs: 3");
  problems->AddIf(train.micro_batches() > 0 && train.slot_batch() % train.micro_batches() != 0,
                  "train.micro_batches", "expected a divisor of slot_batch ", train.slot_batch(), ", got ",
                  train.micro_batches());
  problems->AddIf(job.numerics() == NUMERICS_AMX_BF16 && train.precision() != PRECISION_BF16, "numerics",
                  "amx-bf16 needs train.precision bf16");
  problems->AddIf(job.optimizer().nesterov() && job.optimizer().momentum() == 0, "optimizer.nesterov",
                  "needs momentum above 0");
  problems->AddIf(job.has_adversarial() && (job.has_lora() || job.has_adapters() || !train.freeze().empty()),
                  "adversarial",
                  "is not supported with 'lora', 'adapters' or 'train.freeze', as it needs the gradients of "
                  "the embeddings");
  problems->AddIf(job.optimizer().type() == OPTIMIZER_TYPE_LAMB && job.optimizer().clip_norm() > 0,
                  "optimizer.clip_norm",
                  "has no effect with type lamb, whose step has a length of its own; leave ", "it out");
}

void CheckWarmup(const JobSpec& job, Problems* problems) {
  const Interval& warmup = job.schedule().warmup();
  const TrainSpec& train = job.train();
  problems->AddIf(warmup.has_never(), "schedule.warmup",
                  "expected a number of rounds or epochs; for none: 0 rounds");
  problems->AddIf(warmup.has_rounds() && train.has_rounds() && warmup.rounds() > train.rounds(),
                  "schedule.warmup", "of ", FormatInterval(warmup), " is longer than the training of ",
                  train.rounds(), " rounds");
  problems->AddIf(warmup.has_epochs() && train.has_epochs() && warmup.epochs() > train.epochs(),
                  "schedule.warmup", "of ", FormatInterval(warmup), " is longer than the training of ",
                  FormatDouble(train.epochs()), " epochs");
}

void CheckRepeats(const Interval& every, const std::string& field, Problems* problems) {
  const bool zero =
      (every.has_rounds() && every.rounds() == 0) || (every.has_epochs() && every.epochs() == 0);
  problems->AddIf(zero, field, "expected more than 0; to switch it off: never");
}

void CheckEvaluation(const JobSpec& job, Problems* problems) {
  const EvaluationSpec& evaluation = job.evaluation();
  const bool never = evaluation.every().never();
  problems->AddIf(!never && !HasValidation(job), "evaluation.every",
                  "needs validation examples: set data.split.validation or data.validation_files");
  problems->AddIf(never && evaluation.patience() > 0, "evaluation.patience",
                  "has no effect when 'every' is never");
  problems->AddIf(never && evaluation.keep_best(), "evaluation.keep_best",
                  "has no effect when 'every' is never");
  const auto& metrics = RuleOf(job.task()).metrics();
  const bool fits = Holds(metrics, evaluation.metric());
  problems->AddIf(!fits && Metric_IsValid(evaluation.metric()), "evaluation.metric", "expected one of ",
                  absl::StrJoin(Words<Metric>(metrics), ", "), " with task ", Word(job.task()), ", got ",
                  Word(evaluation.metric()));
}

void CheckCluster(const JobSpec& job, Problems* problems) {
  const ClusterSpec& cluster = job.cluster();
  problems->AddIf(job.train().slots() > 0 && cluster.min_workers() > job.train().slots(),
                  "cluster.min_workers", "expected at most train.slots (", job.train().slots(), "), got ",
                  cluster.min_workers(), ": a worker without a slot has nothing to do");
  problems->AddIf(cluster.replication() > 0, "cluster.replication", "replication ", cluster.replication(),
                  " is not supported in this version; use 0");
}

}  // namespace

std::vector<JobProblem> FindJobProblems(const JobSpec& job) {
  Problems problems;
  problems.Add(FindFieldProblems(job));
  if (!TaskType_IsValid(job.task())) return problems.Take();  // all other checks depend on it
  CheckName(job, &problems);
  CheckData(job, &problems);
  CheckMasking(job, &problems);
  CheckFreeze(job, &problems);
  CheckRates(job.optimizer(), &problems);
  CheckLoss(job, &problems);
  CheckModel(job, &problems);
  CheckTask(job, &problems);
  CheckTrain(job, &problems);
  CheckWarmup(job, &problems);
  CheckRepeats(job.evaluation().every(), "evaluation.every", &problems);
  CheckRepeats(job.checkpoint().every(), "checkpoint.every", &problems);
  CheckRepeats(job.log_every(), "log_every", &problems);
  CheckEvaluation(job, &problems);
  CheckCluster(job, &problems);
  return problems.Take();
}

}  // namespace shoal
