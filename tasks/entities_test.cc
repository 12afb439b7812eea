// The tables of cases say what seqeval 1.2.2 finds: tests/interop/make_entity_cases.py writes them. A folder
// with larger ones can be named with SHOAL_ENTITY_CASES.
#include "tasks/entities.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/shared_folder.h"
#include "tasks/data/conll.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;
using Strings = std::vector<std::string>;
using Extract = std::function<std::vector<Entity>(absl::Span<const Tag>)>;

EntityTags Known(const Strings& labels) {
  const auto known = ReadEntityTags(labels);
  INFO(known.status());
  REQUIRE(known.ok());
  return *known;
}

std::string ErrorOf(const Strings& labels) { return std::string(ReadEntityTags(labels).status().message()); }

// What `tags`, separated by spaces, mean, with `known` types or those of the tags.
class Sentence {
 public:
  explicit Sentence(absl::string_view tags) : Sentence(tags, tags) {}
  // `all`: tags with at least those of `tags`.
  Sentence(absl::string_view tags, absl::string_view all) {
    const Strings labels = absl::StrSplit(all, ' ', absl::SkipEmpty());
    known_ = Known(labels);
    for (const std::string& tag : Strings(absl::StrSplit(tags, ' ', absl::SkipEmpty())))
      tags_.push_back(known_.tags[std::find(labels.begin(), labels.end(), tag) - labels.begin()]);
  }

  const EntityTags& known() const { return known_; }
  const std::vector<Tag>& tags() const { return tags_; }

  // "PER:0:2 LOC:3:4"
  std::string Show(absl::Span<const Entity> entities) const {
    return absl::StrJoin(entities, " ", [&](std::string* out, const Entity& e) {
      absl::StrAppend(out, known_.types[e.type], ":", e.begin, ":", e.end);
    });
  }

 private:
  EntityTags known_;
  std::vector<Tag> tags_;
};

std::string Lenient(absl::string_view tags) {
  const Sentence sentence(tags);
  return sentence.Show(LenientEntities(sentence.tags()));
}

std::string Strict(absl::string_view tags, TagScheme scheme) {
  const Sentence sentence(tags);
  return sentence.Show(StrictEntities(sentence.tags(), scheme));
}

TEST_CASE("Labels have a scheme, which their letters decide, and types") {
  const EntityTags known = Known({"O", "B-creative-work", "I-creative-work", "B-PER", "I-PER"});
  CHECK(known.scheme == TagScheme::kIob2);
  CHECK(known.types == Strings{"PER", "creative-work"});
  CHECK(known.tags ==
        std::vector<Tag>{
            Tag{}, {TagKind::kBegin, 1}, {TagKind::kInside, 1}, {TagKind::kBegin, 0}, {TagKind::kInside, 0}});
  CHECK(Known({"I-PER", "O"}).scheme == TagScheme::kIo);
  CHECK(Known({"O"}).scheme == TagScheme::kIo);
  CHECK(Known({"B-PER"}).scheme == TagScheme::kIob2);
  CHECK(Known({"I-PER", "E-PER", "O"}).scheme == TagScheme::kIoe2);
  CHECK(Known({"B-PER", "E-PER"}).scheme == TagScheme::kIobes);
  CHECK(Known({"S-PER", "O"}).scheme == TagScheme::kIobes);
  CHECK(Known({"B-PER", "L-PER", "O"}).scheme == TagScheme::kBilou);
  CHECK(Known({"U-PER"}).tags[0].kind == TagKind::kSingle);
}

TEST_CASE("Tags that are only a letter are of one type") {
  const EntityTags known = Known({"O", "B", "I"});
  CHECK(known.scheme == TagScheme::kIob2);
  CHECK(known.types == Strings{"_"});
  CHECK(known.tags[2] == Tag{TagKind::kInside, 0});
}

TEST_CASE("Labels that are not tags have no scheme") {
  CHECK_FALSE(Known({"NOUN", "VERB", "O"}).scheme.has_value());
  CHECK_FALSE(Known({"PRP", "I"}).scheme.has_value());
  CHECK(Known({"NOUN", "VERB"}).tags.empty());
}

