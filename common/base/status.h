// Helpers for absl::Status, and checks for programming errors.
#pragma once

#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal {

// `status` with "context: " before its message; code and payloads stay. An OK status stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);
template <typename T>
absl::StatusOr<T> Annotate(absl::StatusOr<T> value, absl::string_view context) {
  if (!value.ok()) return Annotate(value.status(), context);
  return value;
}

namespace internal {

// Writes what was wrong and where to stderr, then aborts.
[[noreturn]] ABSL_ATTRIBUTE_COLD void CheckFailed(const char* file, int line, const char* condition);
[[noreturn]] ABSL_ATTRIBUTE_COLD void CheckOkFailed(const char* file, int line, const absl::Status& status);

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace internal
}  // namespace shoal

// Aborts when `condition` is false. Only for programming errors: bad input from users, files or the network
// gets an absl::Status.
#define SHOAL_CHECK(condition)                                        \
  do {                                                                \
    if (ABSL_PREDICT_FALSE(!(condition))) {                           \
      ::shoal::internal::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                 \
  } while (false)

// Aborts when `expression`, a Status or StatusOr, is not OK. Only for programming errors.
#define SHOAL_CHECK_OK(expression)                                                                      \
  do {                                                                                                  \
    const auto& shoal_checked = (expression);                                                           \
    if (ABSL_PREDICT_FALSE(!shoal_checked.ok())) {                                                      \
      ::shoal::internal::CheckOkFailed(__FILE__, __LINE__, ::shoal::internal::StatusOf(shoal_checked)); \
    }                                                                                                   \
  } while (false)

// Returns from the function with the status of `expression` (a Status) when it is not OK.
#define SHOAL_RETURN_IF_ERROR(expression)                            \
  do {                                                               \
    absl::Status shoal_status = (expression);                        \
    if (ABSL_PREDICT_FALSE(!shoal_status.ok())) return shoal_status; \
  } while (false)

// Assigns the value of `expression` (a StatusOr) to `lhs`, which may be a declaration, or returns its status.
//   SHOAL_ASSIGN_OR_RETURN(const std::string text, env->ReadFile(path));
// Expands to more than one statement, so it can't be the body of an `if` without braces.
#define SHOAL_ASSIGN_OR_RETURN(lhs, expression) \
  SHOAL_INTERNAL_ASSIGN_OR_RETURN(SHOAL_INTERNAL_CONCAT(shoal_result_, __LINE__), lhs, expression)

#define SHOAL_INTERNAL_ASSIGN_OR_RETURN(result, lhs, expression)           \
  auto result = (expression);                                              \
  if (ABSL_PREDICT_FALSE(!result.ok())) return std::move(result).status(); \
  lhs = *std::move(result)

#define SHOAL_INTERNAL_CONCAT(a, b) SHOAL_INTERNAL_CONCAT_EXPANDED(a, b)
#define SHOAL_INTERNAL_CONCAT_EXPANDED(a, b) a##b
