// The disks of a simulated cluster: checkpoints that survive their writers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"
#include "proto/checkpoint.pb.h"
#include "server/job_shard.h"
#include "server/state_source.h"

namespace shoal::simulation {

// What a checkpoint keeps of one block.
struct StoredBlock {
  std::vector<float> theta;
  std::vector<std::vector<float>> moments;
};

// Not thread-safe.
class SimulatedStorage {
 public:
  // A shard's file in <folder>/version-V.partial; replaces one that is there.
  CheckpointShard WriteShard(const std::string& folder, const server::ShardSnapshot& snapshot);
  // Errors: FAILED_PRECONDITION when a shard is missing.
  absl::StatusOr<std::string> Commit(const std::string& folder, const CheckpointManifest& manifest);
  void Delete(const std::string& folder, Version version);
  void DeletePartial(const std::string& folder);

  // A committed checkpoint, by block; null: there is none.
  const std::map<uint64_t, StoredBlock>* Find(const std::string& checkpoint) const;
  // SHA-256 of θ. Errors: NOT_FOUND.
  absl::StatusOr<std::string> ThetaSha256(const std::string& checkpoint) const;

 private:
  using Shards = std::map<std::string, std::map<uint64_t, StoredBlock>>;  // by file name
  std::map<std::string, Shards> partial_;                                 // by path
  std::map<std::string, std::map<uint64_t, StoredBlock>> committed_;      // by path
};

// Restore points of one job: the storage's checkpoints, or parameters that are a function of the block.
class SimulatedSource : public server::StateSource {
 public:
  explicit SimulatedSource(const SimulatedStorage* storage) : storage_(storage) {}
  absl::StatusOr<std::unique_ptr<server::StateReader>> Open(const RestorePoint& restore,
                                                            absl::Span<const BlockId> blocks) override;

 private:
  const SimulatedStorage* const storage_;
};

}  // namespace shoal::simulation
