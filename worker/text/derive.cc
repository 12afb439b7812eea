#include "worker/text/derive.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/artifact_names.h"
#include "common/job/data_files.h"
#include "common/job/job_rules.h"
#include "common/job/schedule.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_trainer.h"
#include "model/trainable_parameters.h"
#include "tasks/batches.h"
#include "tasks/data/split.h"
#include "tasks/dataset.h"
#include "tasks/encode.h"
#include "tasks/registry.h"
#include "worker/text/class_weights.h"
#include "worker/text/trainable_choice.h"

namespace shoal::worker {
namespace {

using tasks::ExampleSet;
using tasks::Part;

constexpr size_t kMaxPlan_bytes = 8 << 20;  // half of what a message may have

// Where an existing vocabulary is, and the field that says so: both empty when one is made, and for bytes.
struct GivenVocabulary {
  std::string path;
  const char* field = "";
};

GivenVocabulary VocabularyOf(const JobSpec& spec) {
  if (spec.tokenizer().type() == TOKENIZER_TYPE_BYTES) return {};
  if (spec.tokenizer().has_path()) return {spec.tokenizer().path(), "tokenizer.path"};
  return spec.model().has_from() ? GivenVocabulary{spec.model().from(), "model.from"} : GivenVocabulary();
}

// All files that the job reads, each with the field that names it.
absl::StatusOr<std::map<std::string, std::string>> FilesOf(Env* env, const JobSpec& spec) {
  std::map<std::string, std::string> files;
  for (const DataFile& file : DataFilesOf(spec)) files[file.path] = file.field;
  if (spec.model().has_from()) {
    const std::string& folder = spec.model().from();
    files[JoinPath(folder, model::kConfigFile)] = "model.from";
    SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> weights,
                           Annotate(model::WeightsFilesAt(env, folder), "model.from"));
    for (const std::string& path : weights) files[path] = "model.from";
    const std::string tokenizer = JoinPath(folder, model::kTokenizerConfigFile);
    if (!spec.model().has_max_length() && env->FileExists(tokenizer)) files[tokenizer] = "model.from";
  }
  // Without the folder of model.from, config.json is what is missing.
  const GivenVocabulary given = VocabularyOf(spec);
  if (given.path.empty() || (!spec.tokenizer().has_path() && !env->FileExists(given.path))) return files;
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                         Annotate(model::TokenizerFilesAt(env, given.path), given.field));
  for (const std::string& path : paths) files[path] = given.field;
  return files;
}

absl::Status AddDigest(Env* env, const std::string& file, JobPlan* plan) {
  FileDigest& digest = *plan->add_files();
  digest.set_path(file);
  SHOAL_ASSIGN_OR_RETURN(*digest.mutable_sha256(), env->Sha256OfFile(file));
  SHOAL_ASSIGN_OR_RETURN(const uint64_t bytes, env->FileSize(file));
  digest.set_bytes(bytes);
  return absl::OkStatus();
}

