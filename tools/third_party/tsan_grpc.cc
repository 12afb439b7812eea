// Under --config=tsan: tells ThreadSanitizer what gRPC orders, since Debian's libgrpc is built without it and
// passes calls from thread to thread without a lock: the thread that takes an operation out of a completion
// queue sees what was written before the operation began. The tag identifies the operation at both ends.
//
// Each definition here overrides the library's and calls it. What remains, inside gRPC's own headers, is in
// tests/tsan_suppressions.txt.
#if defined(__SANITIZE_THREAD__)

#include <dlfcn.h>
#include <time.h>

#include <cstddef>
#include <cstdint>

#include "sanitizer/tsan_interface.h"

namespace {

// As in <grpc/grpc.h>, which not every test can include.
struct TimeSpec {
  int64_t seconds;
  int32_t nanoseconds;
  int clock;
};
struct Event {
  int type;
  int success;
  void* tag;
};

template <typename Function>
Function Real(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, symbol));
}

// Tags need not be addresses. Two tags that share a place occasionally hide a race between them.
void* PlaceOf(const void* tag) {
  static char places[1 << 16];
  return &places[(reinterpret_cast<uintptr_t>(tag) * 0x9E3779B97F4A7C15u) >> 48];
}

Event Seen(Event event) {
  __tsan_acquire(PlaceOf(event.tag));
  return event;
}

}  // namespace

extern "C" {

int grpc_call_start_batch(void* call, const void* operations, size_t count, void* tag, void* reserved) {
  static const auto real = Real<decltype(&grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(PlaceOf(tag));
  return real(call, operations, count, tag, reserved);
}

Event grpc_completion_queue_next(void* queue, TimeSpec deadline, void* reserved) {
  static const auto real = Real<decltype(&grpc_completion_queue_next)>("grpc_completion_queue_next");
  return Seen(real(queue, deadline, reserved));
}

Event grpc_completion_queue_pluck(void* queue, void* tag, TimeSpec deadline, void* reserved) {
  static const auto real = Real<decltype(&grpc_completion_queue_pluck)>("grpc_completion_queue_pluck");
  return Seen(real(queue, tag, deadline, reserved));
}

}  // extern "C"

#endif
