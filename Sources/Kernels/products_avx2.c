// Products on AVX2 registers: f32 by fused multiply-add, to the bit as on those of AVX-512.
#include "Kernels.h"
#include "multiversion.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define LEVEL __attribute__((target("avx2,fma")))

enum { lanes = 8, most_vectors = 2, most_sums = 12 };  // panels of 8 KiB
typedef __m256 numbers;
typedef __m256i words;

/// All bits of the first `count` words.
INLINE LEVEL __m256i first_words(size_t count) {
  const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), place);
}

INLINE LEVEL numbers zero(void) { return _mm256_setzero_ps(); }
INLINE LEVEL numbers all(float x) { return _mm256_set1_ps(x); }
INLINE LEVEL numbers load(const uint32_t *panel) { return _mm256_load_ps((const float *)panel); }
INLINE LEVEL numbers load_first(const float *x, size_t count) {
  return count >= lanes ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, first_words(count));
}
INLINE LEVEL void store_first(float *y, size_t count, numbers x) {
  if (count >= lanes) _mm256_storeu_ps(y, x);
  else _mm256_maskstore_ps(y, first_words(count), x);
}
INLINE LEVEL numbers multiplied(numbers a, numbers b) { return _mm256_mul_ps(a, b); }
INLINE LEVEL numbers added(numbers a, numbers b) { return _mm256_add_ps(a, b); }
INLINE LEVEL numbers add_product(numbers a, numbers b, numbers sum) { return _mm256_fmadd_ps(a, b, sum); }
INLINE LEVEL words load_bytes(const char *x, size_t bytes) {  // whole words: B is f32
  if (bytes >= 32) return _mm256_loadu_si256((const __m256i *)x);
  return _mm256_maskload_epi32((const int *)x, first_words(bytes / 4));
}
INLINE LEVEL void store_words(uint32_t *panel, words x) { _mm256_store_si256((__m256i *)panel, x); }

/// Exchanges rows and columns of 8 × 8 words.
INLINE LEVEL void transpose(words x[lanes]) {
  __m256i y[lanes];
  for (int i = 0; i < 8; i += 2) {
    y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    x[i] = _mm256_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm256_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm256_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm256_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  for (int i = 0; i < 4; i++) {  // the lower halves of both, and the upper ones
    y[i] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x20);
    y[i + 4] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x31);
  }
  for (int i = 0; i < 8; i++) x[i] = y[i];
}

static void nf4_runs_f32(const struct mmd_nf4 *x, size_t first, size_t stride, size_t runs, size_t length, float *y) {
  for (size_t i = 0; i < runs; i++) mmd_nf4_read(x, first + i * stride, length, y + i * length, NULL);
}

#include "products_panels.h"

STRIP(strip_f32, LEVEL, float, pack_along_f32, panel_product_f32, read_runs_f32)

MMD_PRODUCT(mmd_product_avx2) {
  sum_strips(strip_f32, strip_f32, terms, count, m, n, scale, start, start_stride, c, c_stride, ahead);
}

bool mmd_has_avx2(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

bool mmd_has_avx2(void) { return false; }

MMD_PRODUCT(mmd_product_avx2) {
  __builtin_trap();  // callers ask first
}

#endif
