#include "tasks/encode.h"

#include <set>

#include "catch2/catch.hpp"
#include "common/job/job_rules.h"
#include "model/families/family.h"
#include "model/heads.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

TEST_CASE("A language model's examples are consecutive windows of each text") {
  ExampleSet set;
  set.examples.resize(2);
  set.examples[0].text = "abcdef";  // 7 tokens including the end
  set.examples[1].text = "\xff";
  const auto part = EncodeExamples(set, *model::MakeByteTokenizer(), 3,
                                   *FindTask(TASK_CAUSAL_LANGUAGE_MODELLING), /*labels=*/{});
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'b', 'c', 'd', 'e', 'f', 255, 256});
  CHECK(part->offsets == std::vector<uint64_t>{0, 3, 6, 8});  // 256 alone would predict nothing
  CHECK(part->notes == std::vector<std::string>{"6 7", "", "1 2"});
  CHECK(part->classes.empty());
  CHECK(part->targets.empty());
}

TEST_CASE("Whichever threads encode the examples, the result is the same; the first error counts") {
  ExampleSet set;
  for (int i = 0; i < 5000; ++i) {
    Example& example = set.examples.emplace_back();
    example.text.assign(1 + i * 7 % 13, static_cast<char>('a' + i % 26));
    example.labels = {i % 3 == 0 ? "x" : "y"};
    example.line = static_cast<uint64_t>(i) + 1;
  }
  set.files = {"data"};
  const auto tokenizer = model::MakeByteTokenizer();
  const Task& task = *FindTask(TASK_TEXT_CLASSIFICATION);
  ThreadPool pool(3);
  const auto alone = EncodeExamples(set, *tokenizer, 9, task, {"x", "y"});
  const auto shared = EncodeExamples(set, *tokenizer, 9, task, {"x", "y"}, NoProgress, &pool);
  REQUIRE(alone.ok());
  REQUIRE(shared.ok());
  CHECK(shared->tokens == alone->tokens);
  CHECK(shared->offsets == alone->offsets);
  CHECK(shared->classes == alone->classes);
  CHECK(shared->cut == alone->cut);
  CHECK(alone->cut > 100);
  set.examples[4321].labels = set.examples[4900].labels = {"z"};
  const auto wrong = EncodeExamples(set, *tokenizer, 9, task, {"x", "y"}, NoProgress, &pool);
  CHECK_THAT(std::string(wrong.status().message()), Catch::Contains("4322"));
}

TEST_CASE("A task gives the model the targets that the task's head takes") {
  for (const Task* task : Tasks()) {
    INFO(TaskType_Name(task->type()));
    const model::HeadInfo& head = model::HeadOf(task->head());
    CHECK(head.target == task->target_kind());
    const bool of_text = head.target == TargetKind::kNone || head.target == TargetKind::kHiddenTokens ||
                         head.target == TargetKind::kSpan;
    CHECK((head.labels == model::LabelCount::kNone) == of_text);
  }
}

TEST_CASE("Each family that a task's rule lists has the task's head") {
  for (const Task* task : Tasks()) {
    for (const int listed : RuleOf(task->type()).families()) {
      int found = 0;
      for (const model::Family* family : model::Families()) {
        if (family->family != listed) continue;
        INFO(TaskType_Name(task->type()) << ", " << family->model_type);
        CHECK(model::FindArchitecture(*family, task->head()) != nullptr);
        ++found;
      }
      CHECK(found > 0);
    }
  }
}

TEST_CASE("The placements of norms that a family's rule lists are those that have a recipe") {
  const auto* families = ModelFamily_descriptor();
  for (int i = 0; i < families->value_count(); ++i) {
    const auto family = static_cast<ModelFamily>(families->value(i)->number());
    INFO(families->value(i)->name());
    std::set<int> made;
    for (const model::Family* known : model::Families()) {
      if (known->family != family) continue;
      made.insert(known->norm);
      CHECK(known->fixed_epsilon == RuleOf(family).fixed_epsilon());
    }
    CHECK(std::set<int>(RuleOf(family).norms().begin(), RuleOf(family).norms().end()) == made);
    if (RuleOf(family).fixed_epsilon())
      CHECK(RuleOf(family).layer_norm_epsilon() == model::ModelConfig().layer_norm_eps);
  }
}

