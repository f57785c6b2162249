// Products on vector registers, whatever their width: f32 by fused multiply-add.
//
// B is brought into panels that fit the first caches, NF4 codes as the numbers that they stand for; A is read where it
// lies. Every element of C is summed along k in one order, which depends on k alone: neither on its row and column, nor on
// how C was cut into tiles, nor on the width of registers.
//
// A file includes this once it has defined, for its own registers:
//   LEVEL         the target that its functions are compiled for
//   lanes, most_vectors, most_sums   numbers in a register, registers across a block, and for all sums of a block
//   numbers       a register of `lanes` f32, and for it: zero(), all(x), load(panel), load_first(x, count),
//                 store_first(y, count, x), multiplied(a, b), added(a, b), add_product(a, b, sum) = a · b + sum
//   nf4_runs_f32(nf4, first, stride, runs, length, y)   what runs of NF4 codes stand for, without gaps
//   words         a register of `lanes` words, and for it: load_bytes(x, bytes), store_words(panel, x), transpose(x[lanes])
#ifndef MMDIST_PRODUCTS_PANELS_H
#define MMDIST_PRODUCTS_PANELS_H

#include "Kernels.h"
#include "bf16.h"
#include "multiversion.h"

enum {
  most_columns = most_vectors * lanes,
  most_rows = 12,
  panel_depth = 128,  // words along k; an f32, or a pair of bf16 numbers along k, is a word
  line = 16,          // words
};

INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t parts_of(size_t total, size_t size) { return (total + size - 1) / size; }

// --- panels: panel[depth][columns] of words, columns in whole registers, zero beyond B ---------------------------

/// Runs of up to as many words as a register has (bytes at a time where the last word is half) become columns; runs
/// beyond `n` are zero.
INLINE LEVEL void pack_square(const char *from, size_t stride_bytes, size_t n, size_t bytes, uint32_t *to,
                              size_t columns) {
  words x[lanes];
  UNROLLED for (size_t i = 0; i < lanes; i++) x[i] = load_bytes(from + i * stride_bytes, i < n ? bytes : 0);
  transpose(x);
  UNROLLED for (size_t i = 0; i < lanes; i++) store_words(to + i * columns, x[i]);
}

/// B is stored by columns: `n` runs of `bytes` bytes. The panel has room for whole registers of words.
LEVEL static void pack_across(const char *b, size_t stride_bytes, size_t n, size_t bytes, size_t columns,
                              uint32_t *panel) {
  for (size_t column = 0; column < columns; column += lanes)
    for (size_t depth = 0; depth < bytes; depth += 4 * lanes) {
      const char *from = b + column * stride_bytes + depth;
      uint32_t *to = panel + depth / 4 * columns + column;
      if (n - column >= lanes && bytes - depth >= 4 * lanes) {
        pack_square(from, stride_bytes, lanes, 4 * lanes, to, columns);
      } else {
        pack_square(from, stride_bytes, n - column, least(bytes - depth, 4 * lanes), to, columns);
      }
    }
}

/// B is stored by rows: `k` runs of `n` numbers.
INLINE LEVEL void pack_along_f32(const float *b, size_t stride, size_t n, size_t k, size_t columns, uint32_t *panel) {
  for (size_t depth = 0; depth < k; depth++)
    for (size_t column = 0; column < columns; column += lanes)
      store_words(panel + depth * columns + column,
                  load_bytes((const char *)(b + depth * stride + column), 4 * least(n - column, lanes)));
}

// --- blocks: rows × (vectors · lanes) sums in registers ------------------------------------------------------------
//
// Rows and registers are constants where a block is inlined; its sums stay in registers only when all is unrolled.

/// Where a block of C starts from and goes to.
struct target {
  const float *start;  // NULL: zero
  size_t start_stride;
  float *c;
  size_t c_stride;
  float scale;
};

INLINE LEVEL void finish(numbers sums[most_rows][most_vectors], size_t rows, size_t vectors, size_t n,
                         const struct target *to, size_t row) {
  const numbers scale = all(to->scale);
  UNROLLED for (size_t j = 0; j < vectors; j++) {
    const size_t count = j + 1 < vectors ? lanes : n - j * lanes;
    UNROLLED for (size_t i = 0; i < rows; i++) {
      numbers sum = multiplied(sums[i][j], scale);
      if (to->start) sum = added(load_first(to->start + (row + i) * to->start_stride + j * lanes, count), sum);
      store_first(to->c + (row + i) * to->c_stride + j * lanes, count, sum);
    }
  }
}

