#include "tasks/data/reader.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "tasks/data/delimited.h"
#include "tasks/data/format.h"
#include "tasks/data/record.h"

namespace shoal::tasks {
namespace {

absl::Status CheckUtf8(const TextFile& file) {
  if (IsValidUtf8(file.text)) return absl::OkStatus();
  return ForEachLine(file, [&](absl::string_view line, uint64_t number) {
    if (IsValidUtf8(line)) return absl::OkStatus();
    return AtLine(
        absl::InvalidArgumentError("the line is not valid UTF-8; convert the file (for example with iconv)"),
        file, number);
  });
}

// Sets the text and the words' places in it.
absl::Status JoinWords(const std::vector<std::string>& words, Example* example) {
  if (words.empty()) return absl::InvalidArgumentError("there are no words (data.text)");
  example->text = absl::StrJoin(words, " ");
  uint32_t begin = 0;
  for (const std::string& word : words) {
    const uint32_t end = begin + static_cast<uint32_t>(CountCharacters(word));
    if (end == begin) {
      return absl::InvalidArgumentError(
          absl::StrCat("word ", example->words.size() + 1, " (data.text) is empty"));
    }
    example->words.push_back({begin, end});
    begin = end + 1;
  }
  return absl::OkStatus();
}

// The program that has made the file, by its first bytes, for those that compress; null for all others.
const char* Compression(absl::string_view text) {
  constexpr std::pair<const char*, absl::string_view> kMagic[] = {{"gzip", "\x1f\x8b"},
                                                                  {"zip", "PK\x03\x04"},
                                                                  {"bzip2", "BZh"},
                                                                  {"xz",
                                                                   "\xfd"
                                                                   "7zXZ"},
                                                                  {"zstd", "\x28\xb5\x2f\xfd"}};
  for (const auto& [name, magic] : kMagic) {
    // A text may begin like this, but is valid UTF-8.
    if (absl::StartsWith(text, magic) && !IsValidUtf8(text)) return name;
  }
  return nullptr;
}

std::string Joined(std::vector<std::string> texts) {
  return texts.size() == 1 ? std::move(texts[0]) : absl::StrJoin(texts, " ");
}

class Reader {
 public:
  Reader(const DataSpec& data, const LabelReader& labels) : data_(data), labels_(labels) {}

  absl::Status Read(const TextFile& file) {
    set_.files.push_back(file.name);
    const size_t before = set_.examples.size();
    if (const char* const compression = Compression(file.text)) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.name, " is compressed with ", compression, ": unpack it first"));
    }
    SHOAL_RETURN_IF_ERROR(CheckUtf8(file));
    const auto add = [&](absl::StatusOr<Record> record, uint64_t line) {
      return AtLine(Add(std::move(record), line), file, line);
    };
    SHOAL_RETURN_IF_ERROR(FormatOf(data_.format()).read(file, data_, labels_, add));
    if (set_.examples.size() > before) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(file.name, ": the file has no examples"));
  }

  ExampleSet Take() && { return std::move(set_); }

 private:
  absl::Status Add(absl::StatusOr<Record> record, uint64_t line) {
    SHOAL_RETURN_IF_ERROR(record.status());
    Example example;
    example.text = Joined(std::move(record->texts));
    if (!record->pair.empty()) example.pair = Joined(std::move(record->pair));
    if (labels_.reads_words()) SHOAL_RETURN_IF_ERROR(JoinWords(record->words, &example));
    SHOAL_RETURN_IF_ERROR(labels_.ReadLabels(std::move(record->labels), &example));
    if (IsIgnored(&example)) return absl::OkStatus();
    example.group = std::move(record->group);
    example.answer = record->answer;
    example.may_lack_answer = record->may_lack_answer;
    example.id = std::move(record->id);
    example.file = static_cast<uint32_t>(set_.files.size() - 1);
    example.line = line;
    set_.examples.push_back(std::move(example));
    return absl::OkStatus();
  }

  // By its label. Of words only the labels are removed: the others need the text.
  bool IsIgnored(Example* example) {
    const auto& ignored = data_.ignored_labels();
    for (std::string& label : example->labels) {
      if (std::find(ignored.begin(), ignored.end(), label) == ignored.end()) continue;
      set_.ignored_labels.insert(label);
      if (!labels_.reads_words()) return true;
      label.clear();
    }
    return false;
  }

  const DataSpec& data_;
  const LabelReader& labels_;
  ExampleSet set_;
};

}  // namespace

absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const DataSpec& data, const LabelReader& labels) {
  // Checked of jobs too, but not every caller has one.
  if (labels.reads_words() && data.text_size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.text: got ", data.text_size(), " columns; expected one, of words"));
  }
  Reader reader(data, labels);
  for (const std::string& path : files) {
    SHOAL_ASSIGN_OR_RETURN(const std::string bytes, env->ReadFile(path));
    SHOAL_RETURN_IF_ERROR(reader.Read({path, WithoutByteOrderMark(bytes)}));
  }
  return std::move(reader).Take();
}

}  // namespace shoal::tasks
