#include "tasks/data/squad.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "nlohmann/json.hpp"
#include "tasks/data/record.h"

namespace shoal::tasks {
namespace {

using Json = nlohmann::json;
using Type = Json::value_t;

// A value of the file, and where it is: "article 2, paragraph 1".
struct Node {
  const Json& json;
  std::string where;

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(where.empty() ? std::string(what) : absl::StrCat(where, ": ", what));
  }
};

// Null when it is left out.
const Json* Find(const Node& node, const char* field) {
  if (!node.json.is_object()) return nullptr;
  const auto found = node.json.find(field);
  return found == node.json.end() ? nullptr : &*found;
}

absl::StatusOr<const Json*> Get(const Node& node, const char* field, Type type) {
  const Json* const value = Find(node, field);
  if (value == nullptr) return node.Error(absl::StrCat("there is no \"", field, "\""));
  const bool whole = type == Type::number_integer;
  if (whole ? value->is_number_integer() : value->type() == type) return value;
  const std::string expected = whole ? "whole number" : Json(type).type_name();
  return node.Error(absl::StrCat("\"", field, "\": expected ", expected, ", got ", value->type_name()));
}

absl::StatusOr<std::string> GetText(const Node& node, const char* field) {
  SHOAL_ASSIGN_OR_RETURN(const Json* const value, Get(node, field, Type::string));
  auto text = value->get<std::string>();
  if (absl::StripAsciiWhitespace(text).empty()) return node.Error(absl::StrCat("\"", field, "\" is empty"));
  return text;
}

// Calls visit(Node) for the elements of an array, which messages call `name`.
template <typename Visit>
absl::Status ForEach(const Node& node, const char* field, const char* name, Visit visit) {
  SHOAL_ASSIGN_OR_RETURN(const Json* const array, Get(node, field, Type::array));
  for (size_t i = 0; i < array->size(); ++i) {
    const std::string separator = node.where.empty() ? "" : ", ";
    SHOAL_RETURN_IF_ERROR(visit(Node{(*array)[i], absl::StrCat(node.where, separator, name, " ", i + 1)}));
  }
  return absl::OkStatus();
}

// Where `text` is in `context`, nearest to character `stated`.
std::optional<TextSpan> FindNearest(const std::string& context, const std::string& text, int64_t stated) {
  std::optional<TextSpan> nearest;
  const auto size = static_cast<uint32_t>(CountCharacters(text));
  uint32_t character = 0;
  size_t counted = 0;  // bytes before `character`
  for (size_t at = context.find(text); at != std::string::npos; at = context.find(text, at + 1)) {
    const absl::string_view between = absl::string_view(context).substr(counted, at - counted);
    character += static_cast<uint32_t>(CountCharacters(between));
    counted = at;
    const auto distance = [&](uint32_t place) { return std::abs(static_cast<int64_t>(place) - stated); };
    if (!nearest || distance(character) < distance(nearest->begin)) nearest = {character, character + size};
  }
  return nearest;
}

class SquadReader {
 public:
  explicit SquadReader(const AddRecord& add) : add_(add) {}

  absl::Status Read(const Json& json) {
    return ForEach({json, ""}, "data", "article", [&](const Node& article) { return ReadArticle(article); });
  }

 private:
  absl::Status ReadArticle(const Node& article) {
    if (Find(article, "paragraphs") == nullptr && Find(article, "context") != nullptr) {
      return article.Error(
          "is a question by itself, as in the datasets library; expected articles with \"paragraphs\", as "
          "SQuAD has them");
    }
    const Json* const title = Find(article, "title");
    const bool named = title != nullptr && title->is_string() && !title->get<std::string>().empty();
    group_ = named ? title->get<std::string>() : article.where;
    return ForEach(article, "paragraphs", "paragraph", [&](const Node& node) { return ReadParagraph(node); });
  }

  absl::Status ReadParagraph(const Node& paragraph) {
    SHOAL_ASSIGN_OR_RETURN(const std::string context, GetText(paragraph, "context"));
    return ForEach(paragraph, "qas", "question",
                   [&](const Node& node) { return AddQuestion(node, context); });
  }

  absl::Status AddQuestion(const Node& question, const std::string& context) {
    absl::StatusOr<Record> record = ReadQuestion(question, context);
    return add_(std::move(record), /*line=*/0);
  }

  // Some files have numbers.
  static absl::StatusOr<std::string> GetId(const Node& question) {
    const Json* const id = Find(question, "id");
    if (id != nullptr && id->is_number_integer()) return id->dump();
    return GetText(question, "id");
  }

  absl::StatusOr<Record> ReadQuestion(const Node& question, const std::string& context) {
    Record record;
    SHOAL_ASSIGN_OR_RETURN(record.id, GetId(question));
    const Node named = {question.json, absl::StrCat(question.where, " (", ToQuoted(record.id), ")")};
    if (!ids_.insert(record.id).second) return named.Error("another question has the same id");
    SHOAL_ASSIGN_OR_RETURN(std::string text, GetText(named, "question"));
    record.texts = {std::move(text)};
    record.pair = {context};
    record.group = group_;
    bool impossible = false;
    if (Find(named, "is_impossible") != nullptr) {
      SHOAL_ASSIGN_OR_RETURN(const Json* const value, Get(named, "is_impossible", Type::boolean));
      impossible = value->get<bool>();
      record.may_lack_answer = true;
    }
    if (impossible) return record;
    SHOAL_RETURN_IF_ERROR(ForEach(named, "answers", "answer",
                                  [&](const Node& node) { return AddAnswer(node, context, &record); }));
    if (record.labels.empty()) return named.Error("has no answers; expected one, or \"is_impossible\": true");
    if (!record.answer) {
      return named.Error(absl::StrCat("its answer is not in the context: ", ToQuoted(record.labels.front())));
    }
    return record;
  }

  static absl::Status AddAnswer(const Node& answer, const std::string& context, Record* record) {
    SHOAL_ASSIGN_OR_RETURN(std::string text, GetText(answer, "text"));
    SHOAL_ASSIGN_OR_RETURN(const Json* const start, Get(answer, "answer_start", Type::number_integer));
    // Of what JSON has, only these can be places.
    const auto stated = static_cast<int64_t>(std::clamp(start->get<double>(), 0.0, 1e9));
    if (!record->answer) record->answer = FindNearest(context, text, stated);
    record->labels.push_back(std::move(text));
    return absl::OkStatus();
  }

  const AddRecord& add_;
  std::string group_;
  std::set<std::string> ids_;
};

}  // namespace

absl::Status ReadSquad(const TextFile& file, const DataSpec&, const LabelReader&, const AddRecord& add) {
  const Json json = Json::parse(file.text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    const JsonMistake mistake = FindJsonMistake(file.text).value_or(JsonMistake());
    const auto lines =
        std::count(file.text.begin(), file.text.begin() + static_cast<int64_t>(mistake.position), '\n');
    const uint64_t line = static_cast<uint64_t>(lines) + 1;
    return add(absl::InvalidArgumentError(absl::StrCat("expected JSON (", mistake.message, ")")), line);
  }
  if (!json.is_object() || !json.contains("data"))
    return add(absl::InvalidArgumentError("expected the JSON of SQuAD: an object with \"data\""), 0);
  // Errors outside questions have no record that they are about.
  bool told = false;
  const AddRecord tell = [&](absl::StatusOr<Record> record, uint64_t line) {
    absl::Status status = add(std::move(record), line);
    told |= !status.ok();
    return status;
  };
  const absl::Status status = SquadReader(tell).Read(json);
  return status.ok() || told ? status : add(status, 0);
}

}  // namespace shoal::tasks
