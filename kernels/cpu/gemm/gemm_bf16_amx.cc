// Inline assembly with named tiles, since it tells the compiler what memory it uses; the compiler's own
// intrinsics don't.
#include "kernels/cpu/gemm/gemm_bf16_amx.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/gemm/gemm_bf16_amx-inl.h"

namespace shoal::kernels {
namespace {

// Linux, Documentation/arch/x86/xstate.rst.
constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr int kTileData = 18;               // XFEATURE_XTILEDATA

// What LDTILECFG reads (Intel, Software Developer's Manual, volume 1, 18.3): all eight tiles have 16 rows of
// 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// Tiles 0 to 3 are sums, 4 and 5 rows of A, 6 and 7 columns of B.
class AmxTiles {
 public:
  AmxTiles() {
    const TileConfig config;
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~AmxTiles() { asm volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  void ZeroSums() {
    asm volatile(
        "tilezero %%tmm0\n\t"
        "tilezero %%tmm1\n\t"
        "tilezero %%tmm2\n\t"
        "tilezero %%tmm3" ::);
  }
  void LoadSums(const float* sums, int64_t stride) {
    asm volatile(
        "tileloadd (%0,%4,1), %%tmm0\n\t"
        "tileloadd (%1,%4,1), %%tmm1\n\t"
        "tileloadd (%2,%4,1), %%tmm2\n\t"
        "tileloadd (%3,%4,1), %%tmm3"
        :
        : "r"(sums), "r"(sums + 16), "r"(sums + 16 * stride), "r"(sums + 16 * stride + 16), "r"(4 * stride)
        : "memory");
  }
  void StoreSums(float* sums, int64_t stride) {
    asm volatile(
        "tilestored %%tmm0, (%0,%4,1)\n\t"
        "tilestored %%tmm1, (%1,%4,1)\n\t"
        "tilestored %%tmm2, (%2,%4,1)\n\t"
        "tilestored %%tmm3, (%3,%4,1)"
        :
        : "r"(sums), "r"(sums + 16), "r"(sums + 16 * stride), "r"(sums + 16 * stride + 16), "r"(4 * stride)
        : "memory");
  }
  // AT&T's order: B, A, sums.
  void Step(const Bf16* a, const Bf16* b) {
    asm volatile(
        "tileloadd (%0,%4,1), %%tmm4\n\t"
        "tileloadd (%2,%5,1), %%tmm6\n\t"
        "tileloadd (%3,%5,1), %%tmm7\n\t"
        "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
        "tileloadd (%1,%4,1), %%tmm5\n\t"
        "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
        "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
        "tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
        :
        : "r"(a), "r"(a + 16 * kGemmBlockK), "r"(b), "r"(b + kBf16PairColumns / 2),
          "r"(kGemmBlockK * static_cast<int64_t>(sizeof(Bf16))),
          "r"(kBf16PairColumns * static_cast<int64_t>(sizeof(Bf16)))
        : "memory");
  }
};

}  // namespace

bool StartAmx() { return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0; }

GemmKernel AmxBf16Kernel() { return AmxProduct<AmxTiles>::Kernel(); }

}  // namespace shoal::kernels
