// Everything that docs and comments refer to exists: links, files, Bazel targets, test cases. Pages name all
// that they are to list, are not too wide, and say the same in both languages.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "catch2/catch.hpp"
#include "common/base/utf8.h"
#include "common/storage/file.h"
#include "tests/dependencies/checkout.h"

namespace shoal {
namespace {

namespace fs = std::filesystem;

// Our own folders in the tree.
constexpr char kFolders[] =
    "proto|common|kernels|model|tasks|server|worker|scheduler|configs|tests|tools|docs";

std::map<std::string, std::string> ReadFiles(const std::vector<std::string>& suffixes) {
  return ReadCheckout(absl::StrSplit(kFolders, '|'), suffixes);
}

std::vector<std::smatch> Matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

void CheckNothing(const std::vector<std::string>& wrong) {
  for (const std::string& line : wrong) UNSCOPED_INFO(line);
  CHECK(wrong.empty());
}

// A file or folder, or the common prefix of several files: "server/block_state" is block_state.h and .cc.
bool Exists(const std::string& path) {
  if (fs::exists(CheckoutRoot() / path)) return true;
  const fs::path full = CheckoutRoot() / path;
  if (!fs::exists(full.parent_path())) return false;
  const std::string start = full.filename();
  return std::any_of(fs::directory_iterator(full.parent_path()), fs::directory_iterator(),
                     [&](const auto& entry) {
                       const std::string name = entry.path().filename();
                       return absl::StartsWith(name, start + ".") || absl::StartsWith(name, start + "_");
                     });
}

TEST_CASE("Every link of a page leads somewhere") {
  const std::regex link(R"(\]\(([^)\s#]+)(#[^)]*)?\))");
  std::vector<std::string> wrong;
  int links = 0;
  for (const auto& [page, text] : ReadFiles({".md"})) {
    for (const std::smatch& match : Matches(text, link)) {
      const std::string target = match[1];
      if (absl::StrContains(target, "://")) continue;
      ++links;
      if (!fs::exists((CheckoutRoot() / page).parent_path() / target))
        wrong.push_back(absl::StrCat(page, ": ", target));
    }
  }
  CHECK(links > 20);
  CheckNothing(wrong);
}

TEST_CASE("Every file that a page or a comment names is there") {
  const std::regex in_page(absl::StrCat("`((?:", kFolders, R"()/[\w./-]+)`)"));
  const std::regex in_comment(
      absl::StrCat(R"((?://|#).*?\b((?:)", kFolders, R"()/[\w/-]+\.(?:h|cc|md|proto|py|yaml))\b)"));
  std::vector<std::string> wrong;
  int names = 0;
  for (const auto& [file, text] : ReadFiles({".md", ".cc", ".h", ".proto", ".bazel", ".yaml"})) {
    for (const std::smatch& match : Matches(text, absl::EndsWith(file, ".md") ? in_page : in_comment)) {
      ++names;
      if (!Exists(match[1])) wrong.push_back(absl::StrCat(file, ": ", match[1].str()));
    }
  }
  CHECK(names > 100);
  CheckNothing(wrong);
}

// "//server:shard_core_norms_test", "//kernels" and "//tests/...".
TEST_CASE("Every Bazel target that a page names is there") {
  std::vector<std::string> wrong;
  int labels = 0;
  for (const auto& [page, text] : ReadFiles({".md"})) {
    for (const std::smatch& match : Matches(text, std::regex(R"((?:^|[\s`(])//([\w/-]+)(?::([\w-]+))?)"))) {
      const std::string folder = match[1], target = match[2];
      ++labels;
      const auto build = PosixEnv()->ReadFile(CheckoutRoot() / folder / "BUILD.bazel");
      const bool whole =
          target.empty() || !build.ok() || absl::StrContains(*build, absl::StrCat("\"", target, "\"")) ||
          absl::StrContains(*build, absl::StrCat("\"", target.substr(0, target.rfind('_')), "\""));
      if (!fs::exists(CheckoutRoot() / folder) || (!target.empty() && !build.ok()) || !whole)
        wrong.push_back(absl::StrCat(page, ": //", folder, target.empty() ? "" : ":", target));
    }
  }
  CHECK(labels > 10);
  CheckNothing(wrong);
}

// docs/faults.md names the test of each fault: `recovery_test`: "The beginning of its name...".
TEST_CASE("Every test case that docs/faults.md quotes is there") {
  std::string tests;
  for (const auto& [file, text] : ReadFiles({"_test.cc"})) absl::StrAppend(&tests, text, "\n");
  tests = std::regex_replace(tests, std::regex(R"("\s*\n\s*")"), "");  // literals that are split in two
  const auto page = PosixEnv()->ReadFile(CheckoutRoot() / "docs/faults.md");
  REQUIRE(page.ok());
  std::vector<std::string> wrong;
  int quotes = 0;
  const absl::string_view found = absl::string_view(*page).substr(0, page->find("## Mutations"));
  for (const absl::string_view line : absl::StrSplit(found, '\n')) {
    if (!absl::StartsWith(line, "|") || !absl::StrContains(line, "_test`")) continue;
    const std::string last(line.substr(line.substr(0, line.rfind('|')).rfind('|')));
    for (const std::smatch& match : Matches(last, std::regex(R"re("([^"]+?)(?:\.\.\.)?")re"))) {
      ++quotes;
      if (!absl::StrContains(tests, match[1].str())) wrong.push_back(match[1]);
    }
  }
  CHECK(quotes > 20);
  CheckNothing(wrong);
}

// Prose alone: the lines that are not in a table or in a block of code, each with its number.
std::map<int, absl::string_view> ProseOf(absl::string_view page) {
  std::map<int, absl::string_view> prose;
  bool in_code = false;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(page, '\n')) {
    ++number;
    if (absl::StartsWith(line, "```")) in_code = !in_code;
    if (!in_code && !absl::StartsWith(line, "|") && !absl::StartsWith(line, "    ")) prose[number] = line;
  }
  return prose;
}

TEST_CASE("Prose is at most 100 columns wide") {
  std::vector<std::string> wrong;
  for (const auto& [page, text] : ReadFiles({".md"})) {
    for (const auto& [number, line] : ProseOf(text)) {
      if (CountCharacters(line) > 100)
        wrong.push_back(absl::StrCat(page, ":", number, ": ", CountCharacters(line), " columns"));
    }
  }
  CheckNothing(wrong);
  // What the search leaves out, and what it does not.
  const std::string wide(101, 'x');
  CHECK(ProseOf(absl::StrCat("```\n", wide, "\n```\n| ", wide, "\n    ", wide)).size() == 1);
  CHECK(ProseOf(absl::StrCat("```\n```\n- ", wide)).count(3) == 1);
}

// Numbers that a translation writes with the same digits: with a point or a comma, or of three digits.
std::multiset<std::string> FiguresOf(const std::string& page) {
  std::multiset<std::string> figures;
  for (const std::smatch& match : Matches(page, std::regex(R"(\d+(?:[.,]\d+)+|\d{3,})")))
    figures.insert(match[0]);
  return figures;
}

size_t TableRowsOf(const std::string& page) { return Matches(page, std::regex(R"((?:^|\n)\|)")).size(); }

TEST_CASE("README.md and its translation have the same figures, and tables of as many rows") {
  const auto pages = ReadFiles({"README.md", "README.zh.md"});
  const std::string &english = pages.at("README.md"), &chinese = pages.at("README.zh.md");
  const std::multiset<std::string> figures = FiguresOf(english), translated = FiguresOf(chinese);
  std::vector<std::string> different;
  std::set_symmetric_difference(figures.begin(), figures.end(), translated.begin(), translated.end(),
                                std::back_inserter(different));
  CheckNothing(different);
  CHECK(figures.size() > 50);
  CHECK(TableRowsOf(english) == TableRowsOf(chinese));
  CHECK(TableRowsOf(english) > 15);
}

// Checks that `page` names each of `files` by `name_of` it.
void CheckLists(const std::string& page, const std::vector<fs::path>& files,
                const std::function<std::string(const fs::path&)>& name_of) {
  const auto text = PosixEnv()->ReadFile(CheckoutRoot() / page);
  REQUIRE(text.ok());
  std::vector<std::string> wrong;
  for (const fs::path& file : files) {
    if (!absl::StrContains(*text, absl::StrCat("`", name_of(file), "`")))
      wrong.push_back(absl::StrCat(page, " does not name ", std::string(file)));
  }
  CHECK(files.size() > 5);
  CheckNothing(wrong);
}

TEST_CASE("configs/README.md names all jobs, and tasks/README.md all tasks") {
  std::vector<fs::path> jobs, tasks;
  for (const auto& [file, text] : ReadFiles({".yaml"})) {
    if (absl::StartsWith(file, "configs/jobs/")) jobs.emplace_back(file);
  }
  for (const auto& [file, text] : ReadFiles({".cc"})) {
    if (absl::StartsWith(file, "tasks/") && absl::StrContains(text, "TaskType type() const override"))
      tasks.emplace_back(file);
  }
  CheckLists("configs/README.md", jobs,
             [](const fs::path& job) { return job.lexically_relative("configs"); });
  CheckLists("tasks/README.md", tasks, [](const fs::path& task) { return task.filename(); });
}

}  // namespace
}  // namespace shoal
