// Where kernels run, as models and the worker see it. Each backend has a device of its own
// (kernels/cpu/cpu_device.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "kernels/bf16_class.h"
#include "kernels/op_profile.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// What a device has done since it was created; a planned program leaves these unchanged after its first
// steps.
struct DeviceCounters {
  int64_t primitives_created = 0;   // that a library made for a shape
  int64_t scratch_allocations = 0;  // times that scratch memory grew
};

// A block of a device's memory, freed with the object.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // The address of the byte at `offset_bytes`, which must be inside (or at the end). It is for tensors: only
  // the device's kernels may read or write there.
  std::byte* At(int64_t offset_bytes) const {
    SHOAL_CHECK(offset_bytes >= 0 && offset_bytes <= size_bytes_);
    return begin_ + offset_bytes;
  }
  int64_t size_bytes() const { return size_bytes_; }

 protected:
  DeviceMemory(std::byte* begin, int64_t size_bytes) : begin_(begin), size_bytes_(size_bytes) {}

 private:
  std::byte* const begin_;
  const int64_t size_bytes_;
};

// Owned by one compute thread; kernels take it as their first argument, and only one kernel runs on it at a
// time.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual DeviceKind kind() const = 0;

  // Memory for tensors, aligned to kMemoryAlignment_bytes (common/base/large_memory.h), contents undefined.
  // Throws a std::bad_alloc that says how much was requested. The device must outlive it.
  virtual std::unique_ptr<DeviceMemory> Allocate(int64_t size_bytes) = 0;

  // Whether the device computes bf16 products of this class. The first call for a class may take
  // milliseconds.
  virtual bool Computes(Bf16Class bf16_class) = 0;
  // Sets the class of the products that follow; avx512-bf16 at first. Call it between kernels. Errors:
  // FAILED_PRECONDITION with the reason, for a class that the device does not compute.
  virtual absl::Status UseBf16Class(Bf16Class bf16_class) = 0;
  virtual Bf16Class bf16_class() const = 0;

  // Call it between kernels, at the end of a pass: scratch memory that grew by chance on one thread grows on
  // all, so that the next pass allocates nothing.
  virtual void EvenOutScratch() = 0;

  // One line for the log: what computes, and how.
  virtual std::string Describe() const = 0;
  virtual DeviceCounters counters() const = 0;

  // Kernels add their time and work to `profile` until another one or null is set. It must live until then.
  void set_profile(OpProfile* profile) { profile_ = profile; }
  OpProfile* profile() const { return profile_; }

 protected:
  Device() = default;

 private:
  OpProfile* profile_ = nullptr;
};

}  // namespace shoal::kernels