TEST_CASE("An example is encoded for a prediction as for training, without targets") {
  ExampleSet set;
  for (const char* text : {"abcdef", "", "ab"}) {
    set.examples.emplace_back();
    set.examples.back().text = text;
    set.examples.back().labels = {"1"};
  }
  const auto tokenizer = model::MakeByteTokenizer();
  const Task& task = *FindTask(TASK_TEXT_CLASSIFICATION);
  const auto part = EncodeExamples(set, *tokenizer, 4, task, {"1", "2"});
  REQUIRE(part.ok());
  EncodedPart texts;
  for (const Example& example : set.examples)
    task.AppendTokens(example, TokenizerEncoder(*tokenizer), 4, &texts);
  CHECK(texts.tokens == part->tokens);
  CHECK(texts.offsets == part->offsets);
  CHECK(texts.offsets.size() == 4);
  CHECK(texts.classes.empty());
}

TEST_CASE("A pair of texts is one example whose second text has tokens of another type") {
  ExampleSet set;
  set.files = {"pairs.tsv"};
  set.examples.resize(3);
  for (Example& example : set.examples) example.labels = {"x"};
  set.examples[0].text = "abc";
  set.examples[1].text = "ab";
  set.examples[1].pair = "c";
  set.examples[2].text = "abc";
  set.examples[2].pair = "defg";
  const auto tokenizer = model::MakeByteTokenizer();
  JobSpec spec;
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  auto part = EncodeExamples(set, *tokenizer, 6, TaskOf(spec), {"x", "y"});
  REQUIRE(part.ok());
  CHECK(part->tokens ==
        std::vector<int32_t>{'a', 'b', 'c', 256, 'a', 'b', 256, 'c', 256, 'a', 'b', 256, 'd', 'e', 256});
  CHECK(part->types == std::vector<int32_t>{0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1});
  CHECK(part->cut == 1);
  BatchBuffer buffer(TargetKind::kClass, 2);
  const model::Batch batch = buffer.Gather(*part, {1, 0});
  CHECK(std::vector<int32_t>(batch.types.begin(), batch.types.end()) ==
        std::vector<int32_t>{0, 0, 0, 1, 1, 0, 0, 0, 0});
  CHECK(FitTypes(2, &*part).ok());
  CHECK_THAT(std::string(FitTypes(1, &*part).message()),
             Catch::Matchers::Contains("the model has one type only"));
  CHECK(FitTypes(0, &*part).ok());  // it distinguishes the texts by the tokens between them
  CHECK(part->types.empty());
}

TEST_CASE("A text for hidden tokens is cut into windows, in which the tokens of words are numbered") {
  ExampleSet set;
  set.files = {"a.txt"};
  set.examples.resize(1);
  set.examples[0].text = "ab c, de";
  const auto tokenizer = model::MakeByteTokenizer();
  JobSpec spec;
  spec.set_task(TASK_MASKED_LANGUAGE_MODELLING);
  const auto part = EncodeExamples(set, *tokenizer, 5, TaskOf(spec), {});
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'b', 'c', ',', 256, 'd', 'e', 256});
  CHECK(part->offsets == std::vector<uint64_t>{0, 5, 8});
  CHECK(part->classes == std::vector<int32_t>{0, 0, 1, 1, -1, 0, 0, -1});
  CHECK(part->cut == 0);
  CHECK(HasTargets(*part, TargetKind::kHiddenTokens, 0));
  BatchBuffer buffer(TargetKind::kHiddenTokens, 0);
  Masking masking = {1, true, 99, 100, 7};
  const model::Batch batch = buffer.Gather(*part, {1, 0}, &masking);
  CHECK(std::vector<int32_t>(batch.classes.begin(), batch.classes.end()) ==
        std::vector<int32_t>{'d', 'e', -1, 'a', 'b', 'c', ',', -1});
  CHECK(LogitRows(TargetKind::kHiddenTokens, batch) == 6);
  CHECK_FALSE(EvaluationNeedsLogits(TargetKind::kHiddenTokens));
  masking.rate = 0;
  const model::Batch none = buffer.Gather(*part, {1}, &masking);
  CHECK(std::vector<int32_t>(none.tokens.begin(), none.tokens.end()) == std::vector<int32_t>{'d', 'e', 256});
  CHECK(std::vector<int32_t>(none.classes.begin(), none.classes.end()) == std::vector<int32_t>(3, -1));
}

}  // namespace
}  // namespace shoal::tasks
