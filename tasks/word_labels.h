// What the labels of words mean: tags of named entities, or labels of their own, such as parts of speech.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tasks/entities.h"
#include "tasks/label_counts.h"

namespace shoal::tasks {

// Words [begin, end) of a sentence with a label of their own, or that are one entity.
struct LabelledWords {
  std::string label;  // of the words, or the type of the entity
  size_t begin = 0;
  size_t end = 0;
};

// Immutable; any thread.
class WordLabels {
 public:
  // `labels`: those of a model. Tags that ReadEntityTags refuses count as labels of their own.
  explicit WordLabels(absl::Span<const std::string> labels);

  // What precision and recall are of: the types of entities, or else the labels.
  const std::vector<std::string>& kinds() const { return entities_ ? tags_.types : labels_; }

  // Adds a sentence to the counts of each kind. `truth`, `predicted`: indexes of labels, one for each word.
  // Entities are read leniently (LenientEntities), as seqeval does by default.
  void Count(absl::Span<const int32_t> truth, absl::Span<const int32_t> predicted,
             absl::Span<LabelCounts> counts) const;

  // What the labels of a sentence say, in order. Words outside of entities are left out.
  std::vector<LabelledWords> Read(absl::Span<const int32_t> labels) const;

 private:
  std::vector<Entity> EntitiesOf(absl::Span<const int32_t> labels) const;

  const std::vector<std::string> labels_;
  EntityTags tags_;
  bool entities_ = false;
};

// The labels that a model of these words has: `labels`, and for tags of entities all tags of each type, since
// an entity of several words may occur only elsewhere, and "O". Sorted. Errors: those of ReadEntityTags,
// naming data.label.
absl::StatusOr<std::vector<std::string>> CompleteWordLabels(std::vector<std::string> labels);

}  // namespace shoal::tasks
