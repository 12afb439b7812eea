// The state of the unigram trainer: pieces with log probabilities, fitted to the words and pruned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/seed_pieces.h"
#include "model/tokenizer/training_words.h"

namespace shoal::model {

// Single characters always stay, so every word can be segmented. Same bits on every machine.
class UnigramEm {
 public:
  // `words` must outlive this. `pieces` by text, each of words.characters among them.
  UnigramEm(const std::vector<TrainingWord>& words, std::vector<ScoredPiece> pieces);

  const std::vector<ScoredPiece>& pieces() const { return pieces_; }

  // One step of expectation maximization: expected counts by forward-backward over each word, then the
  // mean-field (variational Bayes) estimate of the probabilities. Removes pieces that are hardly used
  // (expected count below 0.5).
  void Step();

  // Keeps the `keep` pieces without which the likelihood of the words falls most. Pieces that the best
  // segmentations never use are removed in any case.
  void Prune(size_t keep);

 private:
  std::vector<double> ExpectedCounts() const;
  std::vector<uint64_t> BestPathCounts() const;
  // The best segmentation of `text` without the piece `excluded`; empty when there is none.
  std::vector<uint32_t> BestPath(absl::string_view text, uint32_t excluded) const;
  double LossWithout(uint32_t piece, absl::Span<const uint64_t> counts, double total) const;
  void Keep(const std::vector<char>& keep);
  void RebuildTrie();

  const std::vector<TrainingWord>& words_;
  std::vector<ScoredPiece> pieces_;
  std::vector<uint32_t> lengths_;  // characters of each piece
  PieceTrie trie_;
};

}  // namespace shoal::model
