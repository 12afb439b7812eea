#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/pipeline/score_digits.h"
#include "model/tokenizer/pipeline/subword_model.h"
#include "model/tokenizer/sentencepiece_constants.h"

namespace shoal::model::pipeline {
namespace {

using ModelOr = absl::StatusOr<std::unique_ptr<SubwordModel>>;

// `result`, with the path of the model in an error.
template <typename Result>
Result At(const JsonObject& fields, Result result) {
  if (result.ok()) return result;
  return InvalidAt(fields.path(), absl::StrCat("is not valid: ", result.status().message()));
}

// A merge is ["a", "b"] or, in older files, "a b".
absl::StatusOr<BpeMerge> ParseMerge(const JsonPlace& place) {
  const Json& merge = *place.value;
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return BpeMerge(merge[0].get<std::string>(), merge[1].get<std::string>());
  }
  if (merge.is_string()) {
    const std::vector<std::string> parts = absl::StrSplit(merge.get_ref<const std::string&>(), ' ');
    if (parts.size() == 2) return BpeMerge(parts[0], parts[1]);
  }
  return InvalidAt(place.path, absl::StrCat("is ", Quoted(merge), ", expected two tokens"));
}

ModelOr ParseWordPiece(JsonObject* fields) {
  WordPieceOptions options;
  options.unk_token = fields->String("unk_token", options.unk_token);
  options.continuing_prefix = fields->String("continuing_subword_prefix", options.continuing_prefix);
  options.max_word_characters = fields->Integer("max_input_chars_per_word", options.max_word_characters);
  SHOAL_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(fields->Required("vocab")));
  return At(*fields, MakeWordPiece(std::move(vocabulary), options));
}

ModelOr ParseBpe(JsonObject* fields) {
  BpeOptions options;
  options.unk_token = fields->String("unk_token");
  options.continuing_prefix = fields->String("continuing_subword_prefix");
  options.end_of_word_suffix = fields->String("end_of_word_suffix");
  options.fuse_unk = fields->Bool("fuse_unk", false);
  options.byte_fallback = fields->Bool("byte_fallback", false);
  options.ignore_merges = fields->Bool("ignore_merges", false);
  if (fields->Has("dropout")) fields->Reject("dropout", "which is not supported; expected null");
  SHOAL_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(fields->Required("vocab")));
  std::vector<BpeMerge> merges;
  for (const JsonPlace& place : fields->Array("merges")) {
    SHOAL_ASSIGN_OR_RETURN(BpeMerge merge, ParseMerge(place));
    merges.push_back(std::move(merge));
  }
  return At(*fields, MakeBpe(std::move(vocabulary), merges, options));
}

absl::StatusOr<UnigramPieces::Piece> ParsePiece(const JsonPlace& place) {
  const Json& piece = *place.value;
  if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number()) {
    return InvalidAt(place.path, absl::StrCat("is ", Quoted(piece), ", expected a token and its score"));
  }
  return UnigramPieces::Piece{piece[0].get<std::string>(), AsTokenizersReads(piece[1].get<double>())};
}

ModelOr ParseUnigram(JsonObject* fields) {
  UnigramPieces pieces;
  if (fields->Has("unk_id")) pieces.unk_id = fields->Integer("unk_id", 0);
  pieces.byte_fallback = fields->Bool("byte_fallback", false);
  double min_score = std::numeric_limits<double>::infinity();
  for (const JsonPlace& place : fields->Array("vocab")) {
    SHOAL_ASSIGN_OR_RETURN(UnigramPieces::Piece piece, ParsePiece(place));
    min_score = std::min(min_score, piece.score);
    pieces.pieces.push_back(std::move(piece));
  }
  if (pieces.pieces.empty()) return InvalidAt(fields->PathOf("vocab"), "has no pieces");
  pieces.unk_score = min_score - kUnknownPenalty;
  return At(*fields, MakeUnigram(pieces));
}

constexpr ComponentKind<SubwordModel> kKinds[] = {
    {"BPE", ParseBpe},
    {"Unigram", ParseUnigram},
    {"WordPiece", ParseWordPiece},
};

// Files of the first versions don't name the type.
const ComponentKind<SubwordModel>& KindOfUntyped(JsonObject* fields) {
  if (fields->Has("merges")) return kKinds[0];
  return fields->Has("continuing_subword_prefix") ? kKinds[2] : kKinds[1];
}

}  // namespace

ModelOr ParseSubwordModel(const JsonPlace& place) {
  JsonObject fields(place);
  if (fields.Has("type") || !place.value->is_object()) return ParseComponent<SubwordModel>(place, kKinds);
  SHOAL_ASSIGN_OR_RETURN(auto model, KindOfUntyped(&fields).parse(&fields));
  SHOAL_RETURN_IF_ERROR(fields.Finish());
  return model;
}

absl::StatusOr<Vocabulary> ParseVocabulary(const JsonPlace& place) {
  if (!place.value->is_object()) {
    return InvalidAt(place.path, absl::StrCat("is ", Quoted(*place.value), ", expected ids by token"));
  }
  std::vector<Vocabulary::Entry> entries;
  entries.reserve(place.value->size());
  for (const auto& [text, id] : place.value->items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxTokenId) {
      return InvalidAt(place.path, absl::StrCat("has '", ToQuoted(text), "' with the id ", Quoted(id),
                                                ", expected an integer below ", kMaxTokenId));
    }
    entries.push_back({text, id.get<uint32_t>()});
  }
  auto vocabulary = Vocabulary::Make(std::move(entries));
  if (!vocabulary.ok()) return InvalidAt(place.path, vocabulary.status().message());
  return vocabulary;
}

absl::StatusOr<std::vector<BpeMerge>> ParseMergesText(absl::string_view text) {
  std::vector<BpeMerge> merges;
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripSuffix(line, "\r");
    if (line.empty() || absl::StartsWith(line, "#version")) continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (parts.first.empty() || parts.second.empty() || absl::StrContains(parts.second, " ")) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, " is '", ToQuoted(line),
                                                     "', expected two tokens separated by a space"));
    }
    merges.emplace_back(parts.first, parts.second);
  }
  return merges;
}

}  // namespace shoal::model::pipeline
