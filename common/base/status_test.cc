#include "common/base/status.h"

#include <memory>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"

namespace shoal {
namespace {

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError(absl::StrCat(number, " is odd"));
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  SHOAL_ASSIGN_OR_RETURN(const int half, Half(number));
  SHOAL_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status CheckEven(int number, bool* reached_end) {
  SHOAL_RETURN_IF_ERROR(Half(number).status());
  *reached_end = true;
  return absl::OkStatus();
}

TEST_CASE("SHOAL_ASSIGN_OR_RETURN gives the value or returns the first error") {
  CHECK(*Quarter(12) == 3);
  CHECK(Quarter(6).status() == absl::InvalidArgumentError("3 is odd"));
  CHECK(Quarter(5).status() == absl::InvalidArgumentError("5 is odd"));
}

TEST_CASE("SHOAL_ASSIGN_OR_RETURN moves what can't be copied") {
  const auto unwrap = [](absl::StatusOr<std::unique_ptr<int>> box) -> absl::StatusOr<int> {
    SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<int> content, std::move(box));
    return *content;
  };
  CHECK(*unwrap(std::make_unique<int>(7)) == 7);
}

TEST_CASE("SHOAL_RETURN_IF_ERROR continues only after OK") {
  bool reached_end = false;
  CHECK_FALSE(CheckEven(1, &reached_end).ok());
  CHECK_FALSE(reached_end);
  CHECK(CheckEven(2, &reached_end).ok());
  CHECK(reached_end);
}

TEST_CASE("Annotate puts the context in front and keeps code and payloads") {
  absl::Status status = absl::NotFoundError("no such file");
  status.SetPayload("type", absl::Cord("payload"));
  const absl::Status annotated = Annotate(status, "reading job.yaml");
  CHECK(annotated.code() == absl::StatusCode::kNotFound);
  CHECK(annotated.message() == "reading job.yaml: no such file");
  CHECK(annotated.GetPayload("type") == absl::Cord("payload"));
  CHECK(Annotate(absl::OkStatus(), "context").ok());
}

TEST_CASE("Checks that hold evaluate their condition once and continue") {
  int calls = 0;
  SHOAL_CHECK(++calls == 1);
  SHOAL_CHECK_OK(Half(++calls));
  CHECK(calls == 2);
}

}  // namespace
}  // namespace shoal
