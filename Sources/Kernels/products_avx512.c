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

/// Rows are reached from every third one, each in a register: compilers that know how these differ make one of the other,
/// in a chain of additions that takes longer than the sums of a narrow block.
#define APART(third) __asm__("" : "+r"(third[0]), "+r"(third[1]), "+r"(third[2]), "+r"(third[3]))

INLINE AVX512 void block_f32(size_t rows, size_t vectors, size_t n, size_t k, const float *a, size_t a_row,
                             size_t a_depth, const uint32_t *panel, const struct target *to, size_t row) {
  __m512 sums[most_rows][most_vectors];
  UNROLLED for (size_t i = 0; i < rows; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = _mm512_setzero_ps();
  const float *third[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  APART(third);
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
  APART(third);
  for (size_t depth = 0; depth + 1 < k; depth += 2, panel += vectors * lanes) {
    add_pairs(sums, rows, vectors, third, a_row, 4, panel);
    UNROLLED for (size_t i = 0; i < parts_of(rows, 3); i++) third[i] += 2;
  }
  if (k % 2) add_pairs(sums, rows, vectors, third, a_row, 2, panel);
  finish(sums, rows, vectors, n, to, row);
}

/// A part of B as it is stored: `count` runs of `bytes` bytes.
struct stored {
  const char *at;
  size_t count, stride, bytes;
};

/// Asks for some runs of the part of B that is packed next, so that it comes from memory during sums.
INLINE AVX512 void prefetch(const struct stored *next, size_t from, size_t to) {
  for (size_t run = from; run < to; run++) {
    const char *at = next->at + run * next->stride, *end = at + next->bytes;
    for (at -= (uintptr_t)at % 64; at < end; at += 64) __builtin_prefetch(at, 0, 2);  // files begin tensors anywhere
  }
}

/// All rows of C below one panel: in blocks of as many rows as leave registers for B.
#define BLOCK(block, vectors, rows)                                                                                    \
  {                                                                                                                    \
    prefetch(next, next->count * row / m, next->count * (row + rows) / m);                                             \
    block(rows, vectors, n, k, a + row * a_row, a_row, a_depth, panel, to, row);                                       \
    row += rows;                                                                                                       \
  }

#define ROWS(block, vectors, most)                                                                                     \
  while (m - row >= most) BLOCK(block, vectors, most)                                                                  \
  while (m - row >= 4) BLOCK(block, vectors, 4)                                                                        \
  if (m - row >= 2) BLOCK(block, vectors, 2)                                                                           \
  if (m > row) BLOCK(block, vectors, 1)

#define PANEL_PRODUCT(name, target_level, type, block)                                                                 \
  target_level static void name(size_t m, size_t n, size_t k, const type *a, size_t a_row, size_t a_depth,             \
                                const uint32_t *panel, const struct target *to, const struct stored *next) {           \
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

/// How much of k a panel takes: equal parts, in whole registers of words.
INLINE size_t panel_step(const struct mmd_term *term) {
  const size_t in_word = term->is_half ? 2 : 1, parts = parts_of(term->k, in_word * panel_depth);
  return parts_of(parts_of(term->k, parts), in_word * lanes) * in_word * lanes;
}

INLINE bool is_across(const struct mmd_term *term) { return term->b.row_stride == 1; }  // B is stored by columns

/// Bytes of `count` numbers of B that follow each other.
INLINE ptrdiff_t stored_bytes(const struct mmd_term *term, ptrdiff_t count) {
  return term->nf4.codes ? count / 2 : count * (term->is_half ? 2 : 4);
}

/// Where the panel from `depth` on is stored, of `width` columns from `column` on, which may lie outside of the tile.
INLINE struct stored stored_panel(const struct mmd_term *term, ptrdiff_t column, size_t width, size_t depth) {
  const struct mmd_matrix b = term->b;
  const ptrdiff_t place = column * (ptrdiff_t)b.column_stride + (ptrdiff_t)(depth * b.row_stride);
  const size_t deep = least(term->k - depth, panel_step(term));
  const bool across = is_across(term);
  return (struct stored){
      term->nf4.codes ? (const char *)term->nf4.codes + ((ptrdiff_t)term->nf4_first + place) / 2
                      : (const char *)b.at + stored_bytes(term, place),
      across ? width : deep, (size_t)stored_bytes(term, (ptrdiff_t)(across ? b.column_stride : b.row_stride)),
      (size_t)stored_bytes(term, (ptrdiff_t)(across ? deep : width))};
}

/// One strip of C, n columns from `column` on, plus one term; panels are taken along k. `after` is packed after them.
#define STRIP(name, target_level, type, pack_along, panel_product, nf4_runs)                                           \
  target_level static void name(const struct mmd_term *term, size_t m, size_t column, size_t n, struct stored after,   \
                                uint32_t *panel, struct target to) {                                                   \
    type decoded[4 / sizeof(type) * panel_depth * most_columns];                                                       \
    const struct mmd_matrix a = term->a, b = term->b;                                                                  \
    const bool across = is_across(term);                                                                               \
    const size_t k = term->k, stride = across ? b.column_stride : b.row_stride, step = panel_step(term);               \
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
      const struct stored next = depth + step < k ? stored_panel(term, (ptrdiff_t)column, n, depth + step) : after;    \
      panel_product(m, n, deep, (const type *)a.at + depth * a.column_stride, a.row_stride, a.column_stride, panel,    \
                    &to, &next);                                                                                       \
      to.start = to.c;                                                                                                 \
      to.start_stride = to.c_stride;                                                                                   \
    }                                                                                                                  \
  }

STRIP(strip_f32, AVX512, float, pack_along_f32, panel_product_f32, nf4_runs_f32)
STRIP(strip_bf16, BF16, uint16_t, pack_along_bf16, panel_product_bf16, nf4_runs_bf16)

MMD_PRODUCT(mmd_product_avx512) {
  enum { worth_waiting = 64 };  // terms shorter than this are over before a panel has come: they ask for none
  _Alignas(64) uint32_t panel[panel_depth * most_columns];
  for (size_t column = 0; column < n; column += most_columns) {
    const size_t width = least(n - column, most_columns);
    const ptrdiff_t then = column + width < n ? (ptrdiff_t)(column + width) : ahead;
    struct target to = {start ? start + column : NULL, start_stride, c + column, c_stride, scale};
    for (size_t i = 0; i < count; i++) {
      struct stored after = then ? stored_panel(terms, then, width, 0) : (struct stored){0};
      for (size_t j = count; --j > i;)
        if (terms[j].k >= worth_waiting) after = stored_panel(&terms[j], (ptrdiff_t)column, width, 0);
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