/// Rows are reached from every third one, each in a register: compilers that know how these differ make one of the other,
/// in a chain of additions that takes longer than the sums of a narrow block.
#define APART(third) __asm__("" : "+r"(third[0]), "+r"(third[1]), "+r"(third[2]), "+r"(third[3]))

INLINE LEVEL void block_f32(size_t rows, size_t vectors, size_t n, size_t k, const float *a, size_t a_row,
                            size_t a_depth, const uint32_t *panel, const struct target *to, size_t row) {
  numbers sums[most_rows][most_vectors];
  UNROLLED for (size_t i = 0; i < rows; i++)
    UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = zero();
  const float *third[4] = {a, a + 3 * a_row, a + 6 * a_row, a + 9 * a_row};
  APART(third);
  for (size_t depth = 0; depth < k; depth++, panel += vectors * lanes) {
    numbers b[most_vectors];
    UNROLLED for (size_t j = 0; j < vectors; j++) b[j] = load(panel + j * lanes);
    UNROLLED for (size_t i = 0; i < rows; i++) {
      const numbers x = all(third[i / 3][i % 3 * a_row]);
      UNROLLED for (size_t j = 0; j < vectors; j++) sums[i][j] = add_product(x, b[j], sums[i][j]);
    }
    UNROLLED for (size_t i = 0; i < parts_of(rows, 3); i++) third[i] += a_depth;
  }
  finish(sums, rows, vectors, n, to, row);
}

/// A part of B as it is stored: `count` runs of `bytes` bytes.
struct stored {
  const char *at;
  size_t count, stride, bytes;
};

