#include "common/storage/safetensors.h"

#include <cstring>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

std::string File(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(&file[0], &size, 8);
  return file + header + std::string(data_bytes, '\x01');
}

absl::Status OpenBytes(const TestDir& dir, const std::string& bytes) {
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "file", bytes).ok());
  return SafetensorsReader::Open(PosixEnv(), dir / "file").status();
}

TEST_CASE("Tensors come back as they were written, with metadata") {
  const TestDir dir;
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {7};
  SafetensorsEntry first, second;
  first.name = "a";
  first.shape = {2, 3};
  second.name = "b";
  auto writer =
      SafetensorsWriter::Create(PosixEnv(), dir / "file", {first, second}, {{"key", "value \"quoted\""}});
  REQUIRE(writer.ok());
  REQUIRE(writer->Append(a).ok());
  CHECK(writer->Finish().status().code() == absl::StatusCode::kFailedPrecondition);  // b is missing
  auto again =
      SafetensorsWriter::Create(PosixEnv(), dir / "file", {first, second}, {{"key", "value \"quoted\""}});
  REQUIRE(again.ok());
  REQUIRE(again->Append(a).ok());
  REQUIRE(again->Append(b).ok());
  CHECK(again->Append(b).code() == absl::StatusCode::kOutOfRange);
  const auto sha256 = again->Finish();
  REQUIRE(sha256.ok());
  CHECK(*sha256 == *PosixEnv()->Sha256OfFile(dir / "file"));

  const auto reader = SafetensorsReader::Open(PosixEnv(), dir / "file");
  REQUIRE(reader.ok());
  CHECK(reader->metadata().at("key") == "value \"quoted\"");
  CHECK(*reader->ReadFloats("a") == a);
  CHECK(*reader->ReadFloats("b") == b);
  std::vector<float> middle(2);
  REQUIRE(reader->ReadFloats(reader->entries()[0], 2, absl::MakeSpan(middle)).ok());
  CHECK(middle == std::vector<float>{3, 4});
  CHECK(reader->ReadFloats(reader->entries()[0], 5, absl::MakeSpan(middle)).code() ==
        absl::StatusCode::kOutOfRange);
  CHECK(reader->Find("c").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("Half precision is read exactly") {
  const TestDir dir;
  std::string file = File(
      R"({"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}})",
      0);
  file += std::string("\x00\x3c\x01\x00\x80\x3f\x00\xc0", 8);
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "file", file).ok());
  const auto reader = SafetensorsReader::Open(PosixEnv(), dir / "file");
  REQUIRE(reader.ok());
  CHECK(*reader->ReadFloats("h") == std::vector<float>{1.0f, 0x1p-24f});
  CHECK(*reader->ReadFloats("b") == std::vector<float>{1.0f, -2.0f});
}

TEST_CASE("Malformed files are errors") {
  const TestDir dir;
  const std::string good = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  CHECK(OpenBytes(dir, File(good, 4)).ok());
  for (
      const std::string& bad : {
          std::string(),
          std::string("1234"),
          std::string(8, '\xff'),
          File(good, 3),
          File(good, 5),
          File("[]", 0),
          File("{", 0),
          File(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4),
          File(R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
          File(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
          File(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4),
          File(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
          File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
          File(
              R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
              4),
          File(
              R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
              12),
      }) {
    const absl::Status status = OpenBytes(dir, bad);
    INFO(bad);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("No single damaged byte of a header crashes the reader") {
  const TestDir dir;
  const std::string good = File(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  PhiloxStream random(DeriveKey(1, "damage"));
  for (size_t place = 0; place + 4 < good.size(); ++place) {
    std::string bad = good;
    bad[place] = static_cast<char>(random.Next32());
    (void)OpenBytes(dir, bad);
  }
}

}  // namespace
}  // namespace shoal
