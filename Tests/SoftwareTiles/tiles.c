// Tiles as Intel's manual has them: what a processor would refuse ends the process.
#include "SoftwareTiles.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

static _Thread_local struct tile {
  size_t rows, row_bytes;
  char at[16][64];
} tiles[8];

static void check(bool is_allowed) {
  if (!is_allowed) __builtin_trap();
}

static void shape_all(const void *shapes) {
  const uint8_t *bytes = shapes;
  check(bytes[0] == 1);
  for (size_t i = 0; i < 16; i++) {
    uint16_t row_bytes;
    memcpy(&row_bytes, bytes + 16 + 2 * i, 2);
    const size_t rows = bytes[48 + i];
    check(rows <= 16 && row_bytes <= 64 && (rows == 0) == (row_bytes == 0) && (i < 8 || rows == 0));
    if (i < 8) tiles[i] = (struct tile){.rows = rows, .row_bytes = row_bytes};
  }
}

static void release_all(void) { memset(tiles, 0, sizeof tiles); }

static struct tile *shaped(size_t number) {
  check(tiles[number].rows > 0);
  return &tiles[number];
}

static void clear(size_t number) { memset(shaped(number)->at, 0, sizeof tiles->at); }

static void read_rows(size_t number, const void *from, size_t stride) {
  struct tile *tile = shaped(number);
  clear(number);
  for (size_t row = 0; row < tile->rows; row++)
    memcpy(tile->at[row], (const char *)from + row * stride, tile->row_bytes);
}

static void write_rows(size_t number, void *to, size_t stride) {
  const struct tile *tile = shaped(number);
  for (size_t row = 0; row < tile->rows; row++) memcpy((char *)to + row * stride, tile->at[row], tile->row_bytes);
}

/// The numbers of a tile's pairs that have one place in them, [rows][pairs].
static void widened(const struct tile *tile, size_t place, float x[16][16]) {
  for (size_t row = 0; row < 16; row++)
    for (size_t pair = 0; pair < 16; pair++) {
      uint16_t half;
      memcpy(&half, tile->at[row] + 4 * pair + 2 * place, 2);
      const uint32_t bits = (uint32_t)half << 16;
      memcpy(&x[row][pair], &bits, 4);
    }
}

/// Numbers of either place in a pair are summed on their own; both sums are added at the end.
__attribute__((target("avx512f,fma"))) static void add_product_of(size_t c, size_t a, size_t b) {
  struct tile *sums = shaped(c);
  const struct tile *left = shaped(a), *right = shaped(b);
  check(sums->rows == left->rows && sums->row_bytes == right->row_bytes && 4 * right->rows == left->row_bytes);
  float parts[2][16][16] = {0};
  for (size_t place = 0; place < 2; place++) {
    float x[16][16], y[16][16];
    widened(left, place, x);
    widened(right, place, y);
    for (size_t i = 0; i < sums->rows; i++)
      for (size_t pair = 0; pair < right->rows; pair++)
        for (size_t j = 0; j < 16; j++) parts[place][i][j] = fmaf(x[i][pair], y[pair][j], parts[place][i][j]);
  }
  for (size_t i = 0; i < sums->rows; i++)
    for (size_t j = 0; j < sums->row_bytes / 4; j++) {
      float sum;
      memcpy(&sum, sums->at[i] + 4 * j, 4);
      sum += parts[0][i][j] + parts[1][i][j];
      memcpy(sums->at[i] + 4 * j, &sum, 4);
    }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig shape_all
#define _tile_release release_all
#define _tile_loadd read_rows
#define _tile_stored write_rows
#define _tile_zero clear
#define _tile_dpbf16ps add_product_of

// Names of their own for what the kernels' file exports.
#define mmd_product_amx software_tiles_product
#define mmd_product_avx512 software_tiles_avx512
#define mmd_has_avx512 software_tiles_has_avx512
#define mmd_has_bf16 software_tiles_has_bf16
#define mmd_has_amx software_tiles_has_amx
#pragma clang diagnostic ignored "-Wnullability-completeness"  // what is included counts as a header
#include "../../Sources/Kernels/products_avx512.c"

#else

MMD_PRODUCT(software_tiles_product) { __builtin_trap(); }

#endif
