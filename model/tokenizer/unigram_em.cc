#include "model/tokenizer/unigram_em.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "common/base/portable_math.h"

namespace shoal::model {
namespace {

constexpr uint32_t kNoPiece = 0xFFFFFFFF;
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Each character multiplies a path's probability by e^4. All paths through a word have the same number of
// characters, so no ratio changes. With kMaxWordCharacters no product leaves the range of a double, so no
// logarithms are needed.
constexpr double kLift = 4;

// Smallest expected count that keeps a piece (SentencePiece's constant).
constexpr double kMinExpected = 0.5;

struct Edge {
  uint32_t begin;  // bytes
  uint32_t end;
  uint32_t piece;
};

PieceTrie MakeTrie(const std::vector<ScoredPiece>& pieces) {
  std::vector<PieceTrie::Entry> entries;
  entries.reserve(pieces.size());
  for (uint32_t id = 0; id < pieces.size(); ++id) entries.push_back({pieces[id].text, id});
  return PieceTrie(std::move(entries));
}

}  // namespace

UnigramEm::UnigramEm(const std::vector<TrainingWord>& words, std::vector<ScoredPiece> pieces)
    : words_(words), pieces_(std::move(pieces)), trie_({}) {
  RebuildTrie();
}

void UnigramEm::RebuildTrie() {
  trie_ = MakeTrie(pieces_);
  lengths_.clear();
  for (const ScoredPiece& piece : pieces_) {
    lengths_.push_back(static_cast<uint32_t>(SplitCharacters(piece.text).size()));
  }
}

std::vector<double> UnigramEm::ExpectedCounts() const {
  std::vector<double> probability(pieces_.size());
  for (size_t i = 0; i < pieces_.size(); ++i) {
    probability[i] = PortableExp(pieces_[i].score + kLift * lengths_[i]);
  }
  std::vector<double> expected(pieces_.size(), 0.0);
  std::vector<double> alpha, beta;
  std::vector<Edge> edges;
  for (const TrainingWord& word : words_) {
    const absl::string_view text = word.text;
    alpha.assign(text.size() + 1, 0.0);
    beta.assign(text.size() + 1, 0.0);
    edges.clear();
    alpha[0] = 1;
    for (uint32_t begin = 0; begin < text.size(); ++begin) {
      if (alpha[begin] == 0) continue;  // inside a character
      trie_.ForEachPrefix(text.substr(begin), [&](size_t length, uint32_t piece) {
        const auto end = static_cast<uint32_t>(begin + length);
        alpha[end] += alpha[begin] * probability[piece];
        edges.push_back({begin, end, piece});
      });
    }
    beta[text.size()] = static_cast<double>(word.count) / alpha[text.size()];
    for (auto edge = edges.rbegin(); edge != edges.rend(); ++edge) {
      const double behind = probability[edge->piece] * beta[edge->end];
      beta[edge->begin] += behind;
      expected[edge->piece] += alpha[edge->begin] * behind;
    }
  }
  return expected;
}

void UnigramEm::Step() {
  std::vector<double> expected = ExpectedCounts();
  std::vector<char> keep(pieces_.size());
  double total = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    keep[i] = lengths_[i] == 1 || expected[i] >= kMinExpected;
    expected[i] = std::max(expected[i], kMinExpected);
    if (keep[i]) total += expected[i];
  }
  const double log_total = Digamma(total);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (keep[i]) pieces_[i].score = Digamma(expected[i]) - log_total;
  }
  Keep(keep);
}

std::vector<uint32_t> UnigramEm::BestPath(absl::string_view text, uint32_t excluded) const {
  std::vector<double> best(text.size() + 1, kMinusInfinity);
  std::vector<Edge> last(text.size() + 1);
  best[0] = 0;
  for (uint32_t begin = 0; begin < text.size(); ++begin) {
    if (best[begin] == kMinusInfinity) continue;
    trie_.ForEachPrefix(text.substr(begin), [&](size_t length, uint32_t piece) {
      const double score = best[begin] + pieces_[piece].score;
      if (piece == excluded || score <= best[begin + length]) return;
      best[begin + length] = score;
      last[begin + length] = {begin, static_cast<uint32_t>(begin + length), piece};
    });
  }
  std::vector<uint32_t> path;
  if (best[text.size()] == kMinusInfinity) return path;
  for (size_t end = text.size(); end > 0; end = last[end].begin) path.push_back(last[end].piece);
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<uint64_t> UnigramEm::BestPathCounts() const {
  std::vector<uint64_t> counts(pieces_.size(), 0);
  for (const TrainingWord& word : words_) {
    for (uint32_t piece : BestPath(word.text, kNoPiece)) counts[piece] += word.count;
  }
  return counts;
}

// How much log likelihood is lost when the piece's occurrences are segmented in the next best way; negative
// when the piece is useless.
double UnigramEm::LossWithout(uint32_t piece, absl::Span<const uint64_t> counts, double total) const {
  if (counts[piece] == 0) return -1;
  const std::vector<uint32_t> instead = BestPath(pieces_[piece].text, piece);
  double score = 0;
  for (uint32_t part : instead) score += pieces_[part].score;
  if (score >= pieces_[piece].score) return -1;
  const double count = static_cast<double>(counts[piece]);
  const double log_total_after = PortableLog(total + count * (static_cast<double>(instead.size()) - 1));
  double log_after = 0;
  for (uint32_t part : instead) {
    log_after += PortableLog(static_cast<double>(counts[part]) + count) - log_total_after;
  }
  return count * (PortableLog(count) - PortableLog(total) - log_after);
}

void UnigramEm::Prune(size_t keep) {
  const std::vector<uint64_t> counts = BestPathCounts();
  const auto total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), uint64_t{0}));
  std::vector<char> kept(pieces_.size(), 0);
  std::vector<std::pair<double, uint32_t>> candidates;
  size_t num_kept = 0;
  for (uint32_t i = 0; i < pieces_.size(); ++i) {
    kept[i] = lengths_[i] == 1;
    num_kept += kept[i];
    const double loss = kept[i] ? -1 : LossWithout(i, counts, total);
    if (loss >= 0) candidates.emplace_back(-loss, i);
  }
  std::sort(candidates.begin(), candidates.end());
  for (size_t k = 0; k < candidates.size() && num_kept < keep; ++k, ++num_kept)
    kept[candidates[k].second] = 1;
  Keep(kept);
}

void UnigramEm::Keep(const std::vector<char>& keep) {
  size_t next = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (!keep[i]) continue;
    if (next != i) pieces_[next] = std::move(pieces_[i]);
    ++next;
  }
  pieces_.resize(next);
  RebuildTrie();
}

}  // namespace shoal::model
