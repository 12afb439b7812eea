#include "model/tokenizer/pipeline/metaspace.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/tokenizer/pipeline/pre_tokenizer.h"

namespace shoal::model::pipeline {
namespace {

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(MetaspaceOptions options) : options_(std::move(options)) {}

  void Apply(Pieces* pieces) const override {
    AlignedTextWriter writer(pieces->text);
    std::vector<ByteRange> parts;
    for (const ByteRange& range : pieces->ranges) Write(pieces->text, range, &writer, &parts);
    pieces->text = std::move(writer).Finish();
    pieces->ranges = std::move(parts);
  }
  double MaxGrowth() const override { return 1 + 2 * static_cast<double>(options_.replacement.size()); }

 private:
  bool NeedsPrefix(const AlignedText& text, ByteRange range) const {
    const absl::string_view piece = Part(text.text(), range);
    if (options_.prepend == MetaspaceOptions::Prepend::kNever || piece[0] == ' ' ||
        absl::StartsWith(piece, options_.replacement)) {
      return false;
    }
    return options_.prepend == MetaspaceOptions::Prepend::kAlways || text.SpanOf(range).begin == 0;
  }

  // Writes the piece `range`, and appends the parts into which it is split.
  void Write(const AlignedText& text, ByteRange range, AlignedTextWriter* writer,
             std::vector<ByteRange>* parts) const {
    writer->SkipTo(range.begin);
    parts->push_back({writer->written(), writer->written()});
    if (NeedsPrefix(text, range)) writer->AddBefore(options_.replacement);
    for (size_t at = range.begin; at < range.end;) {
      const size_t end = CharacterAt(text.text(), at).bytes + at;
      const bool space = text.text()[at] == ' ';
      if (space || Part(text.text(), {at, end}) == options_.replacement) {
        writer->CopyTo(at);
        StartPart(writer->written(), parts);
        if (space) writer->Replace(options_.replacement);
      }
      at = end;
    }
    writer->CopyTo(range.end);
    parts->back().end = writer->written();
  }

  // Ends the last part at `at`, where a replacement character comes.
  void StartPart(size_t at, std::vector<ByteRange>* parts) const {
    if (!options_.split || at == parts->back().begin) return;
    parts->back().end = at;
    parts->push_back({at, at});
  }

  MetaspaceOptions options_;
};

}  // namespace

MetaspaceOptions ParseMetaspaceOptions(JsonObject* fields) {
  MetaspaceOptions options;
  options.replacement = fields->RequiredString("replacement");
  if (CountCharacters(options.replacement) != 1) fields->Reject("replacement", "expected one character");
  const std::string scheme = fields->String("prepend_scheme", "always");
  if (scheme == "first") {
    options.prepend = MetaspaceOptions::Prepend::kFirst;
  } else if (scheme == "never") {
    options.prepend = MetaspaceOptions::Prepend::kNever;
  } else if (scheme != "always") {
    fields->Reject("prepend_scheme", "expected always, first or never");
  }
  options.split = fields->Bool("split", true);
  // Fields of older versions.
  fields->Ignore("str_rep");
  if (!fields->Bool("add_prefix_space", true)) {
    if (fields->Has("prepend_scheme") && scheme != "never") {
      fields->Reject("add_prefix_space", absl::StrCat("which contradicts prepend_scheme '", scheme, "'"));
    }
    options.prepend = MetaspaceOptions::Prepend::kNever;
  }
  return options;
}

absl::StatusOr<std::unique_ptr<PreTokenizer>> ParseMetaspace(JsonObject* fields) {
  MetaspaceOptions options = ParseMetaspaceOptions(fields);
  if (CountCharacters(options.replacement) != 1) return fields->Finish();
  return std::make_unique<Metaspace>(std::move(options));
}

}  // namespace shoal::model::pipeline
