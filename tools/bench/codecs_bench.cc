#include "tools/bench/codecs_bench.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/base/crc32c.h"
#include "common/base/thread_pool.h"
#include "common/base/wire.h"
#include "common/protocol/blocks.h"
#include "tools/bench/json_line.h"
#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

// Elements processed in one timed run, when the arrays stay in a cache.
constexpr uint64_t kTimedElements = uint64_t{1} << 26;

// The data of one thread.
struct Arrays {
  std::vector<float> values;
  std::vector<uint8_t> wire;
  std::vector<char> from, to;  // of the copy
  uint32_t crc = 0;

  explicit Arrays(uint64_t elements) : values(elements), wire(2 * elements) {
    for (uint64_t i = 0; i < elements; ++i) values[i] = 0.001f * static_cast<float>(i % 1999);
  }
};

struct Op {
  const char* name;
  uint64_t bytes_per_element;  // read and written
  void (*run)(WireFormat format, Arrays& arrays);
};

const Op kOps[] = {
    {"encode", 6, [](WireFormat format, Arrays& a) { Encode(format, a.values, absl::MakeSpan(a.wire)); }},
    {"decode", 6, [](WireFormat format, Arrays& a) { Decode(format, a.wire, absl::MakeSpan(a.values)); }},
    {"decode_add", 10,
     [](WireFormat format, Arrays& a) { DecodeAddRoundToWire(format, a.wire, absl::MakeSpan(a.values)); }},
    {"crc32c", 2, [](WireFormat, Arrays& a) { a.crc = ExtendCrc32c(a.crc, a.wire); }},
};

struct Case {
  WireFormat format;
  uint64_t elements;  // per thread
  bool in_cache;
};

// Seconds of fn(thread's arrays) on all threads, for all elements once.
double Measure(ThreadPool& pool, std::vector<Arrays>& arrays, const CodecsOptions& options,
               absl::FunctionRef<void(Arrays&)> fn) {
  const uint64_t passes = std::max<uint64_t>(1, kTimedElements / arrays[0].values.size());
  const double seconds = BestSeconds(options.repeats, [&] {
    pool.ParallelFor(static_cast<int64_t>(arrays.size()), [&](int64_t item, int) {
      for (uint64_t pass = 0; pass < passes; ++pass) fn(arrays[item]);
    });
  });
  return seconds / static_cast<double>(passes);
}

void RunCase(const CodecsOptions& options, ThreadPool& pool, const Case& at, const Op& op) {
  std::vector<Arrays> arrays(pool.threads(), Arrays(at.elements));
  for (Arrays& of_thread : arrays) Encode(at.format, of_thread.values, absl::MakeSpan(of_thread.wire));
  const double seconds = Measure(pool, arrays, options, [&](Arrays& a) { op.run(at.format, a); });
  const uint64_t copied = op.bytes_per_element * at.elements / 2;  // each byte is read and written
  for (Arrays& of_thread : arrays) {
    of_thread.from.assign(copied, 'x');
    of_thread.to.assign(copied, 'y');
  }
  const double copy_seconds =
      Measure(pool, arrays, options, [&](Arrays& a) { std::memcpy(a.to.data(), a.from.data(), copied); });
  const double gigabytes = 2e-9 * static_cast<double>(copied * arrays.size());
  JsonLine("codecs")
      .Text("wire", at.format == WIRE_FORMAT_BF16 ? "bf16" : "f16")
      .Text("op", op.name)
      .Text("size", at.in_cache ? "block" : "memory")
      .Integer("threads", pool.threads())
      .Number("gigabytes_per_second", gigabytes / seconds)
      .Number("copy_gigabytes_per_second", gigabytes / copy_seconds)
      .Number("of_copy", copy_seconds / seconds)
      .Print();
}

}  // namespace

absl::Status RunCodecs(const CodecsOptions& options) {
  const uint64_t large = static_cast<uint64_t>(options.mib) << 18;
  for (int threads : std::set<int>{1, options.threads}) {
    ThreadPool pool(threads);
    for (WireFormat format : {WIRE_FORMAT_BF16, WIRE_FORMAT_F16}) {
      for (const Case& at : {Case{format, kMaxBlockElements, true}, Case{format, large, false}}) {
        for (const Op& op : kOps) RunCase(options, pool, at, op);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal::bench
