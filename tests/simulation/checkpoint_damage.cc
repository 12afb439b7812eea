#include "tests/simulation/checkpoint_damage.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/storage/file.h"

namespace shoal::simulation {
namespace {

std::vector<std::string> CommittedFiles(const MemoryDisk& disk) {
  std::vector<std::string> files;
  for (const std::string& file : disk.Files("storage/")) {
    if (absl::StrContains(file, "/version-") && !absl::StrContains(file, ".partial")) files.push_back(file);
  }
  return files;
}

}  // namespace

void DamageCheckpoint(const Fault& fault, RunState* state) {
  const std::vector<std::string> files = CommittedFiles(state->disk);
  if (files.empty()) return;
  EventQueue& queue = state->queue;
  const std::string& file = files[fault.number % files.size()];
  state->damaged.insert(DirName(file));
  state->Log(absl::StrCat("damaged: ", file));
  std::string* const bytes = state->disk.Bytes(file);
  if (fault.kind == "flip" && !bytes->empty()) {
    (*bytes)[queue.Below(bytes->size())] ^= static_cast<char>(1 << queue.Below(8));
  } else if (fault.kind == "tear") {
    bytes->resize(queue.Below(bytes->size() + 1));
  } else if (fault.kind == "swap") {
    const std::string& other = files[queue.Below(files.size())];
    state->damaged.insert(DirName(other));
    state->disk.Swap(file, other);
  } else if (fault.kind == "lose") {
    (void)state->disk.Remove(0, file);
  }
}

}  // namespace shoal::simulation
