#include "tasks/data/record.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest_name.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "nlohmann/json.hpp"

namespace shoal::tasks {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxShownColumns = 20;

absl::Status NoSuchColumn(absl::string_view column, absl::string_view field,
                          const std::vector<std::string>& columns) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(columns.size(), kMaxShownColumns); ++i)
    shown.push_back(ToQuoted(columns[i]));
  std::string names = absl::StrCat("'", absl::StrJoin(shown, "', '"), "'");
  if (columns.size() > shown.size()) absl::StrAppend(&names, " and ", columns.size() - shown.size(), " more");
  return absl::InvalidArgumentError(absl::StrCat("there is no column '", column, "' (", field,
                                                 "); the columns are ", names, DidYouMean(column, shown)));
}

absl::StatusOr<size_t> FindColumn(absl::Span<const absl::string_view> header, absl::string_view column,
                                  absl::string_view field) {
  const auto it = std::find(header.begin(), header.end(), column);
  if (it == header.end()) return NoSuchColumn(column, field, {header.begin(), header.end()});
  if (std::count(header.begin(), header.end(), column) > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("column '", column, "' (", field, ") occurs twice in the header"));
  }
  return static_cast<size_t>(it - header.begin());
}

std::vector<std::string> SplitWords(absl::string_view text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
}

std::vector<std::string> SplitLabels(absl::string_view field, const DataSpec& data,
                                     const LabelReader& labels) {
  if (labels.reads_words()) return SplitWords(field);
  if (!labels.reads_lists()) return {std::string(field)};
  std::vector<std::string> parts;
  for (absl::string_view label : absl::StrSplit(field, data.label_separator())) {
    parts.emplace_back(absl::StripAsciiWhitespace(label));
  }
  return parts;
}

// The values of one JSON object.
// Whether it is a whole number that every number of JSON can tell from its neighbours: 1, 1.0 and 1e0 are one
// label.
bool IsWhole(double value) {
  constexpr double kMaxWhole = 9007199254740992;  // 2^53
  return std::fabs(value) <= kMaxWhole && value == std::floor(value);
}

// Finds what is wrong with a text that is not JSON.
class JsonProblem : public nlohmann::json_sax<Json> {
 public:
  static std::optional<JsonMistake> Of(absl::string_view text) {
    JsonProblem problem;
    Json::sax_parse(text.begin(), text.end(), &problem);
    if (problem.message_.empty()) return std::nullopt;
    for (absl::string_view name : {"NaN", "Infinity"}) {
      // The parser stops at the first letter that can't begin a value.
      const size_t begin = problem.position_ - std::min(problem.position_, name.size());
      const size_t at = text.find(name, begin);
      if (at != absl::string_view::npos && problem.position_ >= at && problem.position_ <= at + name.size())
        return JsonMistake{problem.position_, absl::StrCat(name, " is not a number of JSON")};
    }
    return JsonMistake{problem.position_, problem.message_};
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    position_ = position;
    // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax error ... - what; last read:
    // ..."
    absl::string_view what = error.what();
    const size_t reason = what.find(" - ");
    if (reason != absl::string_view::npos) what.remove_prefix(reason + 3);
    message_ = ToQuoted(what.substr(0, what.find("; last read")));
    return false;
  }

 private:
  size_t position_ = 0;
  std::string message_;
};

class JsonRecord {
 public:
  explicit JsonRecord(const Json& object) : object_(object) {}

  absl::StatusOr<std::string> String(const std::string& column, absl::string_view field) const {
    SHOAL_ASSIGN_OR_RETURN(const Json* value, Value(column, field));
    return AsString(*value, column, field);
  }

  // The elements of an array, or the words of a string.
  absl::StatusOr<std::vector<std::string>> Words(const std::string& column, absl::string_view field) const {
    SHOAL_ASSIGN_OR_RETURN(auto list, Array(column, field));
    if (list.has_value()) return *std::move(list);
    SHOAL_ASSIGN_OR_RETURN(const std::string text, String(column, field));
    return SplitWords(text);
  }

  // The elements of an array, or nullopt when the value is not an array.
  absl::StatusOr<std::optional<std::vector<std::string>>> Array(const std::string& column,
                                                                absl::string_view field) const {
    SHOAL_ASSIGN_OR_RETURN(const Json* value, Value(column, field));
    if (!value->is_array()) return std::nullopt;
    std::vector<std::string> elements;
    for (const Json& element : *value) {
      SHOAL_ASSIGN_OR_RETURN(std::string text, AsString(element, column, field));
      elements.push_back(std::move(text));
    }
    return elements;
  }

