// What SentencePiece has built in: the same for all models, and so not in their files.
#pragma once

#include "absl/strings/string_view.h"

namespace shoal::model {

// How a space is written inside a piece: U+2581.
inline constexpr absl::string_view kSpacePiece = "\u2581";

// The text of a decoded unknown piece.
inline constexpr absl::string_view kUnknownText = " \u2047 ";

// How much less probable a character without a piece is than the least probable piece, in log probability.
// (A float: SentencePiece subtracts it from a float score and rounds.)
inline constexpr float kUnknownPenalty = 10;

}  // namespace shoal::model
