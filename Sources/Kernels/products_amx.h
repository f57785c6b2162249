// Products of bf16 numbers on tiles of AMX: 16 rows of A times 64 columns of a panel, 32 numbers of k an instruction.
//
// Included by products_avx512.c, whose panels lie as tiles take their second operand. Rows, columns and numbers of k
// beyond the last whole tile: tiles of fewer rows and columns; zeros in both factors along k.
#ifndef MMDIST_PRODUCTS_AMX_H
#define MMDIST_PRODUCTS_AMX_H

#define AMX __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))

enum { tile_rows = 16, tile_depth = 32, tile_words = tile_depth / 2 };

/// Tiles 0 to 3 hold the sums of a block and 4 its rows of A, 5 and 6 columns of B; 7 those of the last register, which
/// may be less than whole.
INLINE AMX void shape_tiles(size_t rows, size_t n) {
  struct {
    uint8_t palette, first_row, unused[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape = {.palette = 1};
  const size_t vectors = parts_of(n, lanes), last = 4 * (n - (vectors - 1) * lanes);
  for (size_t tile = 0; tile < 8; tile++) {
    shape.rows[tile] = (uint8_t)(tile > 4 ? tile_words : rows);
    shape.row_bytes[tile] = (uint16_t)(tile + 1 == vectors || tile == 7 ? last : 64);
  }
  _tile_loadconfig(&shape);
}

/// Adds 32 numbers of k, 16 rows of the panel, to all sums. Rows of A are `a_stride` bytes apart.
INLINE AMX void add_tiles(size_t vectors, const void *a, size_t a_stride, const uint32_t *panel) {
  const size_t stride = vectors * lanes * 4;
  _tile_loadd(4, a, a_stride);
  if (vectors > 1) {
    _tile_loadd(5, panel, stride);
    _tile_dpbf16ps(0, 4, 5);
  }
  if (vectors > 2) {
    _tile_loadd(6, panel + lanes, stride);
    _tile_dpbf16ps(1, 4, 6);
  }
  if (vectors > 3) {
    _tile_loadd(5, panel + 2 * lanes, stride);
    _tile_dpbf16ps(2, 4, 5);
  }
  _tile_loadd(7, panel + (vectors - 1) * lanes, stride);
  if (vectors == 1) _tile_dpbf16ps(0, 4, 7);
  if (vectors == 2) _tile_dpbf16ps(1, 4, 7);
  if (vectors == 3) _tile_dpbf16ps(2, 4, 7);
  if (vectors == 4) _tile_dpbf16ps(3, 4, 7);
}

INLINE AMX void load_sums(size_t vectors, const float *from, size_t stride) {
  _tile_loadd(0, from, 4 * stride);
  if (vectors > 1) _tile_loadd(1, from + lanes, 4 * stride);
  if (vectors > 2) _tile_loadd(2, from + 2 * lanes, 4 * stride);
  if (vectors > 3) _tile_loadd(3, from + 3 * lanes, 4 * stride);
}

INLINE AMX void store_sums(size_t vectors, float *to, size_t stride) {
  _tile_stored(0, to, 4 * stride);
  if (vectors > 1) _tile_stored(1, to + lanes, 4 * stride);
  if (vectors > 2) _tile_stored(2, to + 2 * lanes, 4 * stride);
  if (vectors > 3) _tile_stored(3, to + 3 * lanes, 4 * stride);
}

/// Up to 16 rows of C below one panel. Sums that are not scaled begin with what they are added to.
INLINE AMX void block_tiles(size_t rows, size_t vectors, size_t n, size_t k, const uint16_t *a, size_t a_row,
                            const uint32_t *panel, const struct target *to, size_t row) {
  const bool is_scaled = to->scale != 1;
  if (to->start && !is_scaled) {
    load_sums(vectors, to->start + row * to->start_stride, to->start_stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  size_t depth = 0;
  for (; k - depth >= tile_depth; depth += tile_depth, panel += tile_words * vectors * lanes)
    add_tiles(vectors, a + depth, 2 * a_row, panel);
  if (depth < k) {
    _Alignas(64) uint16_t rest[tile_rows][tile_depth] = {0};
    for (size_t i = 0; i < rows; i++) memcpy(rest[i], a + i * a_row + depth, 2 * (k - depth));
    add_tiles(vectors, rest, sizeof rest[0], panel);
  }
  if (!is_scaled) {
    store_sums(vectors, to->c + row * to->c_stride, to->c_stride);
    return;
  }
  _Alignas(64) float sums[tile_rows][most_columns];
  store_sums(vectors, sums[0], most_columns);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < n; j += lanes) {
      numbers sum = multiplied(_mm512_load_ps(&sums[i][j]), all(to->scale));
      if (to->start) sum = added(load_first(to->start + (row + i) * to->start_stride + j, n - j), sum);
      store_first(to->c + (row + i) * to->c_stride + j, n - j, sum);
    }
}

INLINE AMX void all_blocks(size_t vectors, size_t m, size_t n, size_t k, const uint16_t *a, size_t a_row,
                           const uint32_t *panel, const struct target *to, const struct stored *next) {
  shape_tiles(least(m, tile_rows), n);
  for (size_t row = 0; row < m; row += tile_rows) {
    const size_t rows = least(m - row, tile_rows);
    if (row > 0 && rows < tile_rows) shape_tiles(rows, n);
    prefetch(next, next->count * row / m, next->count * (row + rows) / m);
    block_tiles(rows, vectors, n, k, a + row * a_row, a_row, panel, to, row);
  }
  _tile_release();  // a thread that sleeps has no tiles to save
}

AMX static void panel_product_amx(size_t m, size_t n, size_t k, const uint16_t *a, size_t a_row, size_t a_depth,
                                  uint32_t *panel, const struct target *to, const struct stored *next) {
  const size_t vectors = parts_of(n, lanes), words = parts_of(k, 2);
  memset(panel + words * vectors * lanes, 0, (parts_of(k, tile_depth) * tile_words - words) * vectors * lanes * 4);
  if (vectors == 1) all_blocks(1, m, n, k, a, a_row, panel, to, next);
  if (vectors == 2) all_blocks(2, m, n, k, a, a_row, panel, to, next);
  if (vectors == 3) all_blocks(3, m, n, k, a, a_row, panel, to, next);
  if (vectors == 4) all_blocks(4, m, n, k, a, a_row, panel, to, next);
}

#endif