 private:
  absl::StatusOr<const Json*> Value(const std::string& column, absl::string_view field) const {
    const auto it = object_.find(column);
    if (it != object_.end()) return &*it;
    std::vector<std::string> columns;
    for (const auto& item : object_.items()) columns.push_back(item.key());
    return NoSuchColumn(column, field, columns);
  }

  static absl::StatusOr<std::string> AsString(const Json& value, absl::string_view column,
                                              absl::string_view field) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_float() && IsWhole(value.get<double>()))
      return absl::StrCat(static_cast<int64_t>(value.get<double>()));
    if (value.is_number() || value.is_boolean()) return value.dump();
    return absl::InvalidArgumentError(
        absl::StrCat("column '", column, "' (", field, "): expected a string, got ", value.type_name()));
  }

  const Json& object_;
};

}  // namespace

absl::StatusOr<ColumnIndexes> FindColumns(absl::Span<const absl::string_view> header, const DataSpec& data) {
  ColumnIndexes indexes;
  indexes.count = header.size();
  for (const std::string& text : data.text()) {
    SHOAL_ASSIGN_OR_RETURN(const size_t index, FindColumn(header, text, "data.text"));
    indexes.text.push_back(index);
  }
  for (const std::string& pair : data.pair()) {
    SHOAL_ASSIGN_OR_RETURN(const size_t index, FindColumn(header, pair, "data.pair"));
    indexes.pair.push_back(index);
  }
  SHOAL_ASSIGN_OR_RETURN(indexes.label, FindColumn(header, data.label(), "data.label"));
  if (data.has_group()) {
    SHOAL_ASSIGN_OR_RETURN(indexes.group, FindColumn(header, data.group(), "data.group"));
  }
  return indexes;
}

absl::StatusOr<Record> RecordFromFields(absl::Span<const absl::string_view> fields,
                                        const ColumnIndexes& columns, const DataSpec& data,
                                        const LabelReader& labels) {
  if (fields.size() != columns.count) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", columns.count, " fields, as in the header, got ", fields.size()));
  }
  Record record;
  for (size_t index : columns.text) record.texts.emplace_back(fields[index]);
  for (size_t index : columns.pair) record.pair.emplace_back(fields[index]);
  record.labels = SplitLabels(fields[columns.label], data, labels);
  if (columns.group.has_value()) record.group = std::string(fields[*columns.group]);
  return record;
}

std::optional<JsonMistake> FindJsonMistake(absl::string_view text) { return JsonProblem::Of(text); }

absl::StatusOr<Record> RecordFromJson(absl::string_view line, const DataSpec& data,
                                      const LabelReader& labels) {
  const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    const std::optional<JsonMistake> mistake = FindJsonMistake(line);
    const std::string why =
        mistake ? absl::StrCat(" (column ", mistake->position, ": ", mistake->message, ")") : "";
    return absl::InvalidArgumentError(absl::StrCat("expected a JSON object on one line", why));
  }
  const JsonRecord values(object);
  Record record;
  for (const std::string& column : data.text()) {
    if (labels.reads_words()) {
      SHOAL_ASSIGN_OR_RETURN(record.words, values.Words(column, "data.text"));
      continue;
    }
    SHOAL_ASSIGN_OR_RETURN(std::string text, values.String(column, "data.text"));
    record.texts.push_back(std::move(text));
  }
  for (const std::string& column : data.pair()) {
    SHOAL_ASSIGN_OR_RETURN(std::string text, values.String(column, "data.pair"));
    record.pair.push_back(std::move(text));
  }
  if (data.has_group()) {
    SHOAL_ASSIGN_OR_RETURN(record.group, values.String(data.group(), "data.group"));
  }
  if (!labels.reads_labels()) return record;
  if (labels.reads_lists()) {
    SHOAL_ASSIGN_OR_RETURN(auto list, values.Array(data.label(), "data.label"));
    if (list.has_value()) {
      record.labels = *std::move(list);
      return record;
    }
  }
  SHOAL_ASSIGN_OR_RETURN(const std::string label, values.String(data.label(), "data.label"));
  record.labels = SplitLabels(label, data, labels);
  return record;
}

}  // namespace shoal::tasks
