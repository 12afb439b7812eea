#include "tasks/entities.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace shoal::tasks {
namespace {

constexpr absl::string_view kLetters = "IBESLU";
constexpr char kOutsideLabel[] = "O";
constexpr char kOnlyType[] = "_";  // of tags that are only a letter

bool HasTwoMarks(TagScheme scheme) { return scheme == TagScheme::kIobes || scheme == TagScheme::kBilou; }

// ---- labels ----

TagKind KindOf(char letter) {
  switch (letter) {
    case 'I':
      return TagKind::kInside;
    case 'B':
      return TagKind::kBegin;
    case 'E':
    case 'L':
      return TagKind::kEnd;
    case 'S':
    case 'U':
      return TagKind::kSingle;
    default:
      return TagKind::kOutside;
  }
}

char LetterOf(TagKind kind, TagScheme scheme) {
  const bool bilou = scheme == TagScheme::kBilou;
  switch (kind) {
    case TagKind::kInside:
      return 'I';
    case TagKind::kBegin:
      return 'B';
    case TagKind::kEnd:
      return bilou ? 'L' : 'E';
    case TagKind::kSingle:
      return bilou ? 'U' : 'S';
    case TagKind::kOutside:
      break;
  }
  return 'O';
}

bool IsOutside(const std::string& label) { return label == kOutsideLabel; }
bool IsLetter(const std::string& label) { return label.size() == 1 && absl::StrContains(kLetters, label[0]); }
bool HasLetterAndHyphen(const std::string& label) {
  return label.size() > 1 && absl::StrContains(kLetters, label[0]) && label[1] == '-';
}

// Of a label that is a tag, except "O".
std::string TypeOf(const std::string& label) { return label.size() == 1 ? kOnlyType : label.substr(2); }

// Whether the labels are tags; an error if some of them are and others can't be.
absl::StatusOr<bool> AreTags(absl::Span<const std::string> labels) {
  const auto tag = std::find_if(labels.begin(), labels.end(), HasLetterAndHyphen);
  if (tag == labels.end()) {
    return std::all_of(labels.begin(), labels.end(),
                       [](const auto& l) { return IsOutside(l) || IsLetter(l); });
  }
  for (const std::string& label : labels) {
    if (IsOutside(label) || (HasLetterAndHyphen(label) && label.size() > 2)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the label '", ToQuoted(label), "' is not a tag of an entity; expected 'O', or one of the letters ",
        kLetters, ", a hyphen and a type",
        label == *tag ? "" : absl::StrCat(", as in '", ToQuoted(*tag), "'")));
  }
  return true;
}

// The first label that starts with one of `letters`, or null.
const std::string* FindLetter(absl::Span<const std::string> labels, absl::string_view letters) {
  const auto found = std::find_if(labels.begin(), labels.end(), [&](const std::string& label) {
    return !IsOutside(label) && absl::StrContains(letters, label[0]);
  });
  return found == labels.end() ? nullptr : &*found;
}

// Of labels that are tags.
absl::StatusOr<TagScheme> SchemeOf(absl::Span<const std::string> labels) {
  const std::string *const iobes = FindLetter(labels, "ES"), *const bilou = FindLetter(labels, "LU");
  if (iobes != nullptr && bilou != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the labels '", ToQuoted(*iobes), "' and '", ToQuoted(*bilou),
        "' are of different schemes; expected the letters B, I, E, S (IOBES) or B, I, L, U (BILOU)"));
  }
  if (bilou != nullptr) return TagScheme::kBilou;
  const bool begins = FindLetter(labels, "B") != nullptr, ends = FindLetter(labels, "E") != nullptr;
  if (FindLetter(labels, "S") != nullptr || (begins && ends)) return TagScheme::kIobes;
  return begins ? TagScheme::kIob2 : ends ? TagScheme::kIoe2 : TagScheme::kIo;
}

std::vector<std::string> TypesOf(absl::Span<const std::string> labels) {
  std::vector<std::string> types;
  for (const std::string& label : labels) {
    if (!IsOutside(label)) types.push_back(TypeOf(label));
  }
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return types;
}

