// Products on AVX-512 registers: f32 by fused multiply-add, bf16 by the processor's own instruction with f32 sums.
//
// B is brought into panels that fit the first caches, NF4 codes as the numbers that they stand for; A is read where it
// lies. Every element of C is summed along k in one order, which depends on k alone: neither on its row and column nor on
// how C was cut into tiles.
#include "Kernels.h"
#include "multiversion.h"
#include <string.h>

#if defined(__x86_64__)
#include "nf4_avx512.h"
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

bool mmd_has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool mmd_has_bf16(void) { return mmd_has_avx512() && __builtin_cpu_supports("avx512bf16"); }

/// Rows and registers of a block are constants where it is inlined; its sums stay in registers only when all is unrolled.
#define UNROLLED _Pragma("clang loop unroll(full)")

enum {
  lanes = 16,                  // sums in a register
  most_vectors = 4,            // registers across a block
  most_columns = most_vectors * lanes,
  most_rows = 12,
  panel_depth = 128,           // words along k: a panel of 32 KiB; an f32, or a pair of bf16 numbers along k, is a word
};

INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t parts_of(size_t total, size_t size) { return (total + size - 1) / size; }
INLINE AVX512 __mmask16 first_words(size_t count) { return (__mmask16)(count >= lanes ? 0xffff : (1u << count) - 1); }
INLINE AVX512 __mmask32 first_halves(size_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

// --- panels: panel[depth][columns] of words, columns a multiple of 16, zero beyond B -----------------------------

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

/// 16 runs of up to 16 words (bytes at a time where the last word is half) become 16 columns; runs beyond `n` are zero.
INLINE AVX512 void pack_square(const char *from, size_t stride_bytes, size_t n, __mmask64 bytes, uint32_t *to,
                               size_t columns) {
  __m512i x[lanes];
  UNROLLED for (size_t i = 0; i < lanes; i++)
    x[i] = _mm512_maskz_loadu_epi8(i < n ? bytes : 0, from + i * stride_bytes);
  transpose(x);
  UNROLLED for (size_t i = 0; i < lanes; i++) _mm512_store_si512(to + i * columns, x[i]);
}

/// B is stored by columns: `n` runs of `bytes` bytes. The panel has room for whole registers of words.
AVX512 static void pack_across(const char *b, size_t stride_bytes, size_t n, size_t bytes, size_t columns,
                               uint32_t *panel) {
  for (size_t column = 0; column < columns; column += lanes)
    for (size_t depth = 0; depth < bytes; depth += 4 * lanes) {
      const char *from = b + column * stride_bytes + depth;
      uint32_t *to = panel + depth / 4 * columns + column;
      if (n - column >= lanes && bytes - depth >= 4 * lanes) {
        pack_square(from, stride_bytes, lanes, ~0ull, to, columns);
      } else {
        const size_t left = least(bytes - depth, 4 * lanes);
        pack_square(from, stride_bytes, n - column, left == 64 ? ~0ull : (1ull << left) - 1, to, columns);
      }
    }
}

/// B is stored by rows: `k` runs of `n` numbers.
INLINE AVX512 void pack_along_f32(const float *b, size_t stride, size_t n, size_t k, size_t columns, uint32_t *panel) {
  for (size_t depth = 0; depth < k; depth++)
    for (size_t column = 0; column < columns; column += lanes) {
      const __mmask16 mask = column < n ? first_words(n - column) : 0;
      _mm512_store_si512(panel + depth * columns + column, _mm512_maskz_loadu_epi32(mask, b + depth * stride + column));
    }
}

/// Two rows of B become the pairs of one row of the panel.
INLINE AVX512 void pack_along_bf16(const uint16_t *b, size_t stride, size_t n, size_t k, size_t columns,
                                   uint32_t *panel) {
  uint16_t order[32];
  for (uint16_t i = 0; i < lanes; i++) order[2 * i] = i, order[2 * i + 1] = 32 + i;
  const __m512i pairs = _mm512_loadu_si512(order);
  for (size_t depth = 0; depth < k; depth += 2)
    for (size_t column = 0; column < columns; column += lanes) {
      const __mmask32 mask = column < n ? first_halves(least(n - column, lanes)) : 0;
      const __m512i even = _mm512_maskz_loadu_epi16(mask, b + depth * stride + column);
      const __m512i odd = _mm512_maskz_loadu_epi16(depth + 1 < k ? mask : 0, b + (depth + 1) * stride + column);
      _mm512_store_si512(panel + depth / 2 * columns + column, _mm512_permutex2var_epi16(even, pairs, odd));
    }
}

// --- blocks: rows × (vectors · 16) sums in registers -------------------------------------------------------------

/// Where a block of C starts from and goes to.
struct target {
  const float *start;  // NULL: zero
  size_t start_stride;
  float *c;
  size_t c_stride;
  float scale;
};

INLINE AVX512 void finish(__m512 sums[most_rows][most_vectors], size_t rows, size_t vectors, size_t n,
                          const struct target *to, size_t row) {
  const __m512 scale = _mm512_set1_ps(to->scale);
  UNROLLED for (size_t j = 0; j < vectors; j++) {
    const __mmask16 mask = j + 1 < vectors ? 0xffff : first_words(n - j * lanes);
    UNROLLED for (size_t i = 0; i < rows; i++) {
      float *y = to->c + (row + i) * to->c_stride + j * lanes;
      const __m512 sum = _mm512_mul_ps(sums[i][j], scale);
      if (to->start) {
        const float *x = to->start + (row + i) * to->start_stride + j * lanes;
        _mm512_mask_storeu_ps(y, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, x), sum));
      } else {
        _mm512_mask_storeu_ps(y, mask, sum);
      }
    }
  }
}

