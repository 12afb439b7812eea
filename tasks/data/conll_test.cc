// Sentences in the test itself, and where $SHOAL_SHARED/data is, the files of three data sets.
#include "tasks/data/conll.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/shared_folder.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;
using Lines = std::vector<std::string>;

// "LINE: WORD/TAG|WORD/TAG" for each sentence, then the error, if there is one.
Lines Read(absl::string_view text, const ConllColumns& columns = {}) {
  Lines found;
  const absl::Status status =
      ForEachTaggedSentence({"f.conll", text}, columns, [&](const TaggedSentence& sentence) {
        REQUIRE(sentence.words.size() == sentence.tags.size());
        Lines words;
        for (size_t i = 0; i < sentence.words.size(); ++i)
          words.push_back(absl::StrCat(sentence.words[i], "/", sentence.tags[i]));
        found.push_back(absl::StrCat(sentence.line, ": ", absl::StrJoin(words, "|")));
        return absl::OkStatus();
      });
  if (!status.ok()) found.push_back(std::string(status.message()));
  return found;
}

TEST_CASE("Columns are separated by tabs or by runs of spaces, and the first and the last are read") {
  CHECK(Read("an\tO\nox\tB-X\n") == Lines{"1: an/O|ox/B-X"});
  CHECK(Read("an   DT O\n  ox NN \t B-X \n") == Lines{"1: an/O|ox/B-X"});
  CHECK(Read("an\tDT\tO\n") == Lines{"1: an/O"});
}

TEST_CASE("Any columns can be those of the words and the tags, from either end") {
  const std::string text = "1\tan\tO\t-\t-\n2\tox\tB-X\t-\t-\n";
  CHECK(Read(text, {2, 3}) == Lines{"1: an/O|ox/B-X"});
  CHECK(Read(text, {-4, -3}) == Lines{"1: an/O|ox/B-X"});
  CHECK(Read("O an\n", {2, 1}) == Lines{"1: an/O"});
}

TEST_CASE("Where tabs separate columns, a word keeps the spaces in it, and none around it") {
  CHECK(Read("New  York\tB-X\n in\t O \n") == Lines{"1: New  York/B-X|in/O"});
}

TEST_CASE("Lines that are empty or white space end a sentence, however many there are") {
  CHECK(Read("\n\nan O\n\n \n\t\n\nox O\n\t \n") == Lines{"3: an/O", "8: ox/O"});
  CHECK(Read("an\tO\n\t\nox\tO\n\n") == Lines{"1: an/O", "3: ox/O"});
  CHECK(Read("").empty());
  CHECK(Read("\n \n").empty());
}

TEST_CASE("Lines may end in CRLF, the last needs no end, and a byte order mark is not part of a word") {
  CHECK(Read("\xef\xbb\xbf"
             "an O\r\nox O\r\n\r\nAda B-X") == Lines{"1: an/O|ox/O", "4: Ada/B-X"});
  CHECK(Read("an\tO\r\n\t\r\nox\tO\r\n") == Lines{"1: an/O", "3: ox/O"});
}

TEST_CASE("A line that starts a document is not a word, and ends a sentence") {
  CHECK(Read("-DOCSTART- -X- -X- O\n\nan DT O\n-DOCSTART- O\nox NN O\n") == Lines{"3: an/O", "5: ox/O"});
  CHECK(Read("-DOCSTART-\tO\n\nan\tO\n") == Lines{"3: an/O"});
}

TEST_CASE("Comments are skipped, and the word # is kept") {
  CHECK(Read("# text = an ox\n# id = 1\nan\tO\n#\tB-X\n#ox\tO\n") == Lines{"3: an/O|#/B-X|#ox/O"});
  CHECK(Read("# O\nan O\n# O\n# three columns here\nox O\n") == Lines{"1: #/O|an/O|#/O|ox/O"});
  CHECK(Read("# one\n# two\n").empty());
}

