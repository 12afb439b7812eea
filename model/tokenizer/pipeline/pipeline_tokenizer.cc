#include "model/tokenizer/pipeline/pipeline_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pipeline/character_classes.h"
#include "model/tokenizer/pipeline/pipeline_parts.h"

namespace shoal::model {

using pipeline::AlignedText;
using pipeline::ByteRange;
using pipeline::DraftParts;
using pipeline::DraftToken;
using pipeline::ModelToken;
using pipeline::Parts;
using pipeline::Pieces;
using pipeline::PostProcessor;

namespace {

constexpr double kMaxGrowth = 65536;

bool IsSpace(uint32_t code) { return code == kByteLevelSpace || pipeline::IsWhiteSpace(code); }

uint32_t LeadingSpaces(absl::string_view text) {
  uint32_t spaces = 0;
  for (size_t at = 0; at < text.size(); ++spaces) {
    const Character c = CharacterAt(text, at);
    if (!IsSpace(c.code)) break;
    at += c.bytes;
  }
  return spaces;
}

uint32_t TrailingSpaces(absl::string_view text) {
  uint32_t spaces = 0;
  for (size_t end = text.size(); end > 0; ++spaces) {
    const Character c = CharacterBefore(text, end);
    if (!IsSpace(c.code)) break;
    end -= c.bytes;
  }
  return spaces;
}

absl::Status CheckGrowth(absl::string_view name, double growth) {
  if (growth <= kMaxGrowth) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " could make a text ", growth,
                                                 " times as long, expected at most ", kMaxGrowth, " times"));
}

absl::Status CheckGrowth(const Parts& parts) {
  double growth = parts.normalizer == nullptr ? 1 : parts.normalizer->MaxGrowth();
  SHOAL_RETURN_IF_ERROR(CheckGrowth("normalizer", growth));
  if (parts.pre_tokenizer != nullptr) growth *= parts.pre_tokenizer->MaxGrowth();
  SHOAL_RETURN_IF_ERROR(CheckGrowth("pre_tokenizer", growth));
  return CheckGrowth("decoder", parts.decoder == nullptr ? 1 : parts.decoder->MaxGrowth());
}

}  // namespace

// Makes the tokens of one text.
class PipelineTokenizer::Encoder {
 public:
  Encoder(const Parts& parts, TokenSource source)
      : parts_(parts),
        source_(source),
        needs_spaces_(parts.post_processor != nullptr && parts.post_processor->needs_spaces()) {}

  std::vector<DraftToken> Run(absl::string_view text) && {
    AlignedText whole(IsValidUtf8(text) ? std::string(text) : ReplaceInvalidUtf8(text), 0);
    ForEachSegment(std::move(whole), false, [this](AlignedText segment) {
      if (parts_.normalizer != nullptr) parts_.normalizer->Apply(&segment);
      ForEachSegment(std::move(segment), true, [this](AlignedText part) { AddPieces(std::move(part)); });
    });
    return std::move(tokens_);
  }

 private:
  // Adds the added tokens of `text`, and calls visit(part) for each part between them.
  template <typename Visit>
  void ForEachSegment(AlignedText text, bool normalized, Visit&& visit) {
    const auto segments = parts_.added->Find(text.text(), normalized);
    if (segments.size() == 1 && !segments[0].id.has_value()) return visit(std::move(text));
    for (const auto& [range, id] : segments) {
      if (id.has_value()) {
        Add(*id, text.SpanOf(range), Part(text.text(), range));
      } else {
        visit(text.Slice(range));
      }
    }
  }

  void AddPieces(AlignedText text) {
    Pieces pieces{std::move(text), {}};
    pieces.ranges.push_back({0, pieces.text.text().size()});
    if (parts_.pre_tokenizer != nullptr) parts_.pre_tokenizer->Apply(&pieces);
    for (const ByteRange& range : pieces.ranges) AddPiece(pieces.text, range);
  }

  void AddPiece(const AlignedText& text, ByteRange range) {
    const absl::string_view piece = Part(text.text(), range);
    scratch_.clear();
    parts_.model->Tokenize(piece, &scratch_);
    for (const ModelToken& token : scratch_) {
      // A token may be more bytes than the piece has: a suffix and its byte tokens.
      const size_t begin = std::min(range.begin + token.begin, range.end - 1);
      const size_t end = std::min(std::max(range.begin + token.end, begin + 1), range.end);
      Add(token.id, text.SpanOf({begin, end}),
          needs_spaces_ ? parts_.model->Spelling(token, piece) : absl::string_view());
    }
  }

