#include "common/job/job_spec.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

// The smallest valid job.
JobSpec SmallJob() {
  JobSpec job;
  job.set_name("small");
  job.set_task(TASK_TEXT_CLASSIFICATION);
  job.mutable_data()->add_files("a.tsv");
  job.mutable_data()->add_text("text");
  job.mutable_data()->set_label("label");
  job.mutable_train()->set_epochs(3);
  job.mutable_optimizer()->set_learning_rate(0.001);
  return job;
}

// The problems of the small job after `change`, completed.
std::string ProblemAfter(const std::function<void(JobSpec*)>& change) {
  JobSpec job = SmallJob();
  change(&job);
  CompleteJob(&job);
  return std::string(ValidateJob(job).message());
}

// All fields of the schema, those of groups included.
void ForEachField(const google::protobuf::Descriptor* group,
                  const std::function<void(const google::protobuf::FieldDescriptor*)>& visit) {
  for (int i = 0; i < group->field_count(); ++i) {
    visit(group->field(i));
    if (IsGroup(group->field(i))) ForEachField(group->field(i)->message_type(), visit);
  }
}

TEST_CASE("A small job gets its defaults and is valid") {
  JobSpec job = SmallJob();
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  CHECK(job.seed() == 1);
  CHECK(job.data().format() == DATA_FORMAT_TSV);
  CHECK(job.data().split().train() == 0.9);
  CHECK(job.tokenizer().vocab_size() == 8000);
  CHECK(job.model().heads() == 2);
  CHECK(job.model().intermediate_size() == 512);
  CHECK(job.model().attention_dropout() == job.model().dropout());
  CHECK(job.train().slots() == 8);
  CHECK(job.train().wire() == WIRE_FORMAT_F32);
  CHECK(job.optimizer().type() == OPTIMIZER_TYPE_ADAMW);
  CHECK_FALSE(job.optimizer().has_momentum());
  CHECK(job.evaluation().every().epochs() == 1);
  CHECK(job.evaluation().metric() == METRIC_ACCURACY);
  CHECK(job.evaluation().keep_best());
}

TEST_CASE("A job in bf16 sends bf16, unless it says otherwise") {
  JobSpec job = SmallJob();
  job.mutable_train()->set_precision(PRECISION_BF16);
  JobSpec exact = job;
  exact.mutable_train()->set_wire(WIRE_FORMAT_F32);
  CompleteJob(&job);
  CompleteJob(&exact);
  CHECK(job.train().wire() == WIRE_FORMAT_BF16);
  CHECK(exact.train().wire() == WIRE_FORMAT_F32);
  CHECK(ValidateJob(job).message() == "");
}

TEST_CASE("Completing a job twice changes nothing more") {
  JobSpec job = SmallJob();
  CompleteJob(&job);
  const std::string once = job.SerializeAsString();
  CompleteJob(&job);
  CHECK(job.SerializeAsString() == once);
}

TEST_CASE("Completing keeps what is set, zeros too") {
  JobSpec job = SmallJob();
  job.set_seed(0);
  job.mutable_model()->set_dropout(0);
  job.mutable_evaluation()->set_keep_best(false);
  CompleteJob(&job);
  CHECK(job.seed() == 0);
  CHECK(job.model().attention_dropout() == 0);
  CHECK_FALSE(job.evaluation().keep_best());
}

TEST_CASE("Every default and every example in job.proto can be read and is in range") {
  ForEachField(JobSpec::descriptor(), [](const google::protobuf::FieldDescriptor* field) {
    const FieldRule& rule = RuleOf(field);
    INFO(field->full_name());
    CHECK_FALSE(rule.help().empty());
    if (IsGroup(field)) return;
    for (const std::string& text : {rule.default_(), rule.example()}) {
      if (text.empty()) continue;
      std::unique_ptr<google::protobuf::Message> group(google::protobuf::MessageFactory::generated_factory()
                                                           ->GetPrototype(field->containing_type())
                                                           ->New());
      if (const std::string& condition = rule.only_with(); !condition.empty()) {
        const auto* sibling =
            group->GetDescriptor()->FindFieldByName(condition.substr(0, condition.find('=')));
        const std::string word = condition.substr(condition.find('=') + 1);
        REQUIRE(SetScalar({word.substr(0, word.find('|')), false}, group.get(), sibling).ok());
      }
      FillDefaults(group.get());
      CHECK(SetScalar({text, false}, group.get(), field).message() == "");
      for (const JobProblem& problem : FindFieldProblems(*group)) CHECK(problem.field != field->name());
    }
    CHECK((rule.required() || !rule.default_().empty() || !rule.default_help().empty() ||
           !rule.default_of().empty() || !rule.example().empty()));
    // An older job that was completed with a default would no longer be what it was.
    if (rule.added_later()) CHECK(rule.default_().empty());
  });
}