absl::Status AddDigests(Env* env, const JobSpec& spec, JobPlan* plan) {
  SHOAL_ASSIGN_OR_RETURN(const auto files, FilesOf(env, spec));
  for (const auto& [file, field] : files) SHOAL_RETURN_IF_ERROR(Annotate(AddDigest(env, file, plan), field));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<model::Tokenizer>> MakeTokenizer(Env* env, const JobSpec& spec,
                                                                const ExampleSet& training,
                                                                const Progress& progress) {
  if (spec.tokenizer().type() == TOKENIZER_TYPE_BYTES) return model::MakeByteTokenizer();
  const GivenVocabulary given = VocabularyOf(spec);
  if (!given.path.empty()) return Annotate(model::ReadTokenizer(env, given.path), given.field);
  std::vector<absl::string_view> lines;
  for (const tasks::Example& example : training.examples) {
    lines.push_back(example.text);
    if (example.pair) lines.push_back(*example.pair);
  }
  model::UnigramTrainerOptions options;
  options.vocab_size = spec.tokenizer().vocab_size();
  if (spec.tokenizer().lowercase()) options.letter_case = model::LetterCase::kLower;
  options.progress = progress;
  SHOAL_ASSIGN_OR_RETURN(const std::string bytes, model::TrainUnigram(lines, options));
  return Annotate(model::LoadTokenizer(bytes), "the new vocabulary");
}

// A warning for labels that are likely to be meant as one.
void NoteSimilarLabels(const std::vector<std::string>& labels, JobPlan* plan) {
  std::map<std::string, std::string> seen;  // by what is left without letter case and spaces around it
  for (const std::string& label : labels) {
    const std::string bare = absl::AsciiStrToLower(absl::StripAsciiWhitespace(label));
    const auto [other, is_new] = seen.emplace(bare, label);
    if (is_new) continue;
    plan->add_notes(absl::StrCat("labels '", ToQuoted(other->second), "' and '", ToQuoted(label),
                                 "' differ only in letter case or spaces, and count as two"));
    return;
  }
}

// ---- model ----

// Those of a job that goes on with a model that has some must be the same: without them, or with other parts
// of the model trained, it would be another model.
absl::Status SetAdapters(const JobSpec& spec, model::ModelConfig* config) {
  const model::BottleneckConfig wanted = {static_cast<int64_t>(spec.adapters().size()),
                                          spec.adapters().placement()};
  const model::BottleneckConfig there = config->adapters;
  if (there.size > 0 &&
      (!spec.has_adapters() || wanted.size != there.size || wanted.placement != there.placement)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "adapters: the model in model.from has adapters; expected the same ones here, size ", there.size,
        " and placement ", WordOf(AdapterPlacement_descriptor()->FindValueByNumber(there.placement))));
  }
  if (spec.has_adapters()) config->adapters = wanted;
  return absl::OkStatus();
}

absl::StatusOr<model::ModelConfig> MakeConfig(Env* env, const JobSpec& spec,
                                              const model::Tokenizer& tokenizer,
                                              std::vector<std::string> labels) {
  const HeadType head = tasks::TaskOf(spec).head();
  model::ModelConfig config;
  if (spec.model().has_from()) {
    SHOAL_ASSIGN_OR_RETURN(config,
                           model::ReadModelConfig(env, spec.model().from(), model::HeadUse::kReplaced));
    model::ApplySpec(spec.model(), head, std::move(labels), &config);
    // A vocabulary that comes in files may be smaller than the model's, which is padded to a round number.
    const bool exact = VocabularyOf(spec).path.empty();
    if (config.vocab_size < tokenizer.vocab_size() ||
        (exact && config.vocab_size != tokenizer.vocab_size())) {
      const bool bytes = spec.tokenizer().type() == TOKENIZER_TYPE_BYTES;
      return absl::InvalidArgumentError(absl::StrCat(
          "tokenizer: ", tokenizer.vocab_size(), " pieces, but the model of model.from has ",
          config.vocab_size,
          bytes ? "; with `tokenizer: {type: sentencepiece}` the vocabulary is the folder's" : ""));
    }
  } else {
    const model::SpecialTokens& special = tokenizer.special();
    // What is trained on hidden tokens may be meant for pairs.
    const TaskRule& rule = RuleOf(spec.task());
    const bool of_pairs = spec.data().pair_size() > 0 || rule.hides_tokens() || rule.needs_pairs();
    const int64_t token_types = of_pairs ? 2 : 1;
    config = model::ConfigFromSpec(spec.model(), head,
                                   {tokenizer.vocab_size(), special.pad, special.sep, token_types},
                                   std::move(labels));
  }
  config.task = tasks::TaskOf(head).type() == spec.task() ? "" : WordOf(spec.task());
  if (spec.has_lora()) config.lora = model::LoraOf(spec.lora());
  SHOAL_RETURN_IF_ERROR(SetAdapters(spec, &config));
  SHOAL_RETURN_IF_ERROR(Annotate(model::CheckModelConfig(config), "model"));
  SHOAL_RETURN_IF_ERROR(model::CheckLoraTargets(config));
  return config;
}

