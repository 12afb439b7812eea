// README.md of an exported model: what it was made from, how good it is, and how to make it again.
#pragma once

#include <cstdint>
#include <string>

#include "proto/scheduler.pb.h"

namespace shoal::tools {

inline constexpr char kModelCardFile[] = "README.md";

// Of the job's version `version`. `job` has its plan. Figures are those of that version, if it was evaluated.
std::string ModelCard(const Job& job, uint64_t version);

}  // namespace shoal::tools