TEST_CASE(
    "Every condition on a sibling in job.proto names an enum declared before the field, and its words") {
  ForEachField(JobSpec::descriptor(), [](const google::protobuf::FieldDescriptor* field) {
    const std::string& condition = RuleOf(field).only_with();
    if (condition.empty()) return;
    INFO(field->full_name());
    const auto* sibling = field->containing_type()->FindFieldByName(condition.substr(0, condition.find('=')));
    REQUIRE(sibling != nullptr);
    CHECK(sibling->index() < field->index());
    std::string words = condition.substr(condition.find('=') + 1) + "|";
    for (size_t bar; (bar = words.find('|')) != std::string::npos; words.erase(0, bar + 1)) {
      CHECK(FindWord(sibling->enum_type(), words.substr(0, bar)).ok());
    }
  });
}

TEST_CASE("An empty job misses what has no default") {
  JobSpec job;
  CompleteJob(&job);
  const std::string problems(ValidateJob(job).message());
  for (const char* field :
       {"name: is missing", "task: is missing", "data.files: is missing", "data.text: is missing",
        "data.label: is missing", "train.epochs: is missing", "optimizer.learning_rate: is missing"}) {
    CHECK(absl::StrContains(problems, field));
  }
  CHECK(ValidateJob(job).code() == absl::StatusCode::kInvalidArgument);
}

void SetLanguageModel(JobSpec* job) {
  job->set_task(TASK_CAUSAL_LANGUAGE_MODELLING);
  job->clear_data();
  job->mutable_data()->add_files("a.txt");
}

TEST_CASE("A language model is a GPT-2 of bytes on plain text, unless told otherwise") {
  JobSpec job = SmallJob();
  SetLanguageModel(&job);
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  CHECK(job.data().format() == DATA_FORMAT_TEXT);
  CHECK_FALSE(job.data().has_min_class_count());
  CHECK(job.tokenizer().type() == TOKENIZER_TYPE_BYTES);
  CHECK_FALSE(job.tokenizer().has_vocab_size());
  CHECK(job.model().family() == MODEL_FAMILY_GPT2);
  CHECK(job.model().norm() == NORM_PLACEMENT_PRE);
  CHECK(job.model().activation() == ACTIVATION_TYPE_GELU_TANH);
  CHECK(job.evaluation().metric() == METRIC_PERPLEXITY);
  CHECK_FALSE(HigherIsBetter(METRIC_PERPLEXITY));
}

struct BadJob {
  const char* expected;
  std::function<void(JobSpec*)> change;
};