/// Asks for some runs of the part of B that is packed next, so that it comes from memory during sums.
INLINE void prefetch(const struct stored *next, size_t from, size_t to) {
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

#define MOST_ROWS(vectors) (most_sums / vectors < most_rows ? most_sums / vectors : most_rows)

#define ROWS(block, vectors)                                                                                           \
  while (m - row >= MOST_ROWS(vectors)) BLOCK(block, vectors, MOST_ROWS(vectors))                                      \
  while (m - row >= 4) BLOCK(block, vectors, 4)                                                                        \
  if (m - row >= 2) BLOCK(block, vectors, 2)                                                                           \
  if (m > row) BLOCK(block, vectors, 1)

#define PANEL_PRODUCT(name, target_level, type, block)                                                                 \
  target_level static void name(size_t m, size_t n, size_t k, const type *a, size_t a_row, size_t a_depth,             \
                                const uint32_t *panel, const struct target *to, const struct stored *next) {           \
    size_t row = 0;                                                                                                    \
    const size_t vectors = parts_of(n, lanes);                                                                         \
    if (vectors == most_vectors) {                                                                                     \
      ROWS(block, most_vectors)                                                                                        \
    } else if (vectors == 1) {                                                                                         \
      ROWS(block, 1)                                                                                                   \
    } else if (most_vectors > 2 && vectors == 2) {                                                                     \
      ROWS(block, 2)                                                                                                   \
    } else if (most_vectors > 3) {                                                                                     \
      ROWS(block, 3)                                                                                                   \
    }                                                                                                                  \
  }

PANEL_PRODUCT(panel_product_f32, LEVEL, float, block_f32)

// --- strips: columns of C as wide as a panel -----------------------------------------------------------------------

/// How much of k a panel takes: equal parts, in whole lines.
INLINE size_t panel_step(const struct mmd_term *term) {
  const size_t in_word = term->is_half ? 2 : 1, parts = parts_of(term->k, in_word * panel_depth);
  return parts_of(parts_of(term->k, parts), in_word * line) * in_word * line;
}

INLINE bool is_across(const struct mmd_term *term) { return term->b.row_stride == 1; }  // B is stored by columns

/// Bytes of `count` numbers of B that follow each other.
INLINE ptrdiff_t stored_bytes(const struct mmd_term *term, ptrdiff_t count) {
  return term->nf4.codes ? count / 2 : count * (term->is_half || term->widens_b ? 2 : 4);
}

/// Where a panel is stored that begins `place` numbers after B does, which may lie outside of the tile.
INLINE struct stored stored_panel(const struct mmd_term *term, ptrdiff_t place, size_t width, size_t deep) {
  const bool across = is_across(term);
  const size_t stride = across ? term->b.column_stride : term->b.row_stride;
  return (struct stored){
      term->nf4.codes ? (const char *)term->nf4.codes + ((ptrdiff_t)term->nf4_first + place) / 2
                      : (const char *)term->b.at + stored_bytes(term, place),
      across ? width : deep, (size_t)stored_bytes(term, (ptrdiff_t)stride),
      (size_t)stored_bytes(term, (ptrdiff_t)(across ? deep : width))};
}

/// The first panel of a term.
INLINE struct stored first_panel(const struct mmd_term *term, ptrdiff_t place, size_t width) {
  return stored_panel(term, place, width, least(term->k, panel_step(term)));
}

/// Runs of a B that is not as its panel, without gaps: NF4 codes, or bf16 numbers where A is f32.
INLINE LEVEL void read_runs_f32(const struct mmd_term *term, size_t place, size_t stride, size_t runs, size_t length,
                                float *y) {
  if (term->nf4.codes) {
    nf4_runs_f32(&term->nf4, term->nf4_first + place, stride, runs, length, y);
    for (size_t i = 0; i < runs * length && term->widens_b; i++) y[i] = f32_of(bf16_of(y[i]));
    return;
  }
  const uint16_t *halves = (const uint16_t *)term->b.at + place;
  for (size_t i = 0; i < runs; i++, halves += stride, y += length)
    for (size_t j = 0; j < length; j++) y[j] = f32_of(halves[j]);
}

/// One strip of C, n columns from `column` on, plus one term; panels are taken along k. `after` is packed after them.
#define STRIP(name, target_level, type, pack_along, panel_product, read_runs)                                          \
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
      if (term->nf4.codes || term->widens_b) {                                                                         \
        gap = across ? deep : n;                                                                                       \
        read_runs(term, place, stride, across ? n : deep, gap, decoded);                                               \
        from = decoded;                                                                                                \
      }                                                                                                                \
      if (across) pack_across((const char *)from, gap * sizeof(type), n, deep * sizeof(type), columns, panel);         \
      else pack_along(from, gap, n, deep, columns, panel);                                                             \
      const struct stored next =                                                                                       \
          depth + step < k                                                                                             \
              ? stored_panel(term, (ptrdiff_t)(place + step * b.row_stride), n, least(k - depth - step, step))         \
              : after;                                                                                                 \
      panel_product(m, n, deep, (const type *)a.at + depth * a.column_stride, a.row_stride, a.column_stride, panel,    \
                    &to, &next);                                                                                       \
      to.start = to.c;                                                                                                 \
      to.start_stride = to.c_stride;                                                                                   \
    }                                                                                                                  \
  }

typedef void strip(const struct mmd_term *term, size_t m, size_t column, size_t n, struct stored after, uint32_t *panel,
                   struct target to);

/// A tile of C, strip by strip, each the sum of all terms.
INLINE void sum_strips(strip *f32, strip *bf16, const struct mmd_term *terms, size_t count, size_t m, size_t n,
                       float scale, const float *start, size_t start_stride, float *c, size_t c_stride,
                       ptrdiff_t ahead) {
  enum { worth_waiting = 64 };  // terms shorter than this are over before a panel has come: they ask for none
  _Alignas(64) uint32_t panel[panel_depth * most_columns];
  for (size_t column = 0; column < n; column += most_columns) {
    const size_t width = least(n - column, most_columns);
    const ptrdiff_t then =
        column + width < n ? (ptrdiff_t)((column + width) * terms->b.column_stride) : ahead;
    struct target to = {start ? start + column : NULL, start_stride, c + column, c_stride, scale};
    for (size_t i = 0; i < count; i++) {
      struct stored after = then ? first_panel(terms, then, width) : (struct stored){0};
      for (size_t j = count; --j > i;)
        if (terms[j].k >= worth_waiting)
          after = first_panel(&terms[j], (ptrdiff_t)(column * terms[j].b.column_stride), width);
      (terms[i].is_half ? bf16 : f32)(&terms[i], m, column, width, after, panel, to);
      to.start = to.c;
      to.start_stride = to.c_stride;
    }
  }
}

#endif
