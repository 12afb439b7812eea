#include "kernels/cpu/gemm/onednn_gemm.h"

#include <omp.h>

#include <atomic>
#include <unordered_map>

#include "absl/container/flat_hash_map.h"
#include "common/base/status.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace shoal::kernels {
namespace {

dnnl::memory::data_type TypeOf(DType type) {
  SHOAL_CHECK(type == DType::kF32 || type == DType::kBf16);
  return type == DType::kF32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

dnnl::memory::desc Describe(int64_t rows, int64_t columns, int64_t stride, bool transposed, DType type) {
  return {{rows, columns},
          TypeOf(type),
          transposed ? dnnl::memory::dims{1, stride} : dnnl::memory::dims{stride, 1}};
}

dnnl::matmul::primitive_desc DescribeMatmul(const MatmulShape& shape, const dnnl::engine& engine) {
  dnnl::primitive_attr attributes;
  if (shape.add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc matmul(Describe(shape.m, shape.k, shape.lda, shape.trans_a, shape.in),
                                  Describe(shape.k, shape.n, shape.ldb, shape.trans_b, shape.in),
                                  Describe(shape.m, shape.n, shape.ldc, false, shape.out));
  return {matmul, attributes, engine};
}

// A primitive with the arguments of its next call, so that a call only sets three pointers.
struct Matmul {
  Matmul(const MatmulShape& shape, const dnnl::engine& engine) {
    const auto description = DescribeMatmul(shape, engine);
    primitive = dnnl::matmul(description);
    a = dnnl::memory(description.src_desc(), engine, nullptr);
    b = dnnl::memory(description.weights_desc(), engine, nullptr);
    c = dnnl::memory(description.dst_desc(), engine, nullptr);
    arguments = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
  }

  dnnl::matmul primitive;
  dnnl::memory a, b, c;
  std::unordered_map<int, dnnl::memory> arguments;
};

dnnl::cpu_isa LimitOf(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core_vnni;
    case Isa::kAvx512Bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case Isa::kAmxBf16:
      return dnnl::cpu_isa::avx512_core_amx;
  }
  return dnnl::cpu_isa::all;
}

}  // namespace

class OnednnGemm::Cache {
 public:
  Cache() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

  Matmul& Find(const MatmulShape& shape) {
    auto found = matmuls_.find(shape);
    if (found == matmuls_.end()) {
      found = matmuls_.emplace(shape, std::make_unique<Matmul>(shape, engine_)).first;
      ++created_;
    }
    return *found->second;
  }
  dnnl::stream& stream() { return stream_; }
  int64_t created() const { return created_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  absl::flat_hash_map<MatmulShape, std::unique_ptr<Matmul>> matmuls_;
  std::atomic<int64_t> created_{0};
};

OnednnGemm::OnednnGemm(int threads, Isa isa) {
  dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(LimitOf(isa)));
  for (int i = 0; i < threads; ++i) caches_.push_back(std::make_unique<Cache>());
}

OnednnGemm::~OnednnGemm() = default;

void OnednnGemm::Multiply(int thread, const MatmulShape& shape, const void* a, const void* b, void* c) {
  // For the OpenMP regions of this thread: otherwise oneDNN would start threads besides ours.
  omp_set_num_threads(1);
  Cache& cache = *caches_[thread];
  Matmul& matmul = cache.Find(shape);
  matmul.a.set_data_handle(const_cast<void*>(a));
  matmul.b.set_data_handle(const_cast<void*>(b));
  matmul.c.set_data_handle(c);
  matmul.primitive.execute(cache.stream(), matmul.arguments);
}

int64_t OnednnGemm::primitives_created() const {
  int64_t sum = 0;
  for (const auto& cache : caches_) sum += cache->created();
  return sum;
}

}  // namespace shoal::kernels