TEST_CASE("A job that can't run is refused with the field and what was expected") {
  const BadJob jobs[] = {
      {"name: expected letters, digits, '.', '_' and '-'", [](JobSpec* j) { j->set_name("a/b"); }},
      {"name: expected letters", [](JobSpec* j) { j->set_name("../x"); }},
      {"name: expected letters, digits, '.', '_' and '-', at most 63, the first neither '.' nor '-'; got "
       "'a/b?'",
       [](JobSpec* j) { j->set_name("a/b\n"); }},
      {"name: expected a non-empty string", [](JobSpec* j) { j->set_name(""); }},
      {"task: expected one of text-classification, text-regression, multilabel-classification, "
       "causal-language-modelling, token-classification, masked-language-modelling, "
       "question-answering, relation-extraction, intent-classification, got value number 77",
       [](JobSpec* j) { j->set_task(static_cast<TaskType>(77)); }},
      {"data.train_files: can't be combined with 'files'",
       [](JobSpec* j) { j->mutable_data()->add_train_files("t.tsv"); }},
      {"data.test_files: is only for 'train_files'",
       [](JobSpec* j) { j->mutable_data()->add_test_files("t.tsv"); }},
      {"data.validation_files: is only for 'train_files'",
       [](JobSpec* j) { j->mutable_data()->add_validation_files("t.tsv"); }},
      {"data.files[1]: 'a.tsv' is listed twice", [](JobSpec* j) { j->mutable_data()->add_files("a.tsv"); }},
      {"data.files[1]: expected a non-empty string", [](JobSpec* j) { j->mutable_data()->add_files(""); }},
      {"data.files[1]: expected at most 4096 bytes, got 5000",
       [](JobSpec* j) { j->mutable_data()->add_files(std::string(5000, 'x')); }},
      {"data.format: is missing and can't be inferred",
       [](JobSpec* j) { j->mutable_data()->set_files(0, "a.dat"); }},
      {"data.split: train, validation and test sum to 1.2; expected at most 1",
       [](JobSpec* j) {
         j->mutable_data()->mutable_split()->set_validation(0.2);
         j->mutable_data()->mutable_split()->set_test(0.1);
       }},
      {"data.split.train: expected a number above 0 and at most 1, got 0",
       [](JobSpec* j) { j->mutable_data()->mutable_split()->set_train(0); }},
      {"data.split.train: expected a finite number, got nan",
       [](JobSpec* j) {
         j->mutable_data()->mutable_split()->set_train(std::numeric_limits<double>::quiet_NaN());
       }},
      {"data.label: 'text' is also a text column", [](JobSpec* j) { j->mutable_data()->set_label("text"); }},
      {"data.label: 'other' is also a text column",
       [](JobSpec* j) {
         j->mutable_data()->add_pair("other");
         j->mutable_data()->set_label("other");
       }},
      {"train.freeze: needs 'model.from'", [](JobSpec* j) { j->mutable_train()->add_freeze("embeddings"); }},
      {"train.freeze[1]: expected embeddings, layers, layers 0-3, layer 5 (counted from 0) or weights, got "
       "'layers 3-1'",
       [](JobSpec* j) {
         j->mutable_model()->set_from("folder");
         j->mutable_train()->add_freeze("layer 0");
         j->mutable_train()->add_freeze("layers 3-1");
       }},
      {"train.freeze[0]: expected embeddings",
       [](JobSpec* j) {
         j->mutable_model()->set_from("folder");
         j->mutable_train()->add_freeze("layer 4294967295");
       }},
      {"optimizer.head_learning_rate: expected 1e-06 to 1e+06 times learning_rate",
       [](JobSpec* j) {
         j->mutable_optimizer()->set_learning_rate(1e-10);
         j->mutable_optimizer()->set_head_learning_rate(1000);
       }},
      {"train.freeze: has no effect with 'lora'",
       [](JobSpec* j) {
         j->mutable_model()->set_from("folder");
         j->mutable_lora()->add_targets("query");
         j->mutable_train()->add_freeze("weights");
       }},
      {"lora: needs 'model.from'", [](JobSpec* j) { j->mutable_lora()->add_targets("query"); }},
      {"lora.targets: is missing",
       [](JobSpec* j) {
         j->mutable_model()->set_from("folder");
         j->mutable_lora()->set_rank(4);
       }},
      {"loss: has no effect with task text-regression; only with text-classification, token-classification, "
       "relation-extraction or intent-classification",
       [](JobSpec* j) {
         j->set_task(TASK_TEXT_REGRESSION);
         j->mutable_loss()->set_label_smoothing(0.1);
       }},
      {"loss.focusing: can't be combined with 'label_smoothing'",
       [](JobSpec* j) {
         j->mutable_loss()->set_label_smoothing(0.1);
         j->mutable_loss()->set_focusing(2);
       }},
      {"loss.class_weights[1]: expected balanced alone, or LABEL=WEIGHT with a number from 0 to 1000000, "
       "got 'balanced'",
       [](JobSpec* j) {
         j->mutable_loss()->add_class_weights("a=2");
         j->mutable_loss()->add_class_weights("balanced");
       }},
      {"optimizer.layer_decay: expected a number above 0 and at most 1, got 2",
       [](JobSpec* j) { j->mutable_optimizer()->set_layer_decay(2); }},
      {"masking: has no effect with task text-classification; only with masked-language-modelling",
       [](JobSpec* j) { j->mutable_masking()->set_rate(0.5); }},
      {"data.pair: has no effect with task token-classification; only with text-classification",
       [](JobSpec* j) {
         j->set_task(TASK_TOKEN_CLASSIFICATION);
         j->mutable_data()->set_files(0, "a.jsonl");
         j->mutable_data()->add_pair("other");
       }},
      {"data.label_separator: has no effect with task text-classification; only with "
       "multilabel-classification",
       [](JobSpec* j) { j->mutable_data()->set_label_separator(";"); }},
      {"data.min_class_count: has no effect with task text-regression",
       [](JobSpec* j) {
         j->set_task(TASK_TEXT_REGRESSION);
         j->mutable_data()->set_min_class_count(5);
       }},
      {"tokenizer.vocab_size: has no effect with 'path'",
       [](JobSpec* j) {
         j->mutable_tokenizer()->set_path("spm.model");
         j->mutable_tokenizer()->set_vocab_size(100);
       }},
      {"tokenizer.lowercase: has no effect with 'path'",
       [](JobSpec* j) {
         j->mutable_tokenizer()->set_path("spm.model");
         j->mutable_tokenizer()->clear_vocab_size();
         j->mutable_tokenizer()->set_lowercase(true);
       }},
      {"tokenizer.lowercase: has no effect with 'model.from'",
       [](JobSpec* j) {
         j->mutable_model()->set_from("bert");
         j->mutable_tokenizer()->set_lowercase(true);
       }},
      {"model.heads: expected a divisor of hidden_size 128, got 3",
       [](JobSpec* j) { j->mutable_model()->set_heads(3); }},
      {"model.heads: expected a whole number from 1 to 1024, got 0",
       [](JobSpec* j) { j->mutable_model()->set_heads(0); }},
      {"model.hidden_size: is given by the weights in 'from'",
       [](JobSpec* j) {
         j->mutable_model()->set_from("bert");
         j->mutable_model()->set_hidden_size(64);
       }},
      {"model.attention_dropout: expected a number from 0 to 0.95, got 1",
       [](JobSpec* j) { j->mutable_model()->set_attention_dropout(1); }},
      {"train.slots: expected a whole number from 1 to 4096, got 4097",
       [](JobSpec* j) { j->mutable_train()->set_slots(4097); }},
      {"train.micro_batches: expected a divisor of slot_batch 16, got 5",
       [](JobSpec* j) { j->mutable_train()->set_micro_batches(5); }},
      {"train.epochs: expected a number above 0 and at most 1000000, got -1",
       [](JobSpec* j) { j->mutable_train()->set_epochs(-1); }},
      {"train.mode: mode async is not supported in this version; use sync",
       [](JobSpec* j) { j->mutable_train()->set_mode(MODE_ASYNC); }},
      {"train.wire: expected one of f32, bf16, f16, got value number 9",
       [](JobSpec* j) { j->mutable_train()->set_wire(static_cast<WireFormat>(9)); }},
      {"optimizer.momentum: has no effect with type adamw; only with type sgd",
       [](JobSpec* j) { j->mutable_optimizer()->set_momentum(0.9); }},
      {"optimizer.beta1: has no effect with type sgd; only with type adam or adamw",
       [](JobSpec* j) {
         j->mutable_optimizer()->set_type(OPTIMIZER_TYPE_SGD);
         j->mutable_optimizer()->set_beta1(0.9);
       }},
      {"numerics: amx-bf16 needs train.precision bf16",
       [](JobSpec* j) { j->set_numerics(NUMERICS_AMX_BF16); }},
      {"optimizer.nesterov: needs momentum above 0",
       [](JobSpec* j) {
         j->mutable_optimizer()->set_type(OPTIMIZER_TYPE_SGD);
         j->mutable_optimizer()->set_nesterov(true);
       }},
      {"schedule.warmup: of 4 epochs is longer than the training of 3 epochs",
       [](JobSpec* j) { j->mutable_schedule()->mutable_warmup()->set_epochs(4); }},
      {"schedule.warmup: of 4 rounds is longer than the training of 3 rounds",
       [](JobSpec* j) {
         j->mutable_train()->set_rounds(3);
         j->mutable_schedule()->mutable_warmup()->set_rounds(4);
       }},
      {"schedule.warmup: expected a number of rounds or epochs",
       [](JobSpec* j) { j->mutable_schedule()->mutable_warmup()->set_never(true); }},
      {"schedule.warmup: expected a number of epochs from 0 to 1000000, got -1",
       [](JobSpec* j) { j->mutable_schedule()->mutable_warmup()->set_epochs(-1); }},
      {"schedule.warmup: expected a number of rounds from 0 to 1000000000, got 1000000001",
       [](JobSpec* j) { j->mutable_schedule()->mutable_warmup()->set_rounds(1000000001); }},
      {"schedule.end_factor: has no effect with type constant; only with type linear or cosine",
       [](JobSpec* j) {
         j->mutable_schedule()->set_type(SCHEDULE_TYPE_CONSTANT);
         j->mutable_schedule()->set_end_factor(0.1);
       }},
      {"evaluation.every: expected more than 0; to switch it off: never",
       [](JobSpec* j) { j->mutable_evaluation()->mutable_every()->set_rounds(0); }},
      {"evaluation.every: expected a number of rounds or of epochs",
       [](JobSpec* j) { j->mutable_evaluation()->mutable_every(); }},
      {"evaluation.every: needs validation examples",
       [](JobSpec* j) {
         j->mutable_data()->mutable_split()->set_validation(0);
         j->mutable_evaluation()->mutable_every()->set_rounds(5);
       }},
      {"evaluation.patience: has no effect when 'every' is never",
       [](JobSpec* j) {
         j->mutable_evaluation()->mutable_every()->set_never(true);
         j->mutable_evaluation()->set_patience(2);
       }},
      {"tokenizer.type: expected sentencepiece with task text-classification",
       [](JobSpec* j) { j->mutable_tokenizer()->set_type(TOKENIZER_TYPE_BYTES); }},
      {"tokenizer.vocab_size: has no effect with type bytes",
       [](JobSpec* j) {
         SetLanguageModel(j);
         j->mutable_tokenizer()->set_vocab_size(100);
       }},
      {"data.label: has no effect with format text; only with format tsv or csv or jsonl",
       [](JobSpec* j) {
         SetLanguageModel(j);
         j->mutable_data()->set_label("label");
       }},
      {"data.format: expected text or jsonl with task causal-language-modelling",
       [](JobSpec* j) {
         const DataSpec data = j->data();
         SetLanguageModel(j);
         *j->mutable_data() = data;
         j->mutable_data()->set_format(DATA_FORMAT_TSV);
       }},
      {"model.family: expected gpt2 with task causal-language-modelling",
       [](JobSpec* j) {
         SetLanguageModel(j);
         j->mutable_model()->set_family(MODEL_FAMILY_BERT);
       }},
      {"model.family: expected bert, roberta, distilbert, electra or encoder-ngrams with task "
       "text-classification",
       [](JobSpec* j) { j->mutable_model()->set_family(MODEL_FAMILY_GPT2); }},
      {"model.norm: expected pre with family gpt2, got post",
       [](JobSpec* j) {
         SetLanguageModel(j);
         j->mutable_model()->set_norm(NORM_PLACEMENT_POST);
       }},
      {"model.norm: expected post with family roberta, got pre",
       [](JobSpec* j) {
         j->mutable_model()->set_family(MODEL_FAMILY_ROBERTA);
         j->mutable_model()->set_norm(NORM_PLACEMENT_PRE);
       }},
      {"model.layer_norm_epsilon: expected 1e-12 with family distilbert, got 1e-05",
       [](JobSpec* j) {
         j->mutable_model()->set_family(MODEL_FAMILY_DISTILBERT);
         j->mutable_model()->set_layer_norm_epsilon(1e-5);
       }},
      {"evaluation.metric: expected one of accuracy, macro_f1, loss with task text-classification, got mse",
       [](JobSpec* j) { j->mutable_evaluation()->set_metric(METRIC_MSE); }},
      {"cluster.min_workers: expected at most train.slots (8), got 9",
       [](JobSpec* j) { j->mutable_cluster()->set_min_workers(9); }},
      {"cluster.replication: replication 1 is not supported in this version; use 0",
       [](JobSpec* j) { j->mutable_cluster()->set_replication(1); }},
  };
  for (const BadJob& job : jobs) {
    const std::string problem = ProblemAfter(job.change);
    INFO(problem);
    CHECK(absl::StartsWith(problem, job.expected));
    CHECK_FALSE(absl::StrContains(problem, "\n"));  // one mistake, one problem
  }
}