TEST_CASE("A label that is not a tag, among tags, is an error that names it") {
  CHECK(ErrorOf({"O", "B-PER", "PER"}) ==
        "the label 'PER' is not a tag of an entity; expected 'O', or one of the letters IBESLU, a hyphen and "
        "a type, as in 'B-PER'");
  CHECK_THAT(ErrorOf({"B-PER", "B"}), Contains("the label 'B'"));
  CHECK_THAT(ErrorOf({"B-PER", ""}), Contains("the label ''"));
  CHECK_THAT(ErrorOf({"B-PER", "O-PER"}), Contains("the label 'O-PER'"));
  CHECK_THAT(ErrorOf({"B-PER", "b-PER"}), Contains("the label 'b-PER'"));
  CHECK_THAT(ErrorOf({"O", "B-"}), Contains("the label 'B-'") && !Contains("as in"));
  CHECK_THAT(ErrorOf({"B-PER", "E-PER", "L-LOC"}), Contains("'E-PER' and 'L-LOC' are of different schemes"));
}

TEST_CASE("Lenient extraction takes every tag, strict extraction only what the scheme allows") {
  CHECK(Lenient("I-PER I-PER O I-LOC B-LOC") == "PER:0:2 LOC:3:4 LOC:4:5");
  CHECK(Strict("I-PER I-PER O I-LOC B-LOC", TagScheme::kIob2) == "LOC:4:5");
  CHECK(Lenient("B-PER I-LOC I-LOC") == "PER:0:1 LOC:1:3");
  CHECK(Strict("B-PER I-LOC I-LOC", TagScheme::kIob2) == "PER:0:1");
  CHECK(Lenient("B-PER I-PER O") == "PER:0:2");
  CHECK(Strict("B-PER I-PER E-PER S-PER B-PER O", TagScheme::kIobes) == "PER:0:3 PER:3:4");
  CHECK(Lenient("").empty());
  CHECK(Strict("O O", TagScheme::kIo).empty());
}

TEST_CASE("The letters of BILOU are read leniently as those of IOBES") {
  CHECK(Lenient("B-PER L-PER U-PER I-PER L-PER") == Lenient("B-PER E-PER S-PER I-PER E-PER"));
}

std::vector<Entity> RandomEntities(uint32_t seed, size_t words) {
  std::mt19937 random(seed);
  std::vector<Entity> entities;
  for (size_t begin = random() % 3;;) {
    const size_t end = begin + 1 + random() % 3;
    if (end > words) return entities;
    entities.push_back({static_cast<int32_t>(random() % 2), begin, end});
    begin = end + random() % 3;  // one in three touches the next
  }
}

TEST_CASE("Entities become tags and the same entities again, but for what IO and IOE1 lack") {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const std::vector<Entity> entities = RandomEntities(seed, 12);
    for (TagScheme scheme : kTagSchemes) {
      INFO(NameOf(scheme) << ", seed " << seed);
      const std::vector<Tag> tags = TagsOf(entities, 12, scheme);
      CHECK(FollowsScheme(tags, scheme));
      if (scheme == TagScheme::kIo) continue;
      CHECK(LenientEntities(tags) == entities);
      if (scheme == TagScheme::kIoe1) continue;
      CHECK(StrictEntities(tags, scheme) == entities);
    }
  }
  const std::vector<Tag> merged = TagsOf({{0, 0, 1}, {0, 1, 3}, {1, 3, 4}}, 4, TagScheme::kIo);
  CHECK(StrictEntities(merged, TagScheme::kIo) == std::vector<Entity>{{0, 0, 3}, {1, 3, 4}});
  CHECK(Lenient("O E-X I-X") == "X:1:2 X:2:3");
  CHECK(Strict("O E-X I-X", TagScheme::kIoe1) == "X:2:3");
}

TEST_CASE("Each scheme writes an entity with its letters") {
  const auto write = [](TagScheme scheme) {
    Strings labels;
    for (const Tag& tag : TagsOf({{0, 0, 3}, {0, 3, 4}}, 5, scheme))
      labels.push_back(LabelOf(tag.kind, "X", scheme));
    return absl::StrJoin(labels, " ");
  };
  CHECK(write(TagScheme::kIo) == "I-X I-X I-X I-X O");
  CHECK(write(TagScheme::kIob1) == "I-X I-X I-X B-X O");
  CHECK(write(TagScheme::kIob2) == "B-X I-X I-X B-X O");
  CHECK(write(TagScheme::kIoe1) == "I-X I-X E-X I-X O");
  CHECK(write(TagScheme::kIoe2) == "I-X I-X E-X E-X O");
  CHECK(write(TagScheme::kIobes) == "B-X I-X E-X S-X O");
  CHECK(write(TagScheme::kBilou) == "B-X I-X L-X U-X O");
}