  void Add(uint32_t id, TextSpan span, absl::string_view spelling) {
    DraftToken token{id, source_ == TokenSource::kSecond ? 1u : 0u, span, source_};
    if (needs_spaces_) {
      token.leading_spaces = LeadingSpaces(spelling);
      token.trailing_spaces = TrailingSpaces(spelling);
    }
    tokens_.push_back(token);
  }

  const Parts& parts_;
  TokenSource source_;
  bool needs_spaces_;
  std::vector<DraftToken> tokens_;
  std::vector<ModelToken> scratch_;
};

PipelineTokenizer::PipelineTokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

PipelineTokenizer::~PipelineTokenizer() = default;

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> PipelineTokenizer::Make(Parts parts) {
  SHOAL_RETURN_IF_ERROR(CheckGrowth(parts));
  SHOAL_ASSIGN_OR_RETURN(
      parts.added,
      pipeline::AddedTokens::Make(parts.added_tokens, parts.model->vocabulary(), parts.normalizer.get()));
  std::unique_ptr<PipelineTokenizer> result(new PipelineTokenizer(std::make_unique<Parts>(std::move(parts))));
  const PostProcessor* const post_processor = result->parts_->post_processor.get();
  if (post_processor != nullptr && post_processor->end_id() > result->vocab_size()) {
    return absl::InvalidArgumentError(absl::StrCat("post_processor adds the token ",
                                                   post_processor->end_id() - 1, ", expected an id below ",
                                                   result->vocab_size()));
  }
  return result;
}

Encoding PipelineTokenizer::Finish(DraftParts parts, bool add_special_tokens) const {
  if (parts_->post_processor != nullptr) parts_->post_processor->Apply(add_special_tokens, &parts);
  size_t size = 0;
  for (const auto& part : parts) size += part.size();
  Encoding result;
  result.ids.reserve(size);
  result.type_ids.reserve(size);
  result.offsets.reserve(size);
  result.sources.reserve(size);
  for (const auto& part : parts) {
    for (const DraftToken& token : part) {
      result.ids.push_back(token.id);
      result.type_ids.push_back(token.type_id);
      result.offsets.push_back(token.offsets);
      result.sources.push_back(token.source);
    }
  }
  return result;
}

Encoding PipelineTokenizer::Encode(absl::string_view text, bool add_special_tokens) const {
  DraftParts parts;
  parts.push_back(Encoder(*parts_, TokenSource::kFirst).Run(text));
  return Finish(std::move(parts), add_special_tokens);
}

Encoding PipelineTokenizer::EncodePair(absl::string_view text, absl::string_view pair,
                                       bool add_special_tokens) const {
  DraftParts parts;
  parts.push_back(Encoder(*parts_, TokenSource::kFirst).Run(text));
  parts.push_back(Encoder(*parts_, TokenSource::kSecond).Run(pair));
  return Finish(std::move(parts), add_special_tokens);
}

std::string PipelineTokenizer::Decode(absl::Span<const uint32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const uint32_t id : ids) {
    const std::string* const token = TokenOf(id);
    if (token == nullptr || (skip_special_tokens && parts_->added->IsSpecial(*token))) continue;
    tokens.push_back(*token);
  }
  if (parts_->decoder == nullptr) return absl::StrJoin(tokens, " ");
  parts_->decoder->Apply(&tokens);
  return absl::StrJoin(tokens, "");
}

std::optional<uint32_t> PipelineTokenizer::IdOf(absl::string_view token) const {
  if (const auto id = parts_->added->IdOf(token)) return id;
  return parts_->model->vocabulary().Find(token);
}

const std::string* PipelineTokenizer::TokenOf(uint32_t id) const {
  if (const std::string* const token = parts_->added->SpellingOf(id)) return token;
  return parts_->model->vocabulary().Text(id);
}

uint32_t PipelineTokenizer::vocab_size() const {
  return std::max(parts_->model->vocabulary().end_id(), parts_->added->end_id());
}

}  // namespace shoal::model
