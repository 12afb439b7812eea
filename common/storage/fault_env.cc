#include "common/storage/fault_env.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest_name.h"
#include "common/base/status.h"
#include "common/base/units.h"

namespace shoal {
namespace {

absl::StatusOr<int> ParseErrno(absl::string_view name) {
  static constexpr std::pair<absl::string_view, int> kErrors[] = {
      {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EACCES", EACCES},  {"EDQUOT", EDQUOT},
      {"EROFS", EROFS},   {"ESTALE", ESTALE}, {"HANG", kFaultHang}};
  std::vector<std::string> names;
  for (const auto& [known, error] : kErrors) {
    if (known == name) return error;
    names.emplace_back(known);
  }
  return absl::InvalidArgumentError(absl::StrCat("error: expected one of ", absl::StrJoin(names, ", "),
                                                 ", got '", name, "'", DidYouMean(name, names)));
}

absl::Status SetField(absl::string_view field, absl::string_view value, FaultRule* rule) {
  if (field == "path") {
    rule->path_contains = std::string(value);
  } else if (field == "nth") {
    if (!absl::SimpleAtoi(value, &rule->nth_operation) || rule->nth_operation == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("nth: expected a whole number of at least 1, got '", value, "'"));
    }
  } else if (field == "after") {
    const absl::StatusOr<uint64_t> bytes = ParseBytes(value);
    if (!bytes.ok()) return Annotate(bytes.status(), "after");
    rule->after_bytes = *bytes;
  } else if (field == "error") {
    SHOAL_ASSIGN_OR_RETURN(rule->error, ParseErrno(value));
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown field '", field,
                                                   "'; expected path, nth, after or error",
                                                   DidYouMean(field, {"path", "nth", "after", "error"})));
  }
  return absl::OkStatus();
}

absl::StatusOr<FaultRule> ParseRule(absl::string_view text) {
  FaultRule rule;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    SHOAL_RETURN_IF_ERROR(SetField(field.first, field.second, &rule));
  }
  if (rule.error == 0) return absl::InvalidArgumentError("error: missing; for example error=ENOSPC");
  return rule;
}

}  // namespace

class FaultWritableFile : public WritableFile {
 public:
  FaultWritableFile(FaultEnv* env, std::string path, std::unique_ptr<WritableFile> base)
      : env_(env), path_(std::move(path)), base_(std::move(base)) {}

  absl::Status Append(absl::string_view bytes) override {
    const FaultEnv::Verdict verdict = env_->Judge(path_, path_, bytes.size());
    if (verdict.status.ok()) return base_->Append(bytes);
    SHOAL_RETURN_IF_ERROR(base_->Append(bytes.substr(0, verdict.fitting_bytes)));
    return verdict.status;
  }
  absl::Status Sync() override {
    SHOAL_RETURN_IF_ERROR(env_->Check(path_));
    return base_->Sync();
  }
  absl::Status Close() override {
    SHOAL_RETURN_IF_ERROR(env_->Check(path_));
    return base_->Close();
  }

 private:
  FaultEnv* const env_;
  const std::string path_;
  const std::unique_ptr<WritableFile> base_;
};

class FaultRandomAccessFile : public RandomAccessFile {
 public:
  FaultRandomAccessFile(FaultEnv* env, std::string path, std::unique_ptr<RandomAccessFile> base)
      : env_(env), path_(std::move(path)), base_(std::move(base)) {}

  uint64_t size() const override { return base_->size(); }
  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    SHOAL_RETURN_IF_ERROR(env_->Check(path_));
    return base_->Read(offset, out);
  }

 private:
  FaultEnv* const env_;
  const std::string path_;
  const std::unique_ptr<RandomAccessFile> base_;
};