// The maximum number of tokens of an example.
absl::StatusOr<uint32_t> MaxLength(Env* env, const JobSpec& spec, const model::ModelConfig& config) {
  if (!spec.model().has_max_length()) return model::ReadMaxLength(env, spec.model().from(), config);
  if (spec.model().max_length() > config.max_position_embeddings) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.max_length: expected at most the ", config.max_position_embeddings,
                     " positions of the model in model.from, got ", spec.model().max_length()));
  }
  return spec.model().max_length();
}

// "trained: 4 of 40 tensors, 75653 of 22565381 parameters"
std::string TrainableText(const model::Parameters& parameters, const model::TrainableParameters& trainable) {
  return absl::StrCat("trained: ", trainable.infos().size(), " of ", parameters.infos.size(), " tensors, ",
                      trainable.size(), " of ", parameters.size, " parameters");
}

// The trainable parameters. Those found in the folder of model.from start from its weights.
absl::Status AddParameters(Env* env, const JobSpec& spec, const model::ModelConfig& config,
                           DerivedJob* derived) {
  model::Parameters parameters = model::MakeParameters(config);
  SHOAL_RETURN_IF_ERROR(SetRateFactors(spec, &parameters));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<bool> trains, ChooseTrainable(spec, parameters));
  const model::TrainableParameters trainable(parameters, trains);
  for (const ParameterInfo& info : trainable.infos()) *derived->plan.add_parameters() = info;
  for (uint64_t size : trainable.group_sizes()) derived->plan.add_group_sizes(size);
  if (!spec.model().has_from()) return absl::OkStatus();
  const std::string& folder = spec.model().from();
  SHOAL_ASSIGN_OR_RETURN(model::LoadedWeights weights, model::ReadWeights(env, folder, parameters));
  const auto of = model::ReadModelConfig(env, folder);
  model::MatchHead(of.ok() ? &*of : nullptr, config, parameters, &weights);
  for (std::string& line : model::DescribeWeights(folder, parameters, weights))
    derived->plan.add_notes(std::move(line));
  int next = 0;
  for (size_t i = 0; i < weights.found.size(); ++i) {
    if (!trains[i]) continue;
    ParameterInfo& parameter = *derived->plan.mutable_parameters(next++);
    if (weights.found[i]) parameter.mutable_init()->set_kind(Initializer::ARTIFACT);
  }
  derived->artifacts[kWeightsArtifact] = model::BytesOf(trainable.Trainable(weights.theta));
  if (trainable.all_train()) return absl::OkStatus();
  derived->artifacts[kFrozenArtifact] = model::BytesOf(trainable.Frozen(weights.theta));
  derived->plan.add_notes(TrainableText(parameters, trainable));
  return absl::OkStatus();
}

// It is sent in one message, which gRPC would refuse to send again and again.
absl::Status CheckSize(const JobPlan& plan) {
  if (plan.ByteSizeLong() <= kMaxPlan_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the names of ", plan.labels_size(), " labels and ", plan.parameters_size(), " parameters have ",
      plan.ByteSizeLong(), " bytes; expected at most ", kMaxPlan_bytes, ": is data.label the right column?"));
}

}  // namespace

std::optional<kernels::Bf16Class> Bf16ClassOf(const JobSpec& spec) {
  if (spec.numerics() == NUMERICS_ANY) return std::nullopt;
  return spec.numerics() == NUMERICS_AMX_BF16 ? kernels::Bf16Class::kAmx : kernels::Bf16Class::kAvx512;
}

std::string NumericsOf(const JobSpec& spec) {
  if (spec.train().precision() != PRECISION_BF16) return "f32";
  const std::optional<kernels::Bf16Class> bf16_class = Bf16ClassOf(spec);
  return bf16_class ? std::string(kernels::Bf16ClassName(*bf16_class)) : "any";
}

