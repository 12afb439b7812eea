// Prefetches the panel of A that is packed next while the panel before it is multiplied. Internal to the
// GEMM.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// What one call of the micro-kernel prefetches, a cache line at a time: runs of lines `step` bytes apart.
// These are only hints, so they may go past the end.
class LinesAhead {
 public:
  LinesAhead(const void* at, int64_t step, int64_t run, int64_t jump)
      : at_(static_cast<const char*>(at)), step_(step), run_(run), jump_(jump), left_(run) {}

  void BringNext() {
    __builtin_prefetch(at_);
    at_ += step_;
    if (--left_ > 0) return;
    at_ += jump_;
    left_ = run_;
  }

 private:
  const char* at_;
  int64_t step_;
  int64_t run_;   // lines in a run
  int64_t jump_;  // from the end of a run to the next one
  int64_t left_;
};

// The panel that follows the rows before `row` in the tile m, block k: the tile's next rows, or after the
// last rows its first rows in the next block of K.
template <typename T>
class NextPanel {
 public:
  // `calls` calls of the micro-kernel share its lines. `panel`: the packed panel, prefetched when there is no
  // next one.
  NextPanel(const GemmProblem& problem, Range m, Range k, int64_t row, int64_t panel_rows, int64_t calls,
            const void* panel)
      : problem_(problem), m_(m), k_(k), calls_(calls), panel_(panel) {
    m_.begin = row;
    if (row >= m.end) {
      m_.begin = m.begin;
      k_ = {k.end, std::min(problem.k, k.end + kGemmBlockK)};
    }
    m_.end = std::min(m.end, m_.begin + panel_rows);
  }

  LinesAhead OfCall(int64_t call) const {
    constexpr int64_t kLine = 64, kElement = sizeof(T);
    if (k_.size() <= 0) return {panel_, 0, 1, 0};
    const int64_t stride = problem_.lda * kElement;
    if (problem_.trans_a) {
      // The lines in which the rows begin were prefetched with the panel before.
      return {problem_.A<T>(m_.end - 1, k_.begin + k_.size() * call / calls_), stride, k_.size(), 0};
    }
    const int64_t lines = (k_.size() * kElement + kLine - 1) / kLine;
    return {problem_.A<T>(m_.begin + m_.size() * call / calls_, k_.begin), kLine, lines,
            stride - lines * kLine};
  }

 private:
  const GemmProblem& problem_;
  Range m_;
  Range k_;
  const int64_t calls_;
  const void* panel_;
};

}  // namespace shoal::kernels
