// Makes a vocabulary from text: the unigram language model of Kudo, "Subword Regularization" (ACL 2018), with
// the steps and constants of SentencePiece's trainer.
//
// Why not SentencePiece's own trainer: Debian's libsentencepiece contains a copy of Protobuf 3.14 whose
// symbols clash with Protobuf 3.21 in the same process (it crashes when loaded). The file format is the same:
// SentencePiece loads the model, and a test compares its ids with ours (README.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/progress.h"
#include "model/tokenizer/text_normalizer.h"

namespace shoal::model {

struct UnigramTrainerOptions {
  uint32_t vocab_size = 8000;          // pieces, including the special ones
  double character_coverage = 0.9995;  // part of the text that has pieces; the rarest characters become unk
  LetterCase letter_case = LetterCase::kKept;
  uint32_t seed_pieces = 1000000;  // maximum number of frequent substrings to start from
  Progress progress = NoProgress;  // called at the start and after each pass over the words
};

// A serialized SentencePiece model of exactly `vocab_size` pieces, for LoadTokenizer. Ids 0 to 4 are [PAD],
// [UNK], [CLS], [SEP] and [MASK].
//
// A pure function of its arguments, with the same bits on every machine: IEEE arithmetic and our own
// logarithms. Single-threaded. `lines` are normalized here. Errors: INVALID_ARGUMENT when the text is too
// small for vocab_size pieces (the message says how many it yields) or vocab_size is too small for its
// characters.
absl::StatusOr<std::string> TrainUnigram(absl::Span<const absl::string_view> lines,
                                         const UnigramTrainerOptions& options);

}  // namespace shoal::model
