#include "tasks/relations.h"

#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace shoal::tasks {
namespace {

// Where the part begins, and after its end.
absl::StatusOr<std::pair<size_t, size_t>> FindPart(absl::string_view text, absl::string_view name) {
  const std::string open = absl::StrCat("<", name, ">"), close = absl::StrCat("</", name, ">");
  const size_t begin = text.find(open), end = text.find(close);
  const bool once = begin != absl::string_view::npos && end != absl::string_view::npos &&
                    text.rfind(open) == begin && text.rfind(close) == end;
  if (!once || end <= begin + open.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected one part of the text between ", open, " and ", close));
  }
  return std::pair(begin, end + close.size());
}

}  // namespace

absl::Status CheckMarkers(absl::string_view text) {
  const auto one = FindPart(text, "e1"), two = FindPart(text, "e2");
  if (!one.ok()) return one.status();
  if (!two.ok()) return two.status();
  if (one->second <= two->first || two->second <= one->first) return absl::OkStatus();
  return absl::InvalidArgumentError("the parts <e1> and <e2> of the text overlap");
}

std::string WithPlainMarkers(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"<e1>", "$ "}, {"</e1>", " $"}, {"<e2>", "# "}, {"</e2>", " #"}});
}

absl::string_view RelationOf(absl::string_view label) {
  absl::string_view relation = label;
  if (!absl::ConsumeSuffix(&relation, "(e1,e2)")) absl::ConsumeSuffix(&relation, "(e2,e1)");
  return absl::EqualsIgnoreCase(relation, "other") ? "" : relation;
}

std::vector<std::string> RelationsOf(absl::Span<const std::string> labels) {
  std::set<std::string> relations;
  for (const std::string& label : labels) relations.emplace(RelationOf(label));
  relations.erase("");
  return {relations.begin(), relations.end()};
}

}  // namespace shoal::tasks
