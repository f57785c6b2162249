// Products on AVX-512 registers: f32 by fused multiply-add, bf16 with f32 sums by AVX512-BF16 or on the tiles of AMX.
#include "Kernels.h"
#include "multiversion.h"
#include <string.h>

#if defined(__x86_64__)
#include "nf4_avx512.h"
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define LEVEL AVX512

enum { lanes = 16, most_vectors = 4, most_sums = 24 };  // panels of 32 KiB
typedef __m512 numbers;
typedef __m512i words;

INLINE AVX512 __mmask16 first_words(size_t count) { return (__mmask16)(count >= lanes ? 0xffff : (1u << count) - 1); }
INLINE AVX512 __mmask32 first_halves(size_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

INLINE AVX512 numbers zero(void) { return _mm512_setzero_ps(); }
INLINE AVX512 numbers all(float x) { return _mm512_set1_ps(x); }
INLINE AVX512 numbers load(const uint32_t *panel) { return _mm512_load_ps(panel); }
INLINE AVX512 numbers load_first(const float *x, size_t count) { return _mm512_maskz_loadu_ps(first_words(count), x); }
INLINE AVX512 void store_first(float *y, size_t count, numbers x) { _mm512_mask_storeu_ps(y, first_words(count), x); }
INLINE AVX512 numbers multiplied(numbers a, numbers b) { return _mm512_mul_ps(a, b); }
INLINE AVX512 numbers added(numbers a, numbers b) { return _mm512_add_ps(a, b); }
INLINE AVX512 numbers add_product(numbers a, numbers b, numbers sum) { return _mm512_fmadd_ps(a, b, sum); }
INLINE AVX512 words load_bytes(const char *x, size_t bytes) {
  return _mm512_maskz_loadu_epi8(bytes >= 64 ? ~0ull : (1ull << bytes) - 1, x);
}
INLINE AVX512 void store_words(uint32_t *panel, words x) { _mm512_store_si512(panel, x); }

/// Exchanges rows and columns of 16 × 16 words.
INLINE AVX512 void transpose(__m512i x[lanes]) {
  __m512i y[lanes];
  UNROLLED for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  UNROLLED for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  UNROLLED for (int i = 0; i < 4; i++) {  // 0x88 takes the even quarters of both, 0xdd the odd ones
    y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
    y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
    y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
    y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
  }
  UNROLLED for (int i = 0; i < 8; i++) {
    x[i] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88);
    x[i + 8] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0xdd);
  }
}

#include "products_panels.h"

/// Two rows of B become the pairs of one row of the panel. Loads are of whole lines: one that ends in the next strip
/// would wait for numbers that nobody asked for ahead, masked or not.
INLINE AVX512 void pack_along_bf16(const uint16_t *b, size_t stride, size_t n, size_t k, size_t columns,
                                   uint32_t *panel) {
  uint16_t order[2][32];
  for (uint16_t i = 0; i < 32; i++)
    for (uint16_t half = 0; half < 2; half++) order[half][i] = i % 2 * 32 + half * 16 + i / 2;
  const __m512i low = _mm512_loadu_si512(order[0]), high = _mm512_loadu_si512(order[1]);
  for (size_t depth = 0; depth < k; depth += 2)
    for (size_t column = 0; column < columns; column += 2 * lanes) {
      const __mmask32 mask = column < n ? first_halves(n - column) : 0;
      const __m512i even = _mm512_maskz_loadu_epi16(mask, b + depth * stride + column);
      const __m512i odd = _mm512_maskz_loadu_epi16(depth + 1 < k ? mask : 0, b + (depth + 1) * stride + column);
      uint32_t *to = panel + depth / 2 * columns + column;
      _mm512_store_si512(to, _mm512_permutex2var_epi16(even, low, odd));
      if (columns - column > lanes) _mm512_store_si512(to + lanes, _mm512_permutex2var_epi16(even, high, odd));
    }
}

INLINE BF16 void add_pairs(__m512 sums[most_rows][most_vectors], size_t rows, size_t vectors, const uint16_t *third[4],
                           size_t a_row, size_t bytes, const uint32_t *panel) {
  __m512bh b[most_vectors];
  UNROLLED for (size_t j = 0; j < vectors; j++) b[j] = (__m512bh)_mm512_load_si512(panel + j * lanes);
  UNROLLED for (size_t i = 0; i < rows; i++) {
    uint32_t bits = 0;
    memcpy(&bits, third[i / 3] + i % 3 * a_row, bytes);
    const __m512bh x = (__m512bh)_mm512_set1_epi32((int)bits);
    UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], x, b[j]);
  }
}

INLINE BF16 void block_bf16(size_t rows, size_t vectors, size_t n, size_t k, const uint16_t *a, size_t a_row,
                            size_t a_depth, const uint32_t *panel, const struct target *to, size_t row) {
  __m512 sums[most_rows][most_vectors];
  UNROLLED for (size_t i = 0; i < rows; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_setzero_ps();
  const uint16_t *third[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  APART(third);
  for (size_t depth = 0; depth + 1 < k; depth += 2, panel += vectors * lanes) {
    add_pairs(sums, rows, vectors, third, a_row, 4, panel);
    UNROLLED for (size_t i = 0; i < parts_of(rows, 3); i++) third[i] += 2;
  }
  if (k % 2) add_pairs(sums, rows, vectors, third, a_row, 2, panel);
  finish(sums, rows, vectors, n, to, row);
}

PANEL_PRODUCT(panel_product_bf16, BF16, uint16_t, block_bf16)

/// What runs of NF4 codes stand for: only they are not as the panels of bf16 products take them.
INLINE BF16 void read_runs_bf16(const struct mmd_term *term, size_t place, size_t stride, size_t runs, size_t length,
                                uint16_t *y) {
  nf4_runs_bf16(&term->nf4, term->nf4_first + place, stride, runs, length, y);
}

STRIP(strip_f32, AVX512, float, pack_along_f32, panel_product_f32, read_runs_f32)
STRIP(strip_bf16, BF16, uint16_t, pack_along_bf16, panel_product_bf16, read_runs_bf16)

MMD_PRODUCT(mmd_product_avx512) {
  sum_strips(strip_f32, strip_bf16, terms, count, m, n, scale, start, start_stride, c, c_stride, ahead);
}

bool mmd_has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool mmd_has_bf16(void) { return mmd_has_avx512() && __builtin_cpu_supports("avx512bf16"); }

#include "products_amx.h"

STRIP(strip_amx, AMX, uint16_t, pack_along_bf16, panel_product_amx, read_runs_bf16)

MMD_PRODUCT(mmd_product_amx) {
  sum_strips(strip_f32, strip_amx, terms, count, m, n, scale, start, start_stride, c, c_stride, ahead);
}

bool mmd_has_amx(void) {
  enum { ask_for_state = 0x1023, tile_data = 18 };  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a, b, c, d;
  if (!mmd_has_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool has_tiles = d >> 24 & 1, has_bf16 = d >> 22 & 1;
  return has_tiles && has_bf16 && syscall(SYS_arch_prctl, ask_for_state, tile_data) == 0;
}

#else

bool mmd_has_avx512(void) { return false; }
bool mmd_has_bf16(void) { return false; }
bool mmd_has_amx(void) { return false; }

MMD_PRODUCT(mmd_product_avx512) {
  __builtin_trap();  // callers ask first
}

MMD_PRODUCT(mmd_product_amx) {
  __builtin_trap();
}

#endif
