#include "tasks/data/conll.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace shoal::tasks {
namespace {

using Fields = std::vector<absl::string_view>;

bool IsBlank(absl::string_view line) { return absl::StripAsciiWhitespace(line).empty(); }
bool StartsDocument(absl::string_view line) { return absl::StartsWith(line, "-DOCSTART-"); }
bool MayBeComment(absl::string_view line) { return absl::StartsWith(line, "# "); }

// How the lines of one file are divided into columns.
struct Layout {
  bool tabs = false;
  size_t columns = 0;  // of the first word's line

  Fields Split(absl::string_view line) const {
    if (!tabs) return absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    Fields fields = absl::StrSplit(line, '\t');
    for (absl::string_view& field : fields) field = absl::StripAsciiWhitespace(field);
    return fields;
  }
};

// That of the first line with a word.
Layout LayoutOf(const TextFile& file) {
  Layout layout;
  const auto visit = [&](absl::string_view line, uint64_t) {
    if (IsBlank(line) || StartsDocument(line) || MayBeComment(line)) return absl::OkStatus();
    layout.tabs = absl::StrContains(line, '\t');
    layout.columns = layout.Split(line).size();
    return absl::CancelledError("found");
  };
  ForEachLine(file, visit).IgnoreError();
  return layout;
}

// Collects the words of a sentence, line by line.
class SentenceReader {
 public:
  SentenceReader(const TextFile& file, const ConllColumns& columns, const SentenceVisitor& visit)
      : file_(file),
        layout_(LayoutOf(file)),
        word_(PositionOf(columns.word)),
        tag_(PositionOf(columns.tag)),
        visit_(visit) {}

  absl::Status Add(absl::string_view line, uint64_t number) {
    if (IsBlank(line) || StartsDocument(line)) return Finish();
    const Fields fields = layout_.Split(line);
    if (MayBeComment(line) && fields.size() != layout_.columns) return absl::OkStatus();
    SHOAL_RETURN_IF_ERROR(AtLine(CheckFields(fields, line), file_, number));
    if (words_.empty()) line_ = number;
    words_.push_back(fields[word_ - 1]);
    tags_.push_back(fields[tag_ - 1]);
    return absl::OkStatus();
  }

  // At the end of a sentence, and of the file.
  absl::Status Finish() {
    if (words_.empty()) return absl::OkStatus();
    const Fields words = std::exchange(words_, {}), tags = std::exchange(tags_, {});
    return visit_({words, tags, line_});
  }

 private:
  // From 1. For a column before the first: more than the columns, so that the first word's line is an error.
  size_t PositionOf(int column) const {
    const size_t number = static_cast<size_t>(std::abs(int64_t{column}));
    return column > 0 || number > layout_.columns ? number : layout_.columns + 1 - number;
  }

  absl::Status CheckFields(const Fields& fields, absl::string_view line) const {
    const size_t needed = std::max({word_, tag_, size_t{2}});
    if (fields.size() < needed) return TooFew(fields.size(), needed, line);
    if (word_ == tag_) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", word_, " is chosen for the word and for its tag; expected two columns"));
    }
    if (fields[word_ - 1].empty()) return Empty(word_, "a word", line);
    return fields[tag_ - 1].empty() ? Empty(tag_, "a tag", line) : absl::OkStatus();
  }

  absl::Status TooFew(size_t columns, size_t needed, absl::string_view line) const {
    return absl::InvalidArgumentError(absl::StrCat("expected at least ", needed, " columns, separated by ",
                                                   layout_.tabs ? "tabs" : "white space", "; got ", columns,
                                                   ": '", ToQuoted(line), "'"));
  }

  static absl::Status Empty(size_t column, absl::string_view expected, absl::string_view line) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", column, " is empty; expected ", expected, ": '", ToQuoted(line), "'"));
  }

  const TextFile& file_;
  const Layout layout_;
  const size_t word_, tag_;
  const SentenceVisitor& visit_;
  Fields words_, tags_;
  uint64_t line_ = 0;
};

absl::Status ReadColumn(absl::string_view value, absl::string_view field, int* column) {
  if (absl::SimpleAtoi(value, column) && *column != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": '", ToQuoted(value),
                                                 "' is not the number of a column; expected 1 for the first, "
                                                 "2 for the second, ..., or -1 for the last"));
}

std::vector<std::string> ToStrings(absl::Span<const absl::string_view> views) {
  return {views.begin(), views.end()};
}

}  // namespace

absl::Status ForEachTaggedSentence(const TextFile& file, const ConllColumns& columns,
                                   const SentenceVisitor& visit) {
  const TextFile text = {file.name, WithoutByteOrderMark(file.text)};
  SentenceReader reader(text, columns, visit);
  SHOAL_RETURN_IF_ERROR(
      ForEachLine(text, [&](absl::string_view line, uint64_t number) { return reader.Add(line, number); }));
  return reader.Finish();
}

absl::StatusOr<ConllColumns> ConllColumnsOf(const DataSpec& data) {
  ConllColumns columns;
  if (data.text_size() == 1) SHOAL_RETURN_IF_ERROR(ReadColumn(data.text(0), "data.text", &columns.word));
  if (data.has_label()) SHOAL_RETURN_IF_ERROR(ReadColumn(data.label(), "data.label", &columns.tag));
  return columns;
}

absl::Status ReadConll(const TextFile& file, const DataSpec& data, const LabelReader&, const AddRecord& add) {
  SHOAL_ASSIGN_OR_RETURN(const ConllColumns columns, ConllColumnsOf(data));
  return ForEachTaggedSentence(file, columns, [&](const TaggedSentence& sentence) {
    Record record;
    record.words = ToStrings(sentence.words);
    record.labels = ToStrings(sentence.tags);
    return add(std::move(record), sentence.line);
  });
}

}  // namespace shoal::tasks
