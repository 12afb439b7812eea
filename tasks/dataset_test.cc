#include "tasks/dataset.h"

#include <algorithm>
#include <set>

#include "catch2/catch.hpp"
#include "tasks/batches.h"

namespace shoal::tasks {
namespace {

// `examples` examples of lengths 1 to 20.
EncodedPart Part(uint64_t examples) {
  EncodedPart part;
  for (uint64_t e = 0; e < examples; ++e) {
    for (uint64_t t = 0; t <= e * 7 % 20; ++t) part.tokens.push_back(static_cast<int32_t>((e + t) % 50));
    part.offsets.push_back(part.tokens.size());
    part.classes.push_back(static_cast<int32_t>(e % 3));
  }
  return part;
}

Dataset Three() {
  Dataset dataset;
  dataset.labels = 3;
  dataset.part[0] = Part(101);
  dataset.part[1] = Part(7);
  return dataset;
}

TEST_CASE("A dataset comes back as it was written") {
  const Dataset dataset = Three();
  const auto read = ParseDataset(SerializeDataset(dataset), {50, 2});
  REQUIRE(read.ok());
  CHECK(read->task == dataset.task);
  CHECK(read->labels == 3);
  for (int i = 0; i < kNumParts; ++i) {
    CHECK(read->part[i].offsets == dataset.part[i].offsets);
    CHECK(read->part[i].tokens == dataset.part[i].tokens);
    CHECK(read->part[i].classes == dataset.part[i].classes);
  }
  CHECK(read->longest() == 20);
}

TEST_CASE("Token types come back too, and must be types of the model; without any the bytes are as before") {
  Dataset dataset = Three();
  const std::string untyped = SerializeDataset(dataset);
  EncodedPart& part = dataset.part[1];
  part.types.assign(part.tokens.size(), 0);
  CHECK(SerializeDataset(dataset) == untyped);
  part.types.back() = 2;
  const std::string bytes = SerializeDataset(dataset);
  const auto read = ParseDataset(bytes, {50, 3});
  REQUIRE(read.ok());
  CHECK(read->part[0].types.empty());
  CHECK(read->part[1].types == part.types);
  CHECK(SerializeDataset(*read) == bytes);
  CHECK_FALSE(ParseDataset(bytes, {50, 2}).ok());
  part.types.back() = -1;
  part.types.front() = 1;
  CHECK_FALSE(ParseDataset(SerializeDataset(dataset), {50, 3}).ok());
  part.types.resize(part.types.size() - 1);
  CHECK_FALSE(ParseDataset(SerializeDataset(dataset), {50, 3}).ok());
}

TEST_CASE("Notes come back too, and are as many as examples") {
  Dataset dataset;
  dataset.task = TASK_QUESTION_ANSWERING;
  for (EncodedPart& part : dataset.part) {
    for (int i = 0; i < 2; ++i) part.AppendTokens({2, 9, 3});
    part.classes = {-1, kSpanFirst | kSpanLast, -1, -1, 0, -1};
  }
  dataset.part[1].notes = {"", std::string("a\0b", 3)};
  const std::string bytes = SerializeDataset(dataset);
  CHECK(bytes.substr(0, 15) == "shoal dataset 3");
  const auto read = ParseDataset(bytes, {50, 1});
  REQUIRE(read.ok());
  CHECK(read->part[0].notes.empty());
  CHECK(read->part[1].notes == dataset.part[1].notes);
  CHECK(SerializeDataset(*read) == bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(ParseDataset(bytes.substr(0, cut), {50, 1}).ok());
  dataset.part[1].notes.pop_back();
  CHECK_FALSE(ParseDataset(SerializeDataset(dataset), {50, 1}).ok());
  dataset.part[1].notes.clear();
  dataset.part[0].classes[1] = kSpanClasses;
  CHECK_FALSE(ParseDataset(SerializeDataset(dataset), {50, 1}).ok());
}

TEST_CASE("A data set whose tokens are hidden has a mask token and a vocabulary, and no other has") {
  Dataset dataset;
  dataset.task = TASK_MASKED_LANGUAGE_MODELLING;
  dataset.vocab_size = 50;
  dataset.mask_token = 4;
  EncodedPart& part = dataset.part[0];
  part.AppendTokens({2, 9, 9, 3});
  part.classes = {-1, 0, 0, -1};
  const auto parse = [](const Dataset& of) { return ParseDataset(SerializeDataset(of), {50, 1}); };
  const auto read = parse(dataset);
  REQUIRE(read.ok());
  CHECK(read->vocab_size == 50);
  CHECK(read->mask_token == 4);
  CHECK(read->part[0].classes == part.classes);
  const auto refuses = [&](uint32_t mask, uint32_t vocabulary, TaskType task) {
    Dataset bad = dataset;
    bad.mask_token = mask;
    bad.vocab_size = vocabulary;
    bad.task = task;
    if (task == TASK_CAUSAL_LANGUAGE_MODELLING) bad.part[0].classes.clear();
    return !parse(bad).ok();
  };
  CHECK(refuses(50, 50, TASK_MASKED_LANGUAGE_MODELLING));
  CHECK(refuses(4, 51, TASK_MASKED_LANGUAGE_MODELLING));
  CHECK(refuses(0, 0, TASK_MASKED_LANGUAGE_MODELLING));
  CHECK(refuses(4, 50, TASK_CAUSAL_LANGUAGE_MODELLING));
  CHECK_FALSE(refuses(0, 0, TASK_CAUSAL_LANGUAGE_MODELLING));
  part.classes = {-1, 0, 4, -1};  // a word that no token of the part can have
  CHECK_FALSE(parse(dataset).ok());
}

TEST_CASE("Damaged bytes, and tokens or labels that are out of range, are errors") {
  const std::string bytes = SerializeDataset(Three());
  for (size_t size = 0; size < bytes.size(); size += 8)
    CHECK_FALSE(ParseDataset(bytes.substr(0, size), {50, 2}).ok());
  CHECK_FALSE(ParseDataset(bytes + "12345678", {50, 2}).ok());
  CHECK_FALSE(ParseDataset(bytes, {49, 2}).ok());
  Dataset bad = Three();
  bad.labels = 2;
  CHECK_FALSE(ParseDataset(SerializeDataset(bad), {50, 2}).ok());
  bad = Three();
  bad.part[1].offsets.back() = 1;
  CHECK_FALSE(ParseDataset(SerializeDataset(bad), {50, 2}).ok());
}

TEST_CASE("An epoch's batches hold each training example once, at most slot_batch of them") {
  for (uint64_t examples : {1, 5, 64, 1000, 1003}) {
    const EncodedPart part = Part(examples);
    const BatchOrder order(&part, 1, 4, 8);
    CHECK(order.rounds_per_epoch() == ((examples + 3) / 4 + 7) / 8);
    std::set<uint64_t> first_epoch;
    for (uint64_t epoch = 0; epoch < 2; ++epoch) {
      std::set<uint64_t> seen;
      for (uint64_t round = 0; round < order.rounds_per_epoch(); ++round) {
        for (uint64_t slot = 0; slot < 4; ++slot) {
          const auto batch = order.Examples(Round(epoch * order.rounds_per_epoch() + round), Slot(slot));
          CHECK(batch.size() <= 8);
          for (uint64_t example : batch) CHECK(seen.insert(example).second);
        }
      }
      CHECK(seen.size() == examples);
    }
  }
}

TEST_CASE(
    "Batches are of about the same number of tokens, and differ from epoch to epoch and from seed to seed") {
  const EncodedPart part = Part(4096);
  const BatchOrder order(&part, 1, 4, 16), other(&part, 2, 4, 16);
  uint64_t least = ~uint64_t{0}, most = 0;
  for (uint64_t round = 0; round < order.rounds_per_epoch(); ++round) {
    uint64_t tokens = 0;
    for (uint64_t example : order.Examples(Round(round), Slot(1))) tokens += part.length(example);
    least = std::min(least, tokens);
    most = std::max(most, tokens);
  }
  CHECK(most - least <= 20);  // mean: 168
  CHECK(order.Examples(Round(0), Slot(1)) != order.Examples(Round(order.rounds_per_epoch()), Slot(1)));
  CHECK(order.Examples(Round(0), Slot(1)) != other.Examples(Round(0), Slot(1)));
}

}  // namespace
}  // namespace shoal::tasks
