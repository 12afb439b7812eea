// Values that carry their unit, in flags and configuration files: "200ms", "10 min", "8GiB".
// Intervals of training ("2 epochs", "200 rounds") are parsed by ParseInterval (common/job/job_scalar.h).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace shoal {

// A decimal number, optional blanks, and one of ns, us, ms, s, min, h, d; "0" alone is zero.
// Errors: INVALID_ARGUMENT that says what was expected: not a number, negative, unknown or missing unit, over
// 292 years (2^63 ns).
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// In the largest unit in which it is a whole number: "90s", "10min", "0s". ParseDuration reads it back
// exactly, to the nanosecond. Negative and longer durations are printed by absl::FormatDuration.
std::string DurationText(absl::Duration duration);

// A decimal number, optional blanks, and one of B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of
// 1024); "0" alone is zero. Fractions must give whole bytes. Errors: INVALID_ARGUMENT that says what was
// expected.
absl::StatusOr<uint64_t> ParseBytes(absl::string_view text);

// In the largest unit, of the powers of 1024, in which it is a whole number: "8GiB", "1536KiB", "1000B".
std::string FormatBytes(uint64_t bytes);

}  // namespace shoal