INLINE AVX512 void block_f32(size_t rows, size_t vectors, size_t n, size_t k, const float *a, size_t a_row,
                             size_t a_depth, const uint32_t *panel, const struct target *to, size_t row) {
  __m512 sums[most_rows][most_vectors];
  UNROLLED for (size_t i = 0; i < rows; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_setzero_ps();
  // Rows are reached from every third one, which keeps addresses in registers.
  const float *third[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  for (size_t depth = 0; depth < k; depth++, panel += vectors * lanes) {
    __m512 b[most_vectors];
    UNROLLED for (size_t j = 0; j < vectors; j++) b[j] = _mm512_load_ps(panel + j * lanes);
    UNROLLED for (size_t i = 0; i < rows; i++) {
      const __m512 x = _mm512_set1_ps(third[i / 3][i % 3 * a_row]);
      UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_fmadd_ps(x, b[j], sums[i][j]);
    }
    UNROLLED for (size_t i = 0; i < parts_of(rows, 3); i++) third[i] += a_depth;
  }
  finish(sums, rows, vectors, n, to, row);
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
  for (size_t depth = 0; depth + 1 < k; depth += 2, panel += vectors * lanes) {
    add_pairs(sums, rows, vectors, third, a_row, 4, panel);
    UNROLLED for (size_t i = 0; i < parts_of(rows, 3); i++) third[i] += 2;
  }
  if (k % 2) add_pairs(sums, rows, vectors, third, a_row, 2, panel);
  finish(sums, rows, vectors, n, to, row);
}

/// All rows of C below one panel: in blocks of as many rows as leave registers for B.
#define ROWS(block, vectors, most)                                                                                     \
  for (; m - row >= most; row += most) {                                                                               \
    prefetch(next, next_rows * row / m, next_rows * (row + most) / m, next_stride, next_bytes);                        \
    block(most, vectors, n, k, a + row * a_row, a_row, a_depth, panel, to, row);                                       \
  }                                                                                                                    \
  for (; m - row >= 4; row += 4) block(4, vectors, n, k, a + row * a_row, a_row, a_depth, panel, to, row);             \
  if (m - row >= 2) {                                                                                                  \
    block(2, vectors, n, k, a + row * a_row, a_row, a_depth, panel, to, row);                                          \
    row += 2;                                                                                                          \
  }                                                                                                                    \
  if (m > row) block(1, vectors, n, k, a + row * a_row, a_row, a_depth, panel, to, row);

/// Asks for some rows of the part of B that is packed next, so that it comes from memory during sums.
INLINE AVX512 void prefetch(const char *next, size_t from, size_t to, size_t stride, size_t bytes) {
  for (size_t row = from; row < to; row++)
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(next + row * stride + i, 0, 2);
}

#define PANEL_PRODUCT(name, target_level, type, block)                                                                 \
  target_level static void name(size_t m, size_t n, size_t k, const type *a, size_t a_row, size_t a_depth,             \
                                const uint32_t *panel, const struct target *to, const char *next, size_t next_rows,    \
                                size_t next_stride, size_t next_bytes) {                                               \
    size_t row = 0;                                                                                                    \
    switch (parts_of(n, lanes)) {                                                                                      \
    case 1: ROWS(block, 1, 12) break;                                                                                  \
    case 2: ROWS(block, 2, 12) break;                                                                                  \
    case 3: ROWS(block, 3, 8) break;                                                                                   \
    default: ROWS(block, 4, 6) break;                                                                                  \
    }                                                                                                                  \
  }

PANEL_PRODUCT(panel_product_f32, AVX512, float, block_f32)
PANEL_PRODUCT(panel_product_bf16, BF16, uint16_t, block_bf16)

// --- products ------------------------------------------------------------------------------------------------------

/// Bytes of `count` numbers of B that follow each other.
INLINE size_t stored_bytes(const struct mmd_term *term, size_t count) {
  return term->nf4.codes ? count / 2 : count * (term->is_half ? 2 : 4);
}

/// Where number `place` of B lies.
INLINE const char *stored_at(const struct mmd_term *term, size_t place) {
  if (term->nf4.codes) return (const char *)term->nf4.codes + (term->nf4_first + place) / 2;
  return (const char *)term->b.at + stored_bytes(term, place);
}

/// How much of k a panel takes: equal parts, in whole registers of words.
INLINE size_t equal_depth(size_t k, size_t most, size_t multiple) {
  return parts_of(parts_of(k, parts_of(k, most)), multiple) * multiple;
}

/// One strip of C, n columns from `column` on, plus one term; panels are taken along k.
#define STRIP(name, target_level, type, pack_along, panel_product, nf4_runs)                                           \
  target_level static void name(const struct mmd_term *term, size_t m, size_t column, size_t n, size_t after,          \
                                uint32_t *panel, struct target to) {                                                   \
    enum { in_word = 4 / sizeof(type) };                                                                               \
    type decoded[in_word * panel_depth * most_columns];                                                                \
    const struct mmd_matrix a = term->a, b = term->b;                                                                  \
    const bool across = b.row_stride == 1; /* B is stored by columns */                                                \
    const size_t k = term->k, stride = across ? b.column_stride : b.row_stride;                                        \
    const size_t step = equal_depth(k, in_word * panel_depth, in_word * lanes);                                        \
    const size_t columns = parts_of(n, lanes) * lanes;                                                                 \
    for (size_t depth = 0; depth < k; depth += step) {                                                                 \
      const size_t deep = least(k - depth, step);                                                                      \
      const size_t place = column * b.column_stride + depth * b.row_stride;                                            \
      const type *from = (const type *)b.at + place;                                                                   \
      size_t gap = stride;                                                                                             \
      if (term->nf4.codes) {                                                                                           \
        gap = across ? deep : n;                                                                                       \
        nf4_runs(&term->nf4, term->nf4_first + place, stride, across ? n : deep, gap, decoded);                        \
        from = decoded;                                                                                                \
      }                                                                                                                \
      if (across) pack_across((const char *)from, gap * sizeof(type), n, deep * sizeof(type), columns, panel);         \
      else pack_along(from, gap, n, deep, columns, panel);                                                             \
      /* What is packed next: the rest of this strip, then the next one. */                                            \
      const bool last = depth + step >= k;                                                                             \
      const size_t next_width = last ? after : n, next_deep = last ? least(k, step) : least(k - depth - step, step);   \
      const size_t next = (last ? column + n : column) * b.column_stride + (last ? 0 : depth + step) * b.row_stride;   \
      panel_product(m, n, deep, (const type *)a.at + depth * a.column_stride, a.row_stride, a.column_stride, panel,    \
                    &to, stored_at(term, next), across || !next_width ? next_width : next_deep,                        \
                    stored_bytes(term, stride), stored_bytes(term, across ? next_deep : next_width));                  \
      to.start = to.c;                                                                                                 \
      to.start_stride = to.c_stride;                                                                                   \
    }                                                                                                                  \
  }

STRIP(strip_f32, AVX512, float, pack_along_f32, panel_product_f32, nf4_runs_f32)
STRIP(strip_bf16, BF16, uint16_t, pack_along_bf16, panel_product_bf16, nf4_runs_bf16)

MMD_PRODUCT(mmd_product_avx512) {
  _Alignas(64) uint32_t panel[panel_depth * most_columns];
  for (size_t column = 0; column < n; column += most_columns) {
    const size_t width = least(n - column, most_columns), after = least(n - column - width, most_columns);
    struct target to = {start ? start + column : NULL, start_stride, c + column, c_stride, scale};
    for (size_t i = 0; i < count; i++) {
      (terms[i].is_half ? strip_bf16 : strip_f32)(&terms[i], m, column, width, after, panel, to);
      to.start = to.c;
      to.start_stride = to.c_stride;
    }
  }
}

#else

bool mmd_has_avx512(void) { return false; }
bool mmd_has_bf16(void) { return false; }

MMD_PRODUCT(mmd_product_avx512) {
  __builtin_trap();  // callers ask first
}

#endif