Tag TagOf(const std::string& label, const std::vector<std::string>& types) {
  if (IsOutside(label)) return {};
  const auto type = std::lower_bound(types.begin(), types.end(), TypeOf(label));
  return {KindOf(label[0]), static_cast<int32_t>(type - types.begin())};
}

// ---- entities ----

bool SameType(const Tag& left, const Tag& right) { return left.type == right.type; }

// What makes neighbouring tags an entity. Before the first word and after the last is a tag O.
struct EntityRules {
  bool (*starts)(const Tag& before, const Tag& tag);
  bool (*continues)(const Tag& before, const Tag& tag);
  bool (*ends)(const Tag& last, const Tag& after);  // otherwise the words are not an entity
};

bool Always(const Tag&, const Tag&) { return true; }

bool StartsLeniently(const Tag& before, const Tag& tag) {
  if (tag.kind == TagKind::kBegin || tag.kind == TagKind::kSingle) return true;
  if (tag.kind == TagKind::kOutside) return false;
  return !SameType(before, tag) || before.kind == TagKind::kEnd || before.kind == TagKind::kSingle;
}

bool ContinuesLeniently(const Tag& before, const Tag& tag) {
  return tag.kind != TagKind::kOutside && !StartsLeniently(before, tag);
}

bool Continues(const Tag& before, const Tag& tag) {
  return SameType(before, tag) && (before.kind == TagKind::kBegin || before.kind == TagKind::kInside) &&
         (tag.kind == TagKind::kInside || tag.kind == TagKind::kEnd);
}

bool StartsIob1(const Tag& before, const Tag& tag) {
  if (tag.kind == TagKind::kBegin) return SameType(before, tag);
  return tag.kind == TagKind::kInside && (!SameType(before, tag) || before.kind == TagKind::kBegin);
}

// A B is for two entities of one type: seqeval has no entity where one of another type follows with a B too.
bool EndsIob1(const Tag& last, const Tag& after) {
  return last.kind != TagKind::kBegin || after.kind != TagKind::kBegin || SameType(last, after);
}

bool StartsIob2(const Tag&, const Tag& tag) { return tag.kind == TagKind::kBegin; }

bool StartsIoe1(const Tag& before, const Tag& tag) {
  if (tag.kind == TagKind::kEnd) return SameType(before, tag);
  return tag.kind == TagKind::kInside && (!SameType(before, tag) || before.kind == TagKind::kEnd);
}

bool EndsIoe1(const Tag& last, const Tag& after) {
  return last.kind == TagKind::kInside || SameType(last, after);
}

bool StartsIoe2(const Tag& before, const Tag& tag) {
  return tag.kind != TagKind::kOutside && (!SameType(before, tag) || before.kind == TagKind::kEnd);
}

bool StartsIobes(const Tag&, const Tag& tag) {
  return tag.kind == TagKind::kBegin || tag.kind == TagKind::kSingle;
}

bool EndsIobes(const Tag& last, const Tag&) {
  return last.kind == TagKind::kEnd || last.kind == TagKind::kSingle;
}

EntityRules RulesOf(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kIo:
    case TagScheme::kIob1:
      return {StartsIob1, Continues, EndsIob1};
    case TagScheme::kIob2:
      return {StartsIob2, Continues, Always};
    case TagScheme::kIoe1:
      return {StartsIoe1, Continues, EndsIoe1};
    case TagScheme::kIoe2:
      return {StartsIoe2, Continues, EndsIobes};
    case TagScheme::kIobes:
    case TagScheme::kBilou:
      break;
  }
  return {StartsIobes, Continues, EndsIobes};
}

std::vector<Entity> FindEntities(absl::Span<const Tag> tags, const EntityRules& rules) {
  std::vector<Entity> entities;
  size_t end = 0;
  for (size_t begin = 0; begin < tags.size(); begin = end) {
    end = begin + 1;
    if (!rules.starts(begin == 0 ? Tag() : tags[begin - 1], tags[begin])) continue;
    while (end < tags.size() && rules.continues(tags[end - 1], tags[end])) ++end;
    if (!rules.ends(tags[end - 1], end == tags.size() ? Tag() : tags[end])) continue;
    entities.push_back({tags[begin].type, begin, end});
  }
  return entities;
}

