// The head of a model in config.json.
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "model/families/family.h"
#include "model/heads.h"
#include "model/model_config.h"

namespace shoal::model {
namespace {

using Catch::Matchers::Contains;

ModelConfig SmallModel(const Family& family, HeadType head) {
  ModelConfig config;
  config.family = family.family;
  config.norm = family.norm;
  config.head = head;
  config.vocab_size = 40;
  config.type_vocab_size = family.token_types;
  if (family.set_defaults != nullptr) family.set_defaults(&config);
  if (HeadOf(head).labels == LabelCount::kOne) config.labels = {"number"};
  if (HeadOf(head).labels == LabelCount::kOneOrMore) config.labels = {"a", "b", "c"};
  return config;
}

// BERT with a second class, like a family with several kinds of heads.
Family BertWithTwoClasses() {
  static constexpr HeadType kClassHeads[] = {HEAD_TYPE_CLASS, HEAD_TYPE_NUMBER, HEAD_TYPE_LABELS};
  static constexpr HeadType kTokenHeads[] = {HEAD_TYPE_NEXT_TOKEN};
  static constexpr Architecture kClasses[] = {{"BertForSequenceClassification", kClassHeads, nullptr},
                                              {"BertLMHeadModel", kTokenHeads, nullptr}};
  Family family = kBert;
  family.architectures = kClasses;
  return family;
}

std::string ErrorOf(const absl::Status& status) {
  CHECK(absl::IsInvalidArgument(status));
  return std::string(status.message());
}

TEST_CASE("Every type of head has one row, and a family that has the head") {
  CHECK(static_cast<int>(Heads().size()) == HeadType_descriptor()->value_count());
  for (int i = 0; i < HeadType_descriptor()->value_count(); ++i) {
    const auto type = static_cast<HeadType>(HeadType_descriptor()->value(i)->number());
    INFO(HeadType_Name(type));
    REQUIRE(FindHead(type) != nullptr);
    CHECK(HeadOf(type).type == type);
    int families = 0;
    for (const Family* family : Families()) families += FindArchitecture(*family, type) != nullptr ? 1 : 0;
    CHECK(families > 0);
  }
  CHECK(FindHead(static_cast<HeadType>(77)) == nullptr);
}

TEST_CASE("Every head of every family is read back as itself from the class it is written as") {
  int heads = 0;
  for (const Family* family : Families()) {
    for (const Architecture& architecture : family->architectures) {
      for (HeadType head : architecture.heads) {
        ++heads;
        const ModelConfig config = SmallModel(*family, head);
        const std::string text = PrintModelConfig(config);
        INFO(text);
        CHECK(Json::parse(text)["architectures"] == Json::array({architecture.name}));
        const auto read = ParseModelConfig(text);
        INFO(read.status());
        REQUIRE(read.ok());
        CHECK(read->head == head);
        CHECK(read->labels == config.labels);
      }
    }
  }
  CHECK(heads >= 4 * 3 + 1);
}

TEST_CASE("A family's second class is written and read as what it is, whatever \"problem_type\" says") {
  const Family family = BertWithTwoClasses();
  ModelConfig config;
  config.head = HEAD_TYPE_NEXT_TOKEN;
  Json json;
  WriteArchitecture(family, config, &json);
  WriteLabels(config, &json);
  CHECK(json.dump() == R"({"architectures":["BertLMHeadModel"]})");
  json["problem_type"] = "regression";
  ModelConfig read;
  SHOAL_CHECK_OK(ReadHead(family, json, HeadUse::kKept, &read));
  CHECK(read.head == HEAD_TYPE_NEXT_TOKEN);
  CHECK(read.labels.empty());
}

TEST_CASE("The heads of one class are told apart by \"problem_type\", or by a single label") {
  const auto head = [](const char* fields) {
    const auto config = ParseModelConfig(absl::StrCat(
        R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"])", fields, "}"));
    INFO(fields << ": " << config.status());
    REQUIRE(config.ok());
    return config->head;
  };
  CHECK(head("") == HEAD_TYPE_CLASS);
  CHECK(head(R"(, "num_labels": 1)") == HEAD_TYPE_NUMBER);
  CHECK(head(R"(, "num_labels": 1, "problem_type": "regression")") == HEAD_TYPE_NUMBER);
  CHECK(head(R"(, "num_labels": 1, "problem_type": "single_label_classification")") == HEAD_TYPE_CLASS);
  CHECK(head(R"(, "problem_type": "multi_label_classification")") == HEAD_TYPE_LABELS);
  CHECK(head(R"(, "problem_type": "of some other kind")") == HEAD_TYPE_CLASS);
}

TEST_CASE("A config.json without a class is of the family's first") {
  for (const char* fields : {"", R"(, "architectures": null)", R"(, "architectures": [])"}) {
    CHECK(ParseModelConfig(absl::StrCat(R"({"model_type": "gpt2")", fields, "}"))->head ==
          HEAD_TYPE_NEXT_TOKEN);
    CHECK(ParseModelConfig(absl::StrCat(R"({"model_type": "roberta")", fields, "}"))->head ==
          HEAD_TYPE_CLASS);
  }
}

TEST_CASE("A head for hidden tokens with an output of its own is refused") {
  const std::string text =
      R"({"model_type": "bert", "architectures": ["BertFor%"], "tie_word_embeddings": false})";
  const auto parse = [&](const char* name) {
    return ParseModelConfig(absl::StrReplaceAll(text, {{"%", name}})).status();
  };
  CHECK_THAT(ErrorOf(parse("MaskedLM")), Contains("tie_word_embeddings"));
  CHECK(parse("SequenceClassification").ok());
}

TEST_CASE("A class that a family does not have is refused with those that it has, unless a job replaces it") {
  const std::string text = R"({"model_type": "bert", "architectures": ["BertForMultipleChoice"]})";
  CHECK_THAT(ErrorOf(ParseModelConfig(text).status()),
             Contains("\"architectures\": a bert model of the class BertForMultipleChoice") &&
                 Contains("expected BertForSequenceClassification"));
  ModelConfig config;
  const ParsedJson json = ParsedJson::parse(text);
  CHECK_THAT(ErrorOf(ReadHead(BertWithTwoClasses(), json, HeadUse::kKept, &config)),
             Contains("expected BertForSequenceClassification or BertLMHeadModel"));
  const auto replaced = ParseModelConfig(text, HeadUse::kReplaced);
  INFO(replaced.status());
  CHECK(replaced.ok());
  for (const char* list : {"7", "\"BertForMultipleChoice\"", "[7]"}) {
    INFO(list);
    CHECK_THAT(
        ErrorOf(ParseModelConfig(absl::StrCat(R"({"model_type": "bert", "architectures": )", list, "}"))
                    .status()),
        Contains("\"architectures\" is not a list of names"));
  }
}

TEST_CASE("A model as BERT was pretrained is read as one of hidden tokens") {
  const auto config = ParseModelConfig(R"({"model_type": "bert", "architectures": ["BertForPreTraining"]})");
  REQUIRE(config.ok());
  CHECK(config->head == HEAD_TYPE_MASKED_TOKEN);
  CHECK_THAT(PrintModelConfig(*config), Contains("\"BertForMaskedLM\""));
}

TEST_CASE("A number of labels that would fill the memory with names is refused") {
  for (const char* number : {"8333333333330", "1000001", "-1", "2.5"}) {
    INFO(number);
    CHECK_THAT(
        ErrorOf(
            ParseModelConfig(absl::StrCat(R"({"model_type": "bert", "num_labels": )", number, "}")).status()),
        Contains("\"num_labels\" is not a whole number of at most 1000000"));
  }
}

// With a search for each key it would take minutes.
TEST_CASE("A model may have a hundred thousand labels") {
  const auto config = ParseModelConfig(R"({"model_type": "bert", "num_labels": 100000})");
  SHOAL_CHECK_OK(config);
  const auto again = ParseModelConfig(PrintModelConfig(*config));
  SHOAL_CHECK_OK(again);
  CHECK(again->labels.size() == 100000);
  CHECK(again->labels == config->labels);
}

TEST_CASE("A head that a family does not have is refused with what its heads predict") {
  ModelConfig config = SmallModel(kGpt2, HEAD_TYPE_CLASS);
  CHECK_THAT(ErrorOf(CheckModelConfig(config)), Contains("a gpt2 model can't predict one label per text") &&
                                                    Contains("expected one of: the next token"));
  config = SmallModel(kBert, HEAD_TYPE_NEXT_TOKEN);
  CHECK_THAT(ErrorOf(CheckModelConfig(config)),
             Contains("expected one of: one label per text, a number per text"));
  config.head = static_cast<HeadType>(77);
  CHECK_THAT(ErrorOf(CheckModelConfig(config)), Contains("77"));
}

TEST_CASE("A model has as many labels as its head needs") {
  const auto refused = [](ModelConfig config, std::vector<std::string> labels) {
    SHOAL_CHECK_OK(CheckModelConfig(config));
    config.labels = std::move(labels);
    return !CheckModelConfig(config).ok();
  };
  CHECK(refused(SmallModel(kBert, HEAD_TYPE_NUMBER), {"a", "b"}));
  CHECK(refused(SmallModel(kBert, HEAD_TYPE_CLASS), {}));
  CHECK(refused(SmallModel(kBert, HEAD_TYPE_LABELS), {}));
  CHECK(refused(SmallModel(kGpt2, HEAD_TYPE_NEXT_TOKEN), {"a"}));
}

}  // namespace
}  // namespace shoal::model
