// The head of a model in config.json: the class of `transformers`, and what distinguishes the heads of a
// class.
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "model/families/family.h"
#include "model/heads.h"

namespace shoal::model {
namespace {

// A config.json of a few bytes makes as many names as it says.
constexpr size_t kMaxLabels = 1'000'000;

// Empty when it is left out.
absl::StatusOr<std::string> ReadClass(const ParsedJson& json) {
  const ParsedJson* const names = FindField(json, "architectures");
  if (names == nullptr || (names->is_array() && names->empty())) return std::string();
  if (!names->is_array() || !names->front().is_string())
    return InvalidConfig("\"architectures\" is not a list of names");
  return names->front().get<std::string>();
}

absl::StatusOr<const Architecture*> ReadArchitecture(const Family& family, const ParsedJson& json,
                                                     HeadUse use) {
  SHOAL_ASSIGN_OR_RETURN(const std::string name, ReadClass(json));
  const Architecture* const found = FindArchitecture(family, name);
  if (found != nullptr) return found;
  if (name.empty() || use == HeadUse::kReplaced) return &family.architectures.front();
  const auto append = [](std::string* out, const Architecture& known) { out->append(known.name); };
  return InvalidConfig(absl::StrCat("\"architectures\": a ", family.model_type, " model of the class ", name,
                                    " is not supported; expected ",
                                    absl::StrJoin(family.architectures, " or ", append)));
}

absl::Status ReadLabels(const ParsedJson& json, ModelConfig* config) {
  size_t count = 2;
  if (const ParsedJson* const number = FindField(json, "num_labels")) {
    if (!number->is_number_unsigned() || number->get<size_t>() > kMaxLabels)
      return InvalidConfig(absl::StrCat("\"num_labels\" is not a whole number of at most ", kMaxLabels));
    count = number->get<size_t>();
  }
  if (const ParsedJson* const names = FindField(json, "id2label"); names != nullptr && names->is_object()) {
    count = names->size();
    for (size_t i = 0; i < count; ++i) {
      const auto name = names->find(std::to_string(i));
      if (name == names->end() || !name->is_string())
        return InvalidConfig(absl::StrCat("id2label has no name for ", i));
      config->labels.push_back(name->get<std::string>());
    }
  }
  for (size_t i = config->labels.size(); i < count; ++i) config->labels.push_back(absl::StrCat("LABEL_", i));
  return absl::OkStatus();
}

// Whether a config.json with this "problem_type" means this head. Without one, `transformers` takes a single
// label to be a number.
bool IsMeant(const HeadInfo& head, absl::string_view problem_type, size_t labels) {
  if (problem_type.empty()) return head.labels == LabelCount::kOne && labels == 1;
  return head.problem_type == problem_type;
}

}  // namespace

absl::Status ReadHead(const Family& family, const ParsedJson& json, HeadUse use, ModelConfig* config) {
  SHOAL_ASSIGN_OR_RETURN(const Architecture* const architecture, ReadArchitecture(family, json, use));
  config->head = architecture->heads.front();
  if (HeadOf(config->head).labels == LabelCount::kNone) return absl::OkStatus();
  if (use == HeadUse::kReplaced) {
    config->labels = {"LABEL_0", "LABEL_1"};
    return absl::OkStatus();
  }
  SHOAL_RETURN_IF_ERROR(ReadLabels(json, config));
  SHOAL_ASSIGN_OR_RETURN(const std::string problem_type, ReadString(json, "problem_type", ""));
  for (HeadType head : architecture->heads) {
    if (IsMeant(HeadOf(head), problem_type, config->labels.size())) config->head = head;
  }
  return absl::OkStatus();
}

void WriteArchitecture(const Family& family, const ModelConfig& config, Json* json) {
  const Architecture* const architecture = FindArchitecture(family, config.head);
  SHOAL_CHECK(architecture != nullptr);
  (*json)["architectures"] = {architecture->name};
}

void WriteLabels(const ModelConfig& config, Json* json) {
  const HeadInfo& head = HeadOf(config.head);
  if (*head.problem_type != '\0') (*json)["problem_type"] = head.problem_type;
  if (head.labels == LabelCount::kNone) return;
  // Appended without a search for the key, which would take a time proportional to the square of their
  // number.
  Json::object_t names, numbers;
  absl::flat_hash_set<std::string> known;
  for (size_t i = 0; i < config.labels.size(); ++i) {
    names.emplace_back(std::to_string(i), config.labels[i]);
    if (known.insert(config.labels[i]).second) numbers.emplace_back(config.labels[i], i);
  }
  (*json)["id2label"] = std::move(names);
  (*json)["label2id"] = std::move(numbers);
}

}  // namespace shoal::model