TEST_CASE("Sentences tell IOB1 and IOB2 apart") {
  CHECK(FollowsScheme(Sentence("I-PER B-PER O").tags(), TagScheme::kIob1));
  CHECK_FALSE(FollowsScheme(Sentence("I-PER B-PER O").tags(), TagScheme::kIob2));
  CHECK(FollowsScheme(Sentence("B-PER I-PER O").tags(), TagScheme::kIob2));
  CHECK_FALSE(FollowsScheme(Sentence("B-PER I-PER O").tags(), TagScheme::kIob1));
}

TEST_CASE("Entities are right with the same words and type, and counts of sentences add up") {
  std::vector<LabelCounts> counts(2);
  CountEntities({{0, 0, 2}, {1, 3, 4}}, {{0, 0, 2}, {0, 3, 4}}, absl::MakeSpan(counts));
  CountEntities({{0, 0, 2}}, {{0, 0, 1}, {1, 1, 2}}, absl::MakeSpan(counts));
  CHECK(counts[0].true_positive == 1);
  CHECK(counts[0].false_positive == 2);
  CHECK(counts[0].false_negative == 1);
  CHECK(counts[1].true_positive == 0);
  CHECK(counts[1].false_positive == 1);
  CHECK(counts[1].false_negative == 1);
}

TEST_CASE("Averages without entities have no value") {
  CHECK(std::isnan(MicroAverage({}).f1));
  CHECK(std::isnan(MacroAverage({LabelCounts()}).f1));
  const std::vector<LabelCounts> only_predicted = {{0, 3, 0}};
  CHECK(MacroAverage(only_predicted).recall == 0);
  CHECK(MacroAverage(only_predicted).predicted == 3);
  CHECK(std::isnan(WeightedAverage(only_predicted).f1));
}

// ---- the tables ----

Extract ExtractionOf(const std::string& rule) {
  if (rule == "lenient") return LenientEntities;
  const auto scheme = std::find_if(std::begin(kTagSchemes), std::end(kTagSchemes),
                                   [&](TagScheme s) { return NameOf(s) == rule; });
  REQUIRE(scheme != std::end(kTagSchemes));
  return [s = *scheme](absl::Span<const Tag> tags) { return StrictEntities(tags, s); };
}

Strings FoldersOfCases() {
  const char* const more = std::getenv("SHOAL_ENTITY_CASES");
  return more == nullptr ? Strings{"tasks"} : Strings{"tasks", more};
}

// Shows the first few.
void CheckNone(const Strings& differences) {
  for (size_t i = 0; i < std::min<size_t>(differences.size(), 5); ++i) UNSCOPED_INFO(differences[i]);
  CHECK(differences.size() == 0);
}

// The lines of a table in all folders, without their headers.
std::vector<Strings> Rows(const std::string& name, const std::string& header) {
  std::vector<Strings> rows;
  for (const std::string& folder : FoldersOfCases()) {
    const auto text = PosixEnv()->ReadFile(JoinPath(folder, name));
    INFO(text.status());
    REQUIRE(text.ok());
    const Strings lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
    REQUIRE(lines[0] == header);
    for (size_t i = 1; i < lines.size(); ++i) rows.push_back(absl::StrSplit(lines[i], '\t'));
  }
  return rows;
}

TEST_CASE("Entities are those that seqeval finds in tasks/entity_cases.tsv") {
  const std::vector<Strings> rows = Rows("entity_cases.tsv", "rule\ttags\tentities");
  REQUIRE(rows.size() > 150);
  Strings differences;
  for (const Strings& row : rows) {
    REQUIRE(row.size() == 3);
    const Sentence sentence(row[1]);
    const std::string found = sentence.Show(ExtractionOf(row[0])(sentence.tags()));
    if (found == row[2]) continue;
    differences.push_back(absl::StrCat(row[0], ": ", row[1], " has '", found, "', expected '", row[2], "'"));
  }
  CheckNone(differences);
}

std::string ReportRow(absl::string_view name, const LabelReport& report) {
  const auto ratio = [](double value) { return absl::StrFormat("%.6f", std::isnan(value) ? 0 : value); };
  return absl::StrCat(name, " ", ratio(report.precision), " ", ratio(report.recall), " ", ratio(report.f1),
                      " ", report.support);
}

