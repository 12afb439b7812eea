#include "model/tokenizer/pipeline/pattern.h"

#include <algorithm>
#include <utility>

#include "model/tokenizer/pipeline/word_patterns.h"

namespace shoal::model::pipeline {
namespace {

class Literal : public Pattern {
 public:
  explicit Literal(std::string literal) : literal_(std::move(literal)) {}

  void FindMatches(absl::string_view text, std::vector<ByteRange>* matches) const override {
    for (size_t at = text.find(literal_); at != absl::string_view::npos;
         at = text.find(literal_, at + literal_.size())) {
      matches->push_back({at, at + literal_.size()});
    }
  }
  size_t MinBytes() const override { return literal_.size(); }

 private:
  std::string literal_;
};

class WordMatcher : public Pattern {
 public:
  explicit WordMatcher(WordPattern pattern) : pattern_(pattern) {}

  void FindMatches(absl::string_view text, std::vector<ByteRange>* matches) const override {
    for (size_t at = 0; at < text.size();) {
      const size_t end = WordEnd(pattern_, text, at);
      matches->push_back({at, end});
      at = end;
    }
  }
  size_t MinBytes() const override { return 1; }

 private:
  WordPattern pattern_;
};

// A part of the text, and whether it is what splits.
struct SplitPart {
  ByteRange range;
  bool splits = false;
};

std::vector<SplitPart> PartsOf(size_t size, absl::Span<const ByteRange> matches, bool inverted) {
  std::vector<SplitPart> parts;
  parts.reserve(matches.size() + 1);
  size_t at = 0;
  for (const ByteRange& match : matches) {
    if (match.begin > at) parts.push_back({{at, match.begin}, inverted});
    parts.push_back({match, !inverted});
    at = match.end;
  }
  if (at < size) parts.push_back({{at, size}, inverted});
  return parts;
}

// Joins each part to the one before it for which join(part, the part before it) holds.
template <typename Join>
void JoinParts(std::vector<SplitPart>* parts, Join&& join) {
  std::vector<SplitPart> joined;
  bool previous_splits = false;
  for (const SplitPart& part : *parts) {
    if (!joined.empty() && join(part.splits, previous_splits)) {
      joined.back().range.begin = std::min(joined.back().range.begin, part.range.begin);
      joined.back().range.end = std::max(joined.back().range.end, part.range.end);
    } else {
      joined.push_back(part);
    }
    previous_splits = part.splits;
  }
  *parts = std::move(joined);
}

void ApplyBehavior(SplitBehavior behavior, std::vector<SplitPart>* parts) {
  // Of several delimiters in a row only the first is merged.
  const auto merge = [](bool splits, bool previous_splits) { return splits && !previous_splits; };
  const auto same = [](bool splits, bool previous_splits) { return splits == previous_splits; };
  switch (behavior) {
    case SplitBehavior::kIsolated:
      return;
    case SplitBehavior::kRemoved:
      parts->erase(std::remove_if(parts->begin(), parts->end(), [](const SplitPart& p) { return p.splits; }),
                   parts->end());
      return;
    case SplitBehavior::kMergedWithPrevious:
      return JoinParts(parts, merge);
    case SplitBehavior::kMergedWithNext:
      std::reverse(parts->begin(), parts->end());
      JoinParts(parts, merge);
      return std::reverse(parts->begin(), parts->end());
    case SplitBehavior::kContiguous:
      return JoinParts(parts, same);
  }
}

struct NamedBehavior {
  const char* name;
  SplitBehavior behavior;
};
constexpr NamedBehavior kBehaviors[] = {{"Removed", SplitBehavior::kRemoved},
                                        {"Isolated", SplitBehavior::kIsolated},
                                        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                        {"MergedWithNext", SplitBehavior::kMergedWithNext},
                                        {"Contiguous", SplitBehavior::kContiguous}};

}  // namespace

std::unique_ptr<Pattern> MakeLiteral(std::string literal) {
  return std::make_unique<Literal>(std::move(literal));
}

absl::StatusOr<std::unique_ptr<Pattern>> ParsePattern(JsonObject* fields) {
  JsonObject pattern(fields->Required("pattern"));
  const bool is_literal = pattern.Has("String");
  const std::string text = pattern.RequiredString(is_literal ? "String" : "Regex");
  SHOAL_RETURN_IF_ERROR(pattern.Finish());
  if (text.empty()) return InvalidAt(fields->PathOf("pattern"), "is empty");
  if (is_literal) return MakeLiteral(text);
  if (const auto words = FindWordPattern(text)) return std::make_unique<WordMatcher>(*words);
  auto regex = MakeRegex(text);
  if (!regex.ok()) return InvalidAt(pattern.PathOf("Regex"), regex.status().message());
  return regex;
}

SplitBehavior ParseBehavior(JsonObject* fields, SplitBehavior otherwise) {
  if (!fields->Has("behavior")) return otherwise;
  const std::string name = fields->String("behavior");
  for (const NamedBehavior& known : kBehaviors) {
    if (name == known.name) return known.behavior;
  }
  fields->Reject("behavior", "expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
  return otherwise;
}

void SplitByMatches(size_t size, size_t origin, absl::Span<const ByteRange> matches, SplitBehavior behavior,
                    bool inverted, std::vector<ByteRange>* parts) {
  std::vector<SplitPart> all = PartsOf(size, matches, inverted);
  ApplyBehavior(behavior, &all);
  for (const SplitPart& part : all) {
    if (part.range.size() > 0) parts->push_back({origin + part.range.begin, origin + part.range.end});
  }
}

}  // namespace shoal::model::pipeline
