#include "tasks/data/lines.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "tasks/data/reader.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

DataSpec Files(const std::vector<std::string>& files) {
  DataSpec data;
  data.set_format(DATA_FORMAT_LINES);
  for (const std::string& file : files) data.add_files(file);
  return data;
}

TEST_CASE("The label of a file is what its name has alone") {
  CHECK(LabelOfFile("a/rt-polarity.neg", Files({"a/rt-polarity.neg", "a/rt-polarity.pos"})) == "neg");
  CHECK(LabelOfFile("good.txt", Files({"good.txt", "bad.txt"})) == "good");
  CHECK(LabelOfFile("x/b.c.txt", Files({"x/a.c.txt", "x/b.c.txt"})) == "b");
  CHECK(LabelOfFile("good.txt", Files({"good.txt"})) == "good");
  DataSpec data;  // the same names in folders
  data.add_train_files("train/good.txt");
  data.add_train_files("train/bad.txt");
  data.add_test_files("test/good.txt");
  CHECK(LabelOfFile("test/good.txt", data) == "good");
}

TEST_CASE("Each line that is not blank is a text with its file's label") {
  const TestDir dir;
  const auto write = [&](const std::string& name, const std::string& text) {
    REQUIRE(PosixEnv()->WriteFileAtomic(dir / name, text).ok());
    return dir / name;
  };
  const DataSpec data = Files({write("x.pos", "good film \r\n\n \nfine\n"), write("x.neg", "bad film")});
  const auto set = ReadExamples(PosixEnv(), data.files(), data, *FindTask(TASK_TEXT_CLASSIFICATION));
  REQUIRE(set.ok());
  REQUIRE(set->examples.size() == 3);
  CHECK(set->examples[0].text == "good film");
  CHECK(set->examples[1].line == 4);
  CHECK(set->examples[1].labels == std::vector<std::string>{"pos"});
  CHECK(set->examples[2].labels == std::vector<std::string>{"neg"});
}

}  // namespace
}  // namespace shoal::tasks
