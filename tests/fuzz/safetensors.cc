// A safetensors file of any bytes. Asserted: entries fill the data exactly, every entry can be read, and the
// header that the writer makes from what was read reads back the same.
#include "common/storage/safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/storage/safetensors_header.h"
#include "tests/fuzz/memory_files.h"

namespace shoal {
namespace {

constexpr char kPath[] = "model.safetensors";

bool Equal(const SafetensorsEntry& a, const SafetensorsEntry& b) {
  return a.name == b.name && a.type == b.type && a.shape == b.shape;
}

void CheckReads(const SafetensorsReader& reader, uint64_t file_bytes) {
  uint64_t data_bytes = 0;
  for (const SafetensorsEntry& entry : reader.entries()) {
    SHOAL_CHECK(entry.offset + entry.size_bytes() <= file_bytes);
    data_bytes += entry.size_bytes();
    const auto found = reader.Find(entry.name);
    SHOAL_CHECK_OK(found);
    SHOAL_CHECK(*found == &entry);
    std::string bytes(entry.size_bytes(), '\0');
    SHOAL_CHECK_OK(reader.ReadBytes(entry, 0, absl::MakeSpan(bytes)));
    SHOAL_CHECK(!reader.ReadBytes(entry, 1, absl::MakeSpan(bytes)).ok() || bytes.empty());
    const auto values = reader.ReadFloats(entry.name);
    SHOAL_CHECK(!values.ok() || values->size() == entry.elements());
  }
  SHOAL_CHECK(data_bytes <= file_bytes);
}

void CheckRoundTrip(const SafetensorsReader& reader) {
  const SafetensorsHeader header = {reader.entries(), reader.metadata()};
  const auto text = FormatSafetensorsHeader(header);
  SHOAL_CHECK_OK(text);
  uint64_t data_bytes = 0;
  for (const SafetensorsEntry& entry : header.entries) data_bytes += entry.size_bytes();
  const auto again = ParseSafetensorsHeader(text->substr(8), data_bytes);
  SHOAL_CHECK_OK(again);
  SHOAL_CHECK(again->metadata == header.metadata);
  SHOAL_CHECK(again->entries.size() == header.entries.size());
  for (size_t i = 0; i < header.entries.size(); ++i) {
    // Empty tensors occupy no bytes, so their order may differ.
    if (header.entries[i].size_bytes() > 0) SHOAL_CHECK(Equal(again->entries[i], header.entries[i]));
  }
}

}  // namespace
}  // namespace shoal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::MemoryFiles files;
  files[shoal::kPath].assign(reinterpret_cast<const char*>(data), size);
  const auto reader = shoal::SafetensorsReader::Open(&files, shoal::kPath);
  if (!reader.ok()) return 0;
  shoal::CheckReads(*reader, size);
  shoal::CheckRoundTrip(*reader);
  return 0;
}