absl::StatusOr<std::vector<FaultRule>> ParseFaultRules(absl::string_view text) {
  std::vector<FaultRule> rules;
  for (const absl::string_view part : absl::StrSplit(text, ';', absl::SkipWhitespace())) {
    absl::StatusOr<FaultRule> rule = ParseRule(part);
    if (!rule.ok()) return Annotate(rule.status(), absl::StrCat("fault rule '", part, "'"));
    rules.push_back(*std::move(rule));
  }
  return rules;
}

FaultEnv::FaultEnv(Env* base, std::vector<FaultRule> rules) : base_(base) { SetRules(std::move(rules)); }

void FaultEnv::SetRules(std::vector<FaultRule> rules) {
  absl::MutexLock lock(&mutex_);
  operations_ = 0;
  ++generation_;
  hangs_.Reset();
  rules_.clear();
  for (FaultRule& rule : rules) rules_.push_back({std::move(rule)});
}

uint64_t FaultEnv::operations() const {
  absl::MutexLock lock(&mutex_);
  return operations_;
}

bool FaultEnv::RuleState::Fails(uint64_t append_bytes, uint64_t* fitting_bytes) {
  *fitting_bytes = 0;
  ++operations;
  if (rule.nth_operation != 0 && operations != rule.nth_operation) return false;
  if (rule.after_bytes == 0) return true;
  const uint64_t room_bytes = rule.after_bytes - appended_bytes;
  *fitting_bytes = std::min(room_bytes, append_bytes);
  appended_bytes += *fitting_bytes;
  return append_bytes > room_bytes;
}

FaultEnv::Verdict FaultEnv::Judge(const std::string& path, const std::string& other, uint64_t append_bytes) {
  absl::MutexLock lock(&mutex_);
  ++operations_;
  for (RuleState& state : rules_) {
    const std::string& part = state.rule.path_contains;
    if (path.find(part) == std::string::npos && other.find(part) == std::string::npos) continue;
    Verdict verdict;
    if (!state.Fails(append_bytes, &verdict.fitting_bytes)) continue;
    if (state.rule.error == kFaultHang) {
      Hang();
      return Verdict();
    }
    verdict.status = FileError(state.rule.error, absl::StrCat(path, " (injected fault)"));
    return verdict;
  }
  return Verdict();
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultEnv::NewWritableFile(const std::string& path,
                                                                        WriteMode mode) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, base_->NewWritableFile(path, mode));
  return std::make_unique<FaultWritableFile>(this, path, std::move(file));
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> FaultEnv::NewRandomAccessFile(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<RandomAccessFile> file, base_->NewRandomAccessFile(path));
  return std::make_unique<FaultRandomAccessFile>(this, path, std::move(file));
}

absl::Status FaultEnv::Rename(const std::string& from, const std::string& to) {
  SHOAL_RETURN_IF_ERROR(Judge(from, to, 0).status);
  return base_->Rename(from, to);
}

absl::Status FaultEnv::SyncDir(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->SyncDir(path);
}

absl::Status FaultEnv::CreateDirs(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->CreateDirs(path);
}

absl::StatusOr<std::vector<std::string>> FaultEnv::ListDir(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->ListDir(path);
}

absl::Status FaultEnv::DeleteFile(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->DeleteFile(path);
}

absl::Status FaultEnv::DeleteTree(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->DeleteTree(path);
}

absl::StatusOr<uint64_t> FaultEnv::FileSize(const std::string& path) {
  SHOAL_RETURN_IF_ERROR(Check(path));
  return base_->FileSize(path);
}

// It returns no errors, but may hang.
bool FaultEnv::FileExists(const std::string& path) {
  {
    absl::MutexLock lock(&mutex_);
    for (const RuleState& state : rules_) {
      if (state.rule.error == kFaultHang && path.find(state.rule.path_contains) != std::string::npos) {
        Hang();
        break;
      }
    }
  }
  return base_->FileExists(path);
}

void FaultEnv::Hang() {
  hangs_.Notify();
  const auto replaced = [this, was = generation_]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return generation_ != was; };
  mutex_.Await(absl::Condition(&replaced));
}

}  // namespace shoal