TEST_CASE("A line without the columns is an error with its number and text") {
  CHECK(Read("an O\n\nox\n") == Lines{"1: an/O",
                                      "f.conll:3: expected at least 2 columns, separated by white space; "
                                      "got 1: 'ox'"});
  CHECK(Read("an\tO\nox O\n") ==
        Lines{"f.conll:2: expected at least 2 columns, separated by tabs; got 1: 'ox O'"});
  CHECK_THAT(Read("an DT O\nox O\n")[0], Contains("f.conll:2") && Contains("at least 3 columns"));
  CHECK_THAT(Read("an\nox\n")[0], Contains("f.conll:1: expected at least 2 columns") && Contains("'an'"));
  CHECK_THAT(Read("an O\n", {1, -2})[0],
             Contains("f.conll:1: column 1 is chosen for the word and for its tag"));
  CHECK_THAT(Read("an O\n", {1, 4})[0], Contains("f.conll:1: expected at least 4 columns"));
  CHECK_THAT(Read("an O\n", {-3, -1})[0], Contains("f.conll:1: expected at least 3 columns"));
  CHECK_THAT(Read("an\tO\n\tO\n")[0], Contains("f.conll:2: column 1 is empty; expected a word"));
  CHECK_THAT(Read("an\tO\nox\t\n")[0], Contains("f.conll:2: column 2 is empty; expected a tag"));
  CHECK(Read(std::string(100'000, 'x'))[0].size() < 300);
}

TEST_CASE("An error of the visitor ends the reading") {
  int sentences = 0;
  const absl::Status status = ForEachTaggedSentence({"f", "an O\n\nox O\n"}, {}, [&](const TaggedSentence&) {
    ++sentences;
    return absl::AbortedError("enough");
  });
  CHECK(status.message() == "enough");
  CHECK(sentences == 1);
}

// Neither lists nor rules: ReadConll gives all tags to a task, whatever it is.
class AnyLabels final : public LabelReader {
 public:
  absl::Status ReadLabels(std::vector<std::string>, Example*) const override { return absl::OkStatus(); }
  RareLabels rare_labels() const override { return RareLabels::kKept; }
};

DataSpec Columns(const std::string& word, const std::string& tag) {
  DataSpec data;
  data.add_text(word);
  data.set_label(tag);
  return data;
}

TEST_CASE("A sentence is a record of words and tags, at its first line") {
  Lines records;
  const auto add = [&](absl::StatusOr<Record> record, uint64_t line) {
    REQUIRE(record.ok());
    records.push_back(
        absl::StrCat(line, ": ", absl::StrJoin(record->words, "|"), " ", absl::StrJoin(record->labels, "|")));
    return absl::OkStatus();
  };
  const ReadRecords read = ReadConll;
  CHECK(read({"f", "\nan DT O\nox NN B-X\n"}, {}, AnyLabels(), add).ok());
  CHECK(read({"f", "1 an O -\n"}, Columns("2", "-2"), AnyLabels(), add).ok());
  CHECK(records == Lines{"2: an|ox O|B-X", "1: an O"});
  CHECK_THAT(std::string(read({"f", "an O\nox"}, {}, AnyLabels(), add).message()), Contains("f:2: expected"));
}

TEST_CASE("A column that a job chooses is a number that is not 0") {
  CHECK(ConllColumnsOf({})->word == 1);
  CHECK(ConllColumnsOf({})->tag == -1);
  CHECK(ConllColumnsOf(Columns("2", "-3"))->word == 2);
  CHECK(ConllColumnsOf(Columns("2", "-3"))->tag == -3);
  CHECK_THAT(std::string(ConllColumnsOf(Columns("text", "2")).status().message()),
             Contains("data.text: 'text' is not the number of a column"));
  CHECK_THAT(std::string(ConllColumnsOf(Columns("1", "0")).status().message()), Contains("data.label: '0'"));
}

// What a file has, counted by other means: the notes of the data sets, and grep.
struct Counts {
  size_t sentences = 0;
  size_t words = 0;
  size_t begins = 0;   // tags that start with B
  size_t insides = 0;  // ... with I
};

struct DataFile {
  std::string path;
  ConllColumns columns;
  Counts expected;
};

Counts Count(const std::string& path, const ConllColumns& columns) {
  const auto text = PosixEnv()->ReadFile(path);
  REQUIRE(text.ok());
  Counts counts;
  const absl::Status status = ForEachTaggedSentence({path, *text}, columns, [&](const TaggedSentence& s) {
    ++counts.sentences;
    counts.words += s.words.size();
    for (absl::string_view tag : s.tags) {
      REQUIRE((tag == "O" || absl::StartsWith(tag, "B-") || absl::StartsWith(tag, "I-")));
      counts.begins += tag[0] == 'B' ? 1 : 0;
      counts.insides += tag[0] == 'I' ? 1 : 0;
    }
    return absl::OkStatus();
  });
  INFO(status);
  REQUIRE(status.ok());
  return counts;
}

TEST_CASE("Files of three data sets have the sentences and tags that their notes say") {
  const std::string folder = SharedFolder("data", "the files of three data sets");
  if (folder.empty()) return;
  const ConllColumns uner = {2, 3};
  for (const DataFile& file :
       std::vector<DataFile>{{"wnut17/wnut17train.conll", {}, {3394, 62730, 1975, 1185}},
                             {"wnut17/emerging.dev.conll", {}, {1009, 15733, 836, 414}},
                             {"wnut17/emerging.test.annotated", {}, {1287, 23394, 1079, 661}},
                             {"wikigold/wikigold.conll.txt", {}, {1696, 39007, 0, 6431}},
                             {"uner_zh_gsdsimp/zh_gsdsimp-ud-train.iob2", uner, {3997, 98616, 6118, 5761}},
                             {"uner_zh_gsdsimp/zh_gsdsimp-ud-dev.iob2", uner, {500, 12663, 753, 680}},
                             {"uner_zh_gsdsimp/zh_gsdsimp-ud-test.iob2", uner, {500, 12012, 763, 644}}}) {
    INFO(file.path);
    const Counts counts = Count(JoinPath(folder, file.path), file.columns);
    CHECK(counts.sentences == file.expected.sentences);
    CHECK(counts.words == file.expected.words);
    CHECK(counts.begins == file.expected.begins);
    CHECK(counts.insides == file.expected.insides);
  }
}

}  // namespace
}  // namespace shoal::tasks