// Whether `right` begins where `left`, which has the same type, ends.
bool Touch(const Entity& left, const Entity& right) {
  return left.end == right.begin && left.type == right.type;
}

bool MarksFirst(TagScheme scheme, bool touches_previous) {
  return scheme == TagScheme::kIob2 || HasTwoMarks(scheme) ||
         (scheme == TagScheme::kIob1 && touches_previous);
}

bool MarksLast(TagScheme scheme, bool touches_next) {
  return scheme == TagScheme::kIoe2 || HasTwoMarks(scheme) || (scheme == TagScheme::kIoe1 && touches_next);
}

bool IsBefore(const Entity& left, const Entity& right) {
  return std::tie(left.begin, left.end, left.type) < std::tie(right.begin, right.end, right.type);
}

bool Contains(absl::Span<const Entity> entities, const Entity& entity) {
  return std::binary_search(entities.begin(), entities.end(), entity, IsBefore);
}

}  // namespace

absl::string_view NameOf(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kIo:
      return "IO";
    case TagScheme::kIob1:
      return "IOB1";
    case TagScheme::kIob2:
      return "IOB2";
    case TagScheme::kIoe1:
      return "IOE1";
    case TagScheme::kIoe2:
      return "IOE2";
    case TagScheme::kIobes:
      return "IOBES";
    case TagScheme::kBilou:
      break;
  }
  return "BILOU";
}

bool operator==(const Tag& left, const Tag& right) {
  return left.kind == right.kind && left.type == right.type;
}

bool operator==(const Entity& left, const Entity& right) {
  return left.type == right.type && left.begin == right.begin && left.end == right.end;
}

absl::StatusOr<EntityTags> ReadEntityTags(absl::Span<const std::string> labels) {
  SHOAL_ASSIGN_OR_RETURN(const bool are_tags, AreTags(labels));
  EntityTags known;
  if (!are_tags) return known;
  SHOAL_ASSIGN_OR_RETURN(known.scheme, SchemeOf(labels));
  known.types = TypesOf(labels);
  for (const std::string& label : labels) known.tags.push_back(TagOf(label, known.types));
  return known;
}

std::string LabelOf(TagKind kind, absl::string_view type, TagScheme scheme) {
  if (kind == TagKind::kOutside) return kOutsideLabel;
  return absl::StrCat(std::string(1, LetterOf(kind, scheme)), "-", type);
}

std::vector<Entity> LenientEntities(absl::Span<const Tag> tags) {
  return FindEntities(tags, {StartsLeniently, ContinuesLeniently, Always});
}

std::vector<Entity> StrictEntities(absl::Span<const Tag> tags, TagScheme scheme) {
  return FindEntities(tags, RulesOf(scheme));
}

std::vector<Tag> TagsOf(absl::Span<const Entity> entities, size_t words, TagScheme scheme) {
  std::vector<Tag> tags(words);
  for (size_t i = 0; i < entities.size(); ++i) {
    const auto [type, begin, end] = entities[i];
    SHOAL_CHECK(begin < end && end <= words);
    std::fill(tags.begin() + begin, tags.begin() + end, Tag{TagKind::kInside, type});
    if (MarksFirst(scheme, i > 0 && Touch(entities[i - 1], entities[i]))) tags[begin].kind = TagKind::kBegin;
    if (MarksLast(scheme, i + 1 < entities.size() && Touch(entities[i], entities[i + 1])))
      tags[end - 1].kind = TagKind::kEnd;
    if (HasTwoMarks(scheme) && end - begin == 1) tags[begin].kind = TagKind::kSingle;
  }
  return tags;
}

bool FollowsScheme(absl::Span<const Tag> tags, TagScheme scheme) {
  return TagsOf(LenientEntities(tags), tags.size(), scheme) == tags;
}

void CountEntities(absl::Span<const Entity> truth, absl::Span<const Entity> predicted,
                   absl::Span<LabelCounts> counts) {
  for (const Entity& entity : predicted) {
    LabelCounts& of_type = counts[entity.type];
    ++(Contains(truth, entity) ? of_type.true_positive : of_type.false_positive);
  }
  for (const Entity& entity : truth) {
    if (!Contains(predicted, entity)) ++counts[entity.type].false_negative;
  }
}

}  // namespace shoal::tasks