// A type that occurs nowhere has no row, as in seqeval.
std::string Report(const std::vector<LabelCounts>& counts, const Strings& types) {
  Strings rows;
  for (const LabelReport& report : ReportsOf(counts, types)) {
    if (report.support + report.predicted > 0) rows.push_back(ReportRow(report.label, report));
  }
  rows.push_back(ReportRow("micro", MicroAverage(counts)));
  rows.push_back(ReportRow("macro", MacroAverage(counts)));
  rows.push_back(ReportRow("weighted", WeightedAverage(counts)));
  return absl::StrJoin(rows, " | ");
}

TEST_CASE("Reports are those of seqeval in tasks/entity_reports.tsv") {
  const std::vector<Strings> rows = Rows("entity_reports.tsv", "rule\ttruth\tpredicted\treport");
  REQUIRE(rows.size() > 40);
  Strings differences;
  for (const Strings& row : rows) {
    REQUIRE(row.size() == 4);
    const Extract extract = ExtractionOf(row[0]);
    const Strings truth = absl::StrSplit(row[1], " | "), predicted = absl::StrSplit(row[2], " | ");
    REQUIRE(truth.size() == predicted.size());
    std::string all = absl::StrJoin(truth, " ") + " " + absl::StrJoin(predicted, " ");
    const Strings types = Sentence("", all).known().types;
    std::vector<LabelCounts> counts(types.size());
    for (size_t i = 0; i < truth.size(); ++i) {
      CountEntities(extract(Sentence(truth[i], all).tags()), extract(Sentence(predicted[i], all).tags()),
                    absl::MakeSpan(counts));
    }
    const std::string found = Report(counts, types);
    if (found == row[3]) continue;
    differences.push_back(
        absl::StrCat(row[0], ": ", row[1], " and ", row[2], "\n  give     ", found, "\n  expected ", row[3]));
  }
  CheckNone(differences);
}

// ---- data sets ----

// How often each type occurs, "LOC:1 PER:2"; also checks that all sentences follow `scheme`.
std::string CountTypes(const std::string& path, const ConllColumns& columns, TagScheme scheme) {
  const auto text = PosixEnv()->ReadFile(path);
  REQUIRE(text.ok());
  std::vector<Strings> sentences;
  std::set<std::string> labels;
  const absl::Status status = ForEachTaggedSentence({path, *text}, columns, [&](const TaggedSentence& s) {
    sentences.emplace_back(s.tags.begin(), s.tags.end());
    labels.insert(s.tags.begin(), s.tags.end());
    return absl::OkStatus();
  });
  REQUIRE(status.ok());
  const std::string all = absl::StrJoin(labels, " ");
  const EntityTags known = Sentence("", all).known();
  CHECK(known.scheme == scheme);
  std::vector<LabelCounts> counts(known.types.size());
  for (const Strings& tags : sentences) {
    const Sentence sentence(absl::StrJoin(tags, " "), all);
    REQUIRE(FollowsScheme(sentence.tags(), scheme));
    const std::vector<Entity> entities = LenientEntities(sentence.tags());
    CHECK(StrictEntities(sentence.tags(), scheme) == entities);
    CountEntities(entities, {}, absl::MakeSpan(counts));
  }
  Strings found;
  for (const LabelReport& report : ReportsOf(counts, known.types))
    found.push_back(absl::StrCat(report.label, ":", report.support));
  return absl::StrJoin(found, " ");
}

TEST_CASE("Three data sets have the entities that their notes say") {
  const std::string folder = SharedFolder("data", "the entities of three data sets");
  if (folder.empty()) return;
  CHECK(CountTypes(JoinPath(folder, "wnut17/emerging.test.annotated"), {}, TagScheme::kIob2) ==
        "corporation:66 creative-work:142 group:165 location:150 person:429 product:127");
  CHECK(CountTypes(JoinPath(folder, "wikigold/wikigold.conll.txt"), {}, TagScheme::kIo) ==
        "LOC:1014 MISC:712 ORG:898 PER:934");
  CHECK(CountTypes(JoinPath(folder, "uner_zh_gsdsimp/zh_gsdsimp-ud-dev.iob2"), {2, 3}, TagScheme::kIob2) ==
        "LOC:375 ORG:133 PER:245");
}

}  // namespace
}  // namespace shoal::tasks
