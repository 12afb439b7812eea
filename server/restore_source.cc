#include "server/restore_source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/parameter_info.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/protocol/shard_map.h"
#include "common/storage/checkpoint.h"
#include "kernels/init.h"

namespace shoal::server {
namespace {

// Some blocks of a checkpoint that was divided into different shards.
class CheckpointBlocks : public StateReader {
 public:
  explicit CheckpointBlocks(CheckpointReader reader) : reader_(std::move(reader)) {}

  absl::Status Read(BlockId block, const BlockContents& out) override {
    SHOAL_RETURN_IF_ERROR(reader_.ReadBlock("theta", block, out.theta));
    for (size_t i = 0; i < out.arrays.size(); ++i) {
      SHOAL_RETURN_IF_ERROR(reader_.ReadBlock(reader_.array_names()[i], block, out.arrays[i]));
    }
    return absl::OkStatus();
  }

 private:
  const CheckpointReader reader_;
};

// A shard's own file, read as a whole.
class CheckpointShardFile : public StateReader {
 public:
  CheckpointShardFile(CheckpointReader reader, int shard)
      : reader_(std::move(reader)), file_(&reader_, shard) {}

  absl::Status Read(BlockId, const BlockContents& out) override {
    return file_.ReadNext(out.theta, out.arrays);
  }
  bool in_order() const override { return true; }

 private:
  const CheckpointReader reader_;
  ShardFileReader file_;
};

// Whether `blocks` are all the blocks of the first one's shard, when `total` blocks are divided into
// `shards`.
bool IsWholeShard(absl::Span<const BlockId> blocks, uint32_t shards, uint64_t total) {
  if (blocks.empty() || shards == 0) return false;
  const ShardMap map(shards);
  return blocks == absl::MakeConstSpan(map.BlocksOf(map.ShardOf(blocks[0]), total));
}

// Whether a checkpoint has the job's blocks, and of each what the job keeps.
bool HasArraysOf(const ShardConfig& job, const CheckpointReader& reader) {
  if (reader.array_names() != job.array_names || reader.block_sizes().size() != job.blocks.size())
    return false;
  for (size_t b = 0; b < job.blocks.size(); ++b) {
    const std::vector<uint64_t> sizes = ArraySizes(job, BlockId(b));
    if (reader.block_sizes()[b] != job.blocks[b].size) return false;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (reader.SizeOf(job.array_names[i], BlockId(b)) != sizes[i]) return false;
    }
  }
  return true;
}

class InitialState : public StateReader {
 public:
  // `weights`: θ as float32, or null when no parameter comes from it.
  InitialState(std::shared_ptr<const ShardConfig> job, std::unique_ptr<RandomAccessFile> weights)
      : job_(std::move(job)), weights_(std::move(weights)) {}

  absl::Status Read(BlockId block, const BlockContents& out) override {
    const BlockSpec& range = job_->blocks[block.value()];
    for (const ParameterInfo& parameter : job_->parameters) {
      const uint64_t begin = std::max(parameter.offset(), range.offset);
      const uint64_t end = std::min(parameter.offset() + ElementsOf(parameter), range.offset + range.size);
      if (begin >= end) continue;
      SHOAL_RETURN_IF_ERROR(Fill(parameter, begin, out.theta.subspan(begin - range.offset, end - begin)));
    }
    return absl::OkStatus();
  }

 private:
  // Fills in elements of θ from `begin` on, all of them part of `parameter`.
  absl::Status Fill(const ParameterInfo& parameter, uint64_t begin, absl::Span<float> out) {
    switch (parameter.init().kind()) {
      case Initializer::ONES:
        std::fill(out.begin(), out.end(), 1.0f);
        return absl::OkStatus();
      case Initializer::NORMAL:
        kernels::FillNormal(DeriveKey(job_->spec.seed(), parameter.name()), begin - parameter.offset(), 0,
                            parameter.init().stddev(), out);
        return absl::OkStatus();
      case Initializer::ARTIFACT:
        if (weights_ == nullptr)
          return absl::InvalidArgumentError(absl::StrCat(parameter.name(), ": the plan names no weights"));
        return weights_->Read(begin * sizeof(float),
                              {reinterpret_cast<char*>(out.data()), out.size() * sizeof(float)});
      default:
        std::fill(out.begin(), out.end(), 0.0f);
        return absl::OkStatus();
    }
  }

  const std::shared_ptr<const ShardConfig> job_;
  const std::unique_ptr<RandomAccessFile> weights_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StateReader>> RestoreSource::Open(const RestorePoint& restore,
                                                                 absl::Span<const BlockId> blocks) {
  if (restore.checkpoint().empty()) {
    std::unique_ptr<RandomAccessFile> weights;
    if (!job_->weights.name().empty()) {
      SHOAL_ASSIGN_OR_RETURN(const std::string path, fetch_(job_->weights, progress_));
      SHOAL_ASSIGN_OR_RETURN(weights, env_.NewRandomAccessFile(path));
    }
    return std::make_unique<InitialState>(job_, std::move(weights));
  }
  SHOAL_ASSIGN_OR_RETURN(CheckpointReader reader, CheckpointReader::Open(&env_, restore.checkpoint()));
  if (reader.manifest().version() != restore.version()) {
    return absl::DataLossError(absl::StrCat(restore.checkpoint(), " has version ",
                                            reader.manifest().version(), ", expected ", restore.version()));
  }
  if (!HasArraysOf(*job_, reader)) {
    return absl::FailedPreconditionError(absl::StrCat(
        restore.checkpoint(),
        " belongs to a different model or optimizer: its blocks have different sizes or moments"));
  }
  const int shards = reader.manifest().shards_size();
  if (!IsWholeShard(blocks, shards, job_->blocks.size()))
    return std::make_unique<CheckpointBlocks>(std::move(reader));
  return std::make_unique<CheckpointShardFile>(std::move(reader), static_cast<int>(blocks[0].value()));
}

}  // namespace shoal::server
