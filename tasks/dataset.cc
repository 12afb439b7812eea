#include "tasks/dataset.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

// 16 bytes each. The second one has more: token types, and what a task that hides tokens needs; the third one
// also notes.
constexpr absl::string_view kMagics[] = {"shoal dataset 1\n", "shoal dataset 2\n", "shoal dataset 3\n"};
constexpr size_t kMagic_bytes = 16;

// The first format that has all that the dataset has.
size_t FormatOf(const Dataset& dataset) {
  const bool notes = std::any_of(std::begin(dataset.part), std::end(dataset.part),
                                 [](const EncodedPart& part) { return !part.notes.empty(); });
  if (notes) return 2;
  return dataset.largest_type() > 0 || dataset.hides_tokens() ? 1 : 0;
}

template <typename T>
void AppendArray(const std::vector<T>& values, std::string* out) {
  const uint64_t count = values.size();
  out->append(reinterpret_cast<const char*>(&count), sizeof(count));
  out->append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  out->resize((out->size() + 7) / 8 * 8);
}

// The ends of the notes, and all of them one after another.
void AppendNotes(const std::vector<std::string>& notes, std::string* out) {
  std::vector<uint64_t> ends;
  std::vector<char> all;
  for (const std::string& note : notes) {
    all.insert(all.end(), note.begin(), note.end());
    ends.push_back(all.size());
  }
  AppendArray(ends, out);
  AppendArray(all, out);
}

// Reads what AppendArray wrote.
class ArrayReader {
 public:
  explicit ArrayReader(absl::string_view bytes) : rest_(bytes) {}

  template <typename T>
  bool Read(std::vector<T>* values) {
    uint64_t count = 0;
    if (rest_.size() < sizeof(count)) return false;
    std::memcpy(&count, rest_.data(), sizeof(count));
    rest_.remove_prefix(sizeof(count));
    if (count > rest_.size() / sizeof(T)) return false;
    values->resize(count);
    if (count > 0) std::memcpy(values->data(), rest_.data(), count * sizeof(T));
    const uint64_t padded = (count * sizeof(T) + 7) / 8 * 8;
    if (padded > rest_.size()) return false;
    rest_.remove_prefix(padded);
    return true;
  }
  bool ReadNotes(std::vector<std::string>* notes) {
    std::vector<uint64_t> ends;
    std::vector<char> all;
    if (!Read(&ends) || !Read(&all)) return false;
    uint64_t begin = 0;
    for (uint64_t end : ends) {
      if (end < begin || end > all.size()) return false;
      notes->emplace_back(all.data() + begin, end - begin);
      begin = end;
    }
    return begin == all.size();
  }
  bool at_end() const { return rest_.empty(); }

 private:
  absl::string_view rest_;
};

absl::Status CheckPart(const EncodedPart& part, TargetKind kind, uint32_t labels, const TokenLimits& limits) {
  const absl::Status bad = absl::InvalidArgumentError("the dataset is damaged: its numbers are inconsistent");
  if (part.offsets.empty() || part.offsets.front() != 0 || part.offsets.back() != part.tokens.size())
    return bad;
  // In ascending order, and no example without tokens.
  if (std::adjacent_find(part.offsets.begin(), part.offsets.end(), std::greater_equal<>()) !=
      part.offsets.end())
    return bad;
  for (int32_t token : part.tokens) {
    if (token < 0 || static_cast<uint64_t>(token) >= limits.vocab_size) return bad;
  }
  return HasTypes(part, limits.token_types) && HasTargets(part, kind, labels) ? absl::OkStatus() : bad;
}

}  // namespace

uint64_t Dataset::longest() const {
  uint64_t longest = 0;
  for (const EncodedPart& p : part) {
    for (uint64_t example = 0; example < p.size(); ++example) longest = std::max(longest, p.length(example));
  }
  return longest;
}

uint64_t Dataset::largest_type() const {
  int32_t largest = 0;
  for (const EncodedPart& p : part) {
    for (const int32_t type : p.types) largest = std::max(largest, type);
  }
  return static_cast<uint64_t>(largest);
}

std::string SerializeDataset(const Dataset& dataset) {
  const size_t format = FormatOf(dataset);
  const bool more = format > 0;
  std::string bytes(kMagics[format]);
  std::vector<uint32_t> head = {static_cast<uint32_t>(dataset.task), dataset.labels};
  if (more) head.insert(head.end(), {dataset.mask_token, dataset.vocab_size});
  AppendArray(head, &bytes);
  for (const EncodedPart& part : dataset.part) {
    AppendArray(part.offsets, &bytes);
    AppendArray(part.tokens, &bytes);
    if (more) AppendArray(part.types, &bytes);
    AppendArray(part.classes, &bytes);
    AppendArray(part.targets, &bytes);
    if (format == 2) AppendNotes(part.notes, &bytes);
  }
  return bytes;
}

absl::StatusOr<Dataset> ParseDataset(absl::string_view bytes, const TokenLimits& limits) {
  const auto* const magic = std::find(std::begin(kMagics), std::end(kMagics), bytes.substr(0, kMagic_bytes));
  if (magic == std::end(kMagics)) return absl::InvalidArgumentError("expected a Shoal dataset");
  const auto format = static_cast<size_t>(magic - std::begin(kMagics));
  const bool more = format > 0;
  ArrayReader reader(bytes.substr(kMagic_bytes));
  std::vector<uint32_t> head;
  Dataset dataset;
  bool whole = reader.Read(&head) && head.size() == (more ? 4 : 2);
  if (whole) {
    dataset.task = static_cast<TaskType>(head[0]);
    dataset.labels = head[1];
    if (more) dataset.mask_token = head[2];
    if (more) dataset.vocab_size = head[3];
  }
  const Task* const task = FindTask(dataset.task);
  for (EncodedPart& part : dataset.part) {
    whole = whole && reader.Read(&part.offsets) && reader.Read(&part.tokens) &&
            (!more || reader.Read(&part.types)) && reader.Read(&part.classes) && reader.Read(&part.targets) &&
            (format < 2 || reader.ReadNotes(&part.notes));
  }
  if (!whole || !reader.at_end() || task == nullptr || format != FormatOf(dataset))
    return absl::InvalidArgumentError("the dataset is truncated or damaged");
  const bool hides = task->target_kind() == TargetKind::kHiddenTokens;
  const uint32_t mask = dataset.mask_token, vocabulary = dataset.vocab_size;
  if (hides ? mask >= vocabulary || vocabulary > limits.vocab_size : mask > 0 || vocabulary > 0)
    return absl::InvalidArgumentError("the dataset is damaged: its vocabulary is not the model's");
  for (const EncodedPart& part : dataset.part)
    SHOAL_RETURN_IF_ERROR(CheckPart(part, task->target_kind(), dataset.labels, limits));
  return dataset;
}

}  // namespace shoal::tasks
