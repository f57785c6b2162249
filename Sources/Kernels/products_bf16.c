// Products of bf16 matrices with f32 sums, by two ways: the processor's own bf16 instruction, and f32 products of
// widened panels where there is none. A product of two bf16 numbers is exact in f32, so both round only their sums.
#include "Kernels.h"
#include "multiversion.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

bool mmd_has_bf16(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// vdpbf16ps adds two products to each of 16 sums, so B is brought into panels of pairs along k:
// panel[k / 2][64 columns][2]. A panel fits the first cache with room for A, which is read where it lies.
enum {
  block_rows = 6,      // 6 × 64 sums stay in registers: 24 of 32
  block_columns = 64,
  lanes = 16,          // sums, or pairs, in a register
  vectors = block_columns / lanes,
  panel_depth = 256,
};

INLINE BF16 __mmask32 first_halves(size_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

/// Exchanges rows and columns of 16 × 16 pairs.
INLINE BF16 void transpose(__m512i x[lanes]) {
  __m512i y[lanes];
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  for (int i = 0; i < 4; i++) {  // 0x88 takes the even quarters of both, 0xdd the odd ones
    y[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
    y[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
    y[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
    y[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; i++) {
    x[i] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0x88);
    x[i + 8] = _mm512_shuffle_i32x4(y[i], y[i + 8], 0xdd);
  }
}

/// The panel of B where B is stored as [n, k]; what lies beyond n or k is zero.
BF16 static void pack_rows(const uint16_t *b, size_t stride, size_t n, size_t k, uint16_t *panel) {
  for (size_t column = 0; column < block_columns; column += lanes)
    for (size_t depth = 0; depth < k; depth += 2 * lanes) {
      const __mmask32 mask = first_halves(k - depth);
      __m512i x[lanes];
      for (size_t i = 0; i < lanes; i++)
        x[i] = column + i < n ? _mm512_maskz_loadu_epi16(mask, b + (column + i) * stride + depth)
                              : _mm512_setzero_si512();
      transpose(x);
      // The panel has room for whole registers: panel_depth is a multiple of 2 · lanes.
      for (size_t i = 0; i < lanes; i++)
        _mm512_store_si512(panel + (depth / 2 + i) * 2 * block_columns + 2 * column, x[i]);
    }
}

/// The panel of B where B is stored as [k, n]; what lies beyond n or k is zero.
BF16 static void pack_columns(const uint16_t *b, size_t stride, size_t n, size_t k, uint16_t *panel) {
  uint16_t low[32], high[32];
  for (uint16_t i = 0; i < lanes; i++) {
    low[2 * i] = i, low[2 * i + 1] = 32 + i;
    high[2 * i] = lanes + i, high[2 * i + 1] = 32 + lanes + i;
  }
  const __m512i from_low = _mm512_loadu_si512(low), from_high = _mm512_loadu_si512(high);
  for (size_t depth = 0; depth < k; depth += 2)
    for (size_t column = 0; column < block_columns; column += 32) {
      const __mmask32 mask = column < n ? first_halves(n - column) : 0;
      const __m512i even = _mm512_maskz_loadu_epi16(mask, b + depth * stride + column);
      const __m512i odd = _mm512_maskz_loadu_epi16(depth + 1 < k ? mask : 0, b + (depth + 1) * stride + column);
      uint16_t *to = panel + depth * block_columns + 2 * column;
      _mm512_store_si512(to, _mm512_permutex2var_epi16(even, from_low, odd));
      _mm512_store_si512(to + 32, _mm512_permutex2var_epi16(even, from_high, odd));
    }
}

/// sums[rows, 64] += pairs of A's column · one row of pairs of the panel; `pair` bytes of A are there.
INLINE BF16 void add_pairs(__m512 sums[block_rows][vectors], size_t rows, const uint16_t *a, size_t a_stride,
                           size_t pair, const uint16_t *panel) {
  __m512bh b[vectors];
  for (size_t j = 0; j < vectors; j++) b[j] = (__m512bh)_mm512_load_si512(panel + j * 2 * lanes);
  for (size_t i = 0; i < rows; i++) {
    uint32_t bits = 0;
    memcpy(&bits, a + i * a_stride, pair);
    const __m512bh x = (__m512bh)_mm512_set1_epi32((int)bits);
    for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], x, b[j]);
  }
}

/// C[rows, n ≤ 64] = scale · A[rows, k] · panel (+ C). Rows are a constant where this is inlined.
INLINE BF16 void block(size_t rows, size_t n, size_t k, float scale, const uint16_t *a, size_t a_stride,
                       const uint16_t *panel, bool adds, float *c, size_t c_stride) {
  __m512 sums[block_rows][vectors];
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < vectors; j++) {
      sums[i][j] = _mm512_setzero_ps();
      if (j * lanes < n) __builtin_prefetch(c + i * c_stride + j * lanes, 1, 3);
    }
  for (size_t depth = 0; depth + 1 < k; depth += 2)
    add_pairs(sums, rows, a + depth, a_stride, 2 * sizeof *a, panel + depth * block_columns);
  if (k % 2) add_pairs(sums, rows, a + k - 1, a_stride, sizeof *a, panel + (k - 1) * block_columns);

  const __m512 scales = _mm512_set1_ps(scale);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < vectors && j * lanes < n; j++) {
      const __mmask16 mask = (__mmask16)first_halves(n - j * lanes);
      float *to = c + i * c_stride + j * lanes;
      const __m512 y = adds ? _mm512_fmadd_ps(sums[i][j], scales, _mm512_maskz_loadu_ps(mask, to))
                            : _mm512_mul_ps(sums[i][j], scales);
      _mm512_mask_storeu_ps(to, mask, y);
    }
}

/// One panel of B: `rows` rows of `width` numbers as they lie in memory.
struct panel_source {
  const uint16_t *at;
  size_t rows, width;
};

INLINE struct panel_source panel_source(bool transpose_b, const uint16_t *b, size_t stride, size_t column, size_t depth,
                                        size_t n, size_t k) {
  return transpose_b ? (struct panel_source){b + column * stride + depth, n, k}
                     : (struct panel_source){b + depth * stride + column, k, n};
}

/// Asks for part `part` of `parts` of a panel that is packed next, so that B comes from memory during sums.
INLINE BF16 void prefetch(struct panel_source next, size_t stride, size_t part, size_t parts) {
  for (size_t row = next.rows * part / parts; row < next.rows * (part + 1) / parts; row++)
    for (size_t i = 0; i < next.width; i += 32) __builtin_prefetch(next.at + row * stride + i, 0, 2);
}

INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }

BF16 void mmd_product_bf16(bool transpose_b, size_t m, size_t n, size_t k, float scale, const uint16_t *a,
                           size_t a_stride, const uint16_t *b, size_t b_stride, bool adds, float *c, size_t c_stride) {
  _Alignas(64) uint16_t panel[panel_depth * block_columns];
  const size_t cuts = (k + panel_depth - 1) / panel_depth;  // equal parts of k, in whole registers
  const size_t most = ((k + cuts - 1) / cuts + 2 * lanes - 1) / (2 * lanes) * (2 * lanes);
  const size_t parts = (m + block_rows - 1) / block_rows;
  for (size_t column = 0; column < n; column += block_columns)
    for (size_t depth = 0; depth < k; depth += most) {
      const size_t width = least(n - column, block_columns), deep = least(k - depth, most);
      const struct panel_source here = panel_source(transpose_b, b, b_stride, column, depth, width, deep);
      if (transpose_b) pack_rows(here.at, b_stride, width, deep, panel);
      else pack_columns(here.at, b_stride, width, deep, panel);

      const bool last = depth + most >= k;
      const size_t next_column = last ? column + block_columns : column, next_depth = last ? 0 : depth + most;
      struct panel_source next = {b, 0, 0};
      if (next_column < n)
        next = panel_source(transpose_b, b, b_stride, next_column, next_depth, least(n - next_column, block_columns),
                            least(k - next_depth, most));

      for (size_t part = 0; part < parts; part++) {
        prefetch(next, b_stride, part, parts);
        const size_t row = part * block_rows;
        const uint16_t *x = a + row * a_stride + depth;
        float *y = c + row * c_stride + column;
#define BLOCK(rows) block(rows, width, deep, scale, x, a_stride, panel, adds || depth > 0, y, c_stride)
        switch (least(m - row, block_rows)) {
        case 1: BLOCK(1); break;
        case 2: BLOCK(2); break;
        case 3: BLOCK(3); break;
        case 4: BLOCK(4); break;
        case 5: BLOCK(5); break;
        default: BLOCK(6); break;
        }
#undef BLOCK
      }
    }
}

#else

bool mmd_has_bf16(void) { return false; }

void mmd_product_bf16(bool transpose_b, size_t m, size_t n, size_t k, float scale, const uint16_t *a, size_t a_stride,
                      const uint16_t *b, size_t b_stride, bool adds, float *c, size_t c_stride) {
  __builtin_trap();  // callers ask mmd_has_bf16 first
}

#endif

// --- widened ----------------------------------------------------------------------------------

enum { widened_depth = 512 };

size_t mmd_product_bf16_widened_scratch(size_t m, size_t n, size_t k) {
  return (m + n) * (k < widened_depth ? k : widened_depth);
}

/// to[rows, width] = from[rows, width] in f32, without gaps.
static void widen(const uint16_t *from, size_t stride, size_t rows, size_t width, float *to) {
  for (size_t row = 0; row < rows; row++) mmd_bf16_to_f32(from + row * stride, to + row * width, width);
}

void mmd_product_bf16_widened(bool transpose_b, size_t m, size_t n, size_t k, float scale, const uint16_t *a,
                              size_t a_stride, const uint16_t *b, size_t b_stride, bool adds, float *c, size_t c_stride,
                              float *scratch) {
  for (size_t depth = 0; depth < k; depth += widened_depth) {
    const size_t deep = k - depth < widened_depth ? k - depth : widened_depth;
    float *wide_a = scratch, *wide_b = scratch + m * deep;
    widen(a + depth, a_stride, m, deep, wide_a);
    if (transpose_b) widen(b + depth, b_stride, n, deep, wide_b);
    else widen(b + depth * b_stride, b_stride, deep, n, wide_b);
    mmd_product(false, transpose_b, (int)m, (int)n, (int)deep, scale, wide_a, (int)deep, wide_b,
                (int)(transpose_b ? deep : n), adds || depth > 0 ? 1 : 0, c, (int)c_stride);
  }
}