TEST_CASE("Splits whose fractions sum to one only after rounding are valid") {
  CHECK(ProblemAfter([](JobSpec* job) {
          SplitSpec* split = job->mutable_data()->mutable_split();
          split->set_train(0.7);
          split->set_validation(0.2);
          split->set_test(0.1);
        }) == "");
}

TEST_CASE("Without validation examples a job is not evaluated while it trains") {
  JobSpec job = SmallJob();
  job.mutable_data()->clear_files();
  job.mutable_data()->add_train_files("a.jsonl");
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  CHECK(job.evaluation().every().never());
  CHECK_FALSE(job.evaluation().keep_best());
  CHECK_FALSE(job.data().has_split());
  CHECK(job.data().format() == DATA_FORMAT_JSONL);
}

TEST_CASE("A job that starts from given weights takes their shape") {
  JobSpec job = SmallJob();
  job.mutable_model()->set_from("models/bert-mini");
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  CHECK_FALSE(job.model().has_hidden_size());
}

TEST_CASE("A job with a field of a newer version is refused") {
  JobSpec job = SmallJob();
  CompleteJob(&job);
  JobSpec newer;
  const std::string unknown_field_900_varint = "\xA0\x38\x01";
  REQUIRE(newer.ParseFromString(job.SerializeAsString() + unknown_field_900_varint));
  CHECK(ValidateJob(newer).message() ==
        "job: has fields that this version does not know (made by a newer one?)");
}

