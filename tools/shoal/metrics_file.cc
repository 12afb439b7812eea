#include "tools/shoal/metrics_file.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace shoal::tools {
namespace {

using Json = nlohmann::json;

// The subject of a line, unique in the file; "" when it is unknown.
std::string SubjectOf(const Json& line) {
  if (!line.is_object() || !line.contains("event") || !line.contains("round")) return "";
  return absl::StrCat(line["event"].dump(), line.contains("set") ? line["set"].dump() : "", " ",
                      line["round"].dump());
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsFile>> MetricsFile::Open(Env* env, const std::string& path,
                                                               uint64_t origin) {
  auto file = absl::WrapUnique(new MetricsFile(path));
  std::string text;
  if (origin > 0 && env->FileExists(path)) {
    SHOAL_ASSIGN_OR_RETURN(text, env->ReadFile(path));
  }
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const Json json =
        Json::parse(line, nullptr, /*allow_exceptions=*/false);  // the last one may be incomplete
    const std::string subject = SubjectOf(json);
    if (subject.empty() || !json["round"].is_number_unsigned() || json["round"].get<uint64_t>() > origin)
      continue;
    if (file->kept_.insert(subject).second) absl::StrAppend(&kept, line, "\n");
  }
  if (!kept.empty()) SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(path, kept));
  file->out_.open(path, kept.empty() ? std::ios::trunc : std::ios::app);
  SHOAL_RETURN_IF_ERROR(file->status());
  return file;
}

void MetricsFile::Add(const Json& line) {
  if (kept_.count(SubjectOf(line)) == 0) out_ << line.dump() << std::endl;
}

absl::Status MetricsFile::status() const {
  return out_ ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("can't write ", path_));
}

}  // namespace shoal::tools
