#include "tasks/word_labels.h"

#include <set>
#include <utility>

#include "common/base/status.h"

namespace shoal::tasks {
namespace {

// The letters of a scheme.
std::vector<TagKind> KindsOf(TagScheme scheme) {
  switch (scheme) {
    case TagScheme::kIo:
      return {TagKind::kInside};
    case TagScheme::kIob1:
    case TagScheme::kIob2:
      return {TagKind::kBegin, TagKind::kInside};
    case TagScheme::kIoe1:
    case TagScheme::kIoe2:
      return {TagKind::kInside, TagKind::kEnd};
    case TagScheme::kIobes:
    case TagScheme::kBilou:
      break;
  }
  return {TagKind::kBegin, TagKind::kInside, TagKind::kEnd, TagKind::kSingle};
}

}  // namespace

WordLabels::WordLabels(absl::Span<const std::string> labels) : labels_(labels.begin(), labels.end()) {
  absl::StatusOr<EntityTags> tags = ReadEntityTags(labels_);
  if (tags.ok()) tags_ = *std::move(tags);
  entities_ = tags_.scheme.has_value();
}

void WordLabels::Count(absl::Span<const int32_t> truth, absl::Span<const int32_t> predicted,
                       absl::Span<LabelCounts> counts) const {
  if (entities_) return CountEntities(EntitiesOf(truth), EntitiesOf(predicted), counts);
  for (size_t word = 0; word < truth.size(); ++word) {
    if (truth[word] == predicted[word]) {
      ++counts[truth[word]].true_positive;
    } else {
      ++counts[truth[word]].false_negative;
      ++counts[predicted[word]].false_positive;
    }
  }
}

std::vector<LabelledWords> WordLabels::Read(absl::Span<const int32_t> labels) const {
  std::vector<LabelledWords> read;
  if (entities_) {
    for (const Entity& entity : EntitiesOf(labels))
      read.push_back({tags_.types[entity.type], entity.begin, entity.end});
    return read;
  }
  for (size_t word = 0; word < labels.size(); ++word) read.push_back({labels_[labels[word]], word, word + 1});
  return read;
}

std::vector<Entity> WordLabels::EntitiesOf(absl::Span<const int32_t> labels) const {
  std::vector<Tag> tags;
  for (int32_t label : labels) tags.push_back(tags_.tags[label]);
  return LenientEntities(tags);
}

absl::StatusOr<std::vector<std::string>> CompleteWordLabels(std::vector<std::string> labels) {
  SHOAL_ASSIGN_OR_RETURN(const EntityTags tags, Annotate(ReadEntityTags(labels), "data.label"));
  std::set<std::string> all(labels.begin(), labels.end());
  if (tags.scheme) {
    all.insert(LabelOf(TagKind::kOutside, "", *tags.scheme));
    // Letters without types stay as they are.
    const bool has_types = tags.types != std::vector<std::string>{"_"};
    for (const std::string& type : tags.types) {
      for (TagKind kind : KindsOf(*tags.scheme)) {
        if (has_types) all.insert(LabelOf(kind, type, *tags.scheme));
      }
    }
  }
  return std::vector<std::string>(all.begin(), all.end());
}

}  // namespace shoal::tasks