absl::StatusOr<DerivedJob> DeriveTextJob(Env* env, const JobSpec& spec, const Progress& progress,
                                         ThreadPool* pool) {
  DerivedJob derived;
  JobPlan& plan = derived.plan;
  const tasks::Task& task = tasks::TaskOf(spec);
  SHOAL_RETURN_IF_ERROR(AddDigests(env, spec, &plan));
  SHOAL_ASSIGN_OR_RETURN(tasks::SplitExamples parts, tasks::ReadParts(env, spec, task));
  for (tasks::Example& example : parts[Part::kTrain].examples) {
    example.labels_every_token = spec.data().labelled_tokens() == LABELLED_TOKENS_ALL;
    task.RewriteText(&example.text);
  }
  SHOAL_ASSIGN_OR_RETURN(const std::vector<std::string> labels,
                         task.LabelsOf(spec.data(), parts[Part::kTrain]));
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<model::Tokenizer> tokenizer,
                         MakeTokenizer(env, spec, parts[Part::kTrain], progress));
  SHOAL_ASSIGN_OR_RETURN(const model::ModelConfig config, MakeConfig(env, spec, *tokenizer, labels));
  if (!config.causal()) SHOAL_RETURN_IF_ERROR(Annotate(model::CheckForEncoders(*tokenizer), "tokenizer"));
  SHOAL_ASSIGN_OR_RETURN(const uint32_t max_length, MaxLength(env, spec, config));

  tasks::Dataset dataset;
  dataset.task = spec.task();
  dataset.labels = static_cast<uint32_t>(labels.size());
  if (task.target_kind() == TargetKind::kHiddenTokens) {
    const std::optional<uint32_t> mask = tasks::TokenizerEncoder(*tokenizer).mask_token();
    if (!mask) {
      return absl::InvalidArgumentError(
          "tokenizer: has no token to hide others with, such as [MASK] or <mask>");
    }
    dataset.mask_token = *mask;
    dataset.vocab_size = tokenizer->vocab_size();
  }
  for (int i = 0; i < tasks::kNumParts; ++i) {
    SHOAL_ASSIGN_OR_RETURN(dataset.part[i], tasks::EncodeExamples(parts.part[i], *tokenizer, max_length, task,
                                                                  labels, progress, pool));
    if (static_cast<Part>(i) == Part::kTrain) dataset.part[i].notes.clear();
    SHOAL_RETURN_IF_ERROR(Annotate(
        tasks::FitTypes(static_cast<uint64_t>(config.type_vocab_size), &dataset.part[i]), "data.pair"));
  }
  const tasks::BatchOrder order(&dataset.part[0], spec.seed(), spec.train().slots(),
                                spec.train().slot_batch());
  const TrainingLength length = LengthOf(spec.train(), order.rounds_per_epoch());
  SHOAL_RETURN_IF_ERROR(CheckLength(spec, length));

  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> class_weights,
                         ClassWeights(spec.loss(), labels, dataset[Part::kTrain].classes));
  for (float weight : class_weights) plan.add_class_weights(weight);
  plan.set_rounds(length.rounds);
  plan.set_rounds_per_epoch(length.rounds_per_epoch);
  for (const std::string& label : labels) plan.add_labels(label);
  NoteSimilarLabels(labels, &plan);
  plan.set_train_examples(dataset[Part::kTrain].size());
  plan.set_validation_examples(dataset[Part::kValidation].size());
  plan.set_test_examples(dataset[Part::kTest].size());
  plan.set_rare_examples(parts.rare_examples);
  if (spec.data().has_replay())
    plan.add_notes(absl::StrCat("replayed: ", parts.replayed_examples, " of ", parts.replayable_examples,
                                " old examples"));
  for (const tasks::EncodedPart& part : dataset.part) plan.set_cut_examples(plan.cut_examples() + part.cut);
  plan.set_numerics(NumericsOf(spec));
  plan.set_model_config(model::PrintModelConfig(config));
  plan.set_max_length(max_length);
  derived.artifacts[kTokenizerArtifact] = tokenizer->bytes();
  derived.artifacts[kDatasetArtifact] = tasks::SerializeDataset(dataset);
  SHOAL_RETURN_IF_ERROR(AddParameters(env, spec, config, &derived));
  SHOAL_RETURN_IF_ERROR(CheckSize(plan));
  return derived;
}

}  // namespace shoal::worker
