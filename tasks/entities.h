// Named entities as tags of words: "B-PER I-PER O" is an entity of type PER in the first two of three words.
//
//   SHOAL_ASSIGN_OR_RETURN(const EntityTags known, ReadEntityTags(labels));
//   std::vector<Tag> tags;                                    // of one sentence
//   for (int32_t label : labels_of_words) tags.push_back(known.tags[label]);
//   for (const Entity& entity : LenientEntities(tags)) ...    // known.types[entity.type]
//
// Everything here is a pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tasks/label_counts.h"

namespace shoal::tasks {

// How tags say where an entity begins and ends. All schemes have "O" for words outside of entities.
enum class TagScheme {
  kIo,     // I on every word: entities of one type that touch can't be told apart
  kIob1,   // as kIo, but B on the first word of an entity that touches one of its type before it
  kIob2,   // B on the first word, I on the others; also called BIO
  kIoe1,   // as kIo, but E on the last word of an entity that touches one of its type after it
  kIoe2,   // E on the last word, I on the others
  kIobes,  // S on an only word; otherwise B on the first, E on the last, I between
  kBilou,  // as kIobes, with U for S and L for E
};
inline constexpr TagScheme kTagSchemes[] = {TagScheme::kIo,   TagScheme::kIob1, TagScheme::kIob2,
                                            TagScheme::kIoe1, TagScheme::kIoe2, TagScheme::kIobes,
                                            TagScheme::kBilou};

// "IO", "IOB1", ...
absl::string_view NameOf(TagScheme scheme);

// The letter of a tag.
enum class TagKind {
  kOutside,  // O
  kInside,   // I
  kBegin,    // B
  kEnd,      // E or L
  kSingle,   // S or U
};

struct Tag {
  TagKind kind = TagKind::kOutside;
  int32_t type = -1;  // index into EntityTags.types; -1 exactly with kOutside
};
bool operator==(const Tag& left, const Tag& right);

// Words [begin, end) of a sentence.
struct Entity {
  int32_t type = 0;  // index into EntityTags.types
  size_t begin = 0;
  size_t end = 0;
};
bool operator==(const Entity& left, const Entity& right);

// What the labels of a data set mean.
struct EntityTags {
  // None when the labels are not tags of entities, but for example parts of speech; the rest is then empty.
  std::optional<TagScheme> scheme;
  std::vector<std::string> types;  // sorted
  std::vector<Tag> tags;           // of each label
};

// Reads "O", and tags of a letter, a hyphen and a type ("B-creative-work"), or of a letter alone: these are
// of one type, "_". `labels`: the different labels of a data set.
//
// The letters decide the scheme. Those of IOB1 and of IOE1 are also those of IOB2 and IOE2, which are taken;
// FollowsScheme can tell them apart.
//
// Errors: INVALID_ARGUMENT when some labels have a letter and a hyphen and others are not tags, when a type
// is missing, and for letters of IOBES together with letters of BILOU. The message names the label.
absl::StatusOr<EntityTags> ReadEntityTags(absl::Span<const std::string> labels);

// "O", or "B-PER" for `type` PER.
std::string LabelOf(TagKind kind, absl::string_view type, TagScheme scheme);

// The entities of a sentence, in order; they don't overlap. These two are what seqeval 1.2.2 finds.

// In its default mode, as the program conlleval does: a tag that can't be part of the entity before it begins
// another, whatever its letter. Every tag except O belongs to an entity. (seqeval knows no L and U here; they
// are read as E and S.)
std::vector<Entity> LenientEntities(absl::Span<const Tag> tags);

// In its mode "strict": only what is written as `scheme` requires, so that for example "I-PER" after "O" is
// no entity in IOB2. IO, which seqeval does not have, is read as IOB1. `tags` have letters of `scheme` only.
std::vector<Entity> StrictEntities(absl::Span<const Tag> tags, TagScheme scheme);

// The tags of a sentence of `words` words. `entities`: not empty ones, in order, without overlaps.
//
// Both functions above find the same entities again, with two exceptions: in IO those that touch become one,
// and in IOE1 StrictEntities, like seqeval, misses one of a single word that only touches the next.
std::vector<Tag> TagsOf(absl::Span<const Entity> entities, size_t words, TagScheme scheme);

// Whether `tags` are those of some entities.
bool FollowsScheme(absl::Span<const Tag> tags, TagScheme scheme);

// Adds a sentence to the counts of each type (EntityTags.types). A predicted entity is right when one of the
// same type has the same words in truth. Both are as the functions above return them.
void CountEntities(absl::Span<const Entity> truth, absl::Span<const Entity> predicted,
                   absl::Span<LabelCounts> counts);

}  // namespace shoal::tasks