TEST_CASE("At most ten problems are reported") {
  JobSpec job;
  CompleteJob(&job);
  for (int i = 0; i < 20; ++i) job.mutable_data()->add_files("same.tsv");
  const std::string problems(ValidateJob(job).message());
  CHECK(std::count(problems.begin(), problems.end(), '\n') == 10);
  CHECK(absl::StrContains(problems, "\nand "));
}

TEST_CASE("Jobs of random bytes are refused or valid, and nothing else happens") {
  JobSpec good = SmallJob();
  CompleteJob(&good);
  const std::string bytes = good.SerializeAsString();
  const google::protobuf::LogSilencer quiet;  // about text that is not UTF-8
  std::mt19937 random(1);
  int parsed = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string mutated = bytes;
    for (int k = 0; k < 3; ++k) mutated[random() % mutated.size()] = static_cast<char>(random());
    JobSpec job;
    if (!job.ParseFromString(mutated)) continue;
    ++parsed;
    ValidateJob(job).IgnoreError();
    CompleteJob(&job);
    const absl::Status status = ValidateJob(job);
    if (!status.ok()) CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(parsed > 1000);
}

TEST_CASE("Each task says what it goes with, and its default metric") {
  const auto* tasks = TaskType_descriptor();
  for (int i = 0; i < tasks->value_count(); ++i) {
    INFO(tasks->value(i)->name());
    const TaskRule& rule = RuleOf(static_cast<TaskType>(tasks->value(i)->number()));
    CHECK(rule.formats_size() > 0);
    CHECK(rule.tokenizers_size() > 0);
    CHECK(rule.families_size() > 0);
    CHECK(rule.metrics_size() > 0);
  }
  CHECK(RuleOf(TASK_TEXT_CLASSIFICATION).metrics(0) == METRIC_ACCURACY);
  CHECK(RuleOf(TASK_MULTILABEL_CLASSIFICATION).metrics(0) == METRIC_MICRO_F1);
  CHECK(RuleOf(TASK_TEXT_REGRESSION).metrics(0) == METRIC_MSE);
  CHECK(RuleOf(static_cast<TaskType>(77)).metrics_size() == 0);
}

TEST_CASE("Each family says what its models are like") {
  const auto* families = ModelFamily_descriptor();
  for (int i = 0; i < families->value_count(); ++i) {
    INFO(families->value(i)->name());
    const FamilyRule& rule = RuleOf(static_cast<ModelFamily>(families->value(i)->number()));
    CHECK(rule.norms_size() > 0);
    CHECK(rule.layer_norm_epsilon() > 0);
  }
  CHECK(RuleOf(static_cast<ModelFamily>(77)).norms_size() == 0);
}

TEST_CASE("Metrics have the names of job files, and losses are better when lower") {
  CHECK(MetricName(METRIC_MACRO_F1) == "macro_f1");
  CHECK(MetricName(static_cast<Metric>(77)) == "metric 77");
  CHECK(HigherIsBetter(METRIC_PEARSON));
  for (Metric metric : {METRIC_LOSS, METRIC_MSE, METRIC_PERPLEXITY}) CHECK_FALSE(HigherIsBetter(metric));
}

}  // namespace
}  // namespace shoal
