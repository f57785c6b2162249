#include "CResample.h"

#include <string.h>

// One binary holds each loop for several processors and picks at load time.
#if defined(__x86_64__) && defined(__linux__)
#define EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_PROCESSOR
#endif

enum { rows_in_band = MMDIST_BAND_ROWS };
static const int32_t half = 1 << (MMDIST_WEIGHT_BITS - 1);

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef int32_t sums __attribute__((vector_size(64)));

// MARK: Rows and bands

/// Turns 16 vectors of 16 bytes about their diagonal, by four rounds of interleaving.
static inline __attribute__((always_inline)) void turn(bytes tile[16]) {
  for (int round = 0; round < 4; round++) {
    bytes next[16];
    for (int i = 0; i < 8; i++) {
      bytes a = tile[i], b = tile[i + 8];
      next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    memcpy(tile, next, sizeof next);
  }
}

EVERY_PROCESSOR
void mmdist_band_from_rows(const uint8_t *rows, size_t stride, size_t count, size_t length, uint8_t *band) {
  const uint8_t *row[rows_in_band];
  for (size_t r = 0; r < rows_in_band; r++) row[r] = rows + stride * (r < count ? r : count - 1);
  size_t i = 0;
  for (; i + 16 <= length; i += 16) {
    bytes tile[16];
    for (int r = 0; r < 16; r++) memcpy(&tile[r], row[r] + i, 16);
    turn(tile);
    memcpy(band + rows_in_band * i, tile, sizeof tile);
  }
  for (; i < length; i++) {
    for (int r = 0; r < rows_in_band; r++) band[rows_in_band * i + r] = row[r][i];
  }
}

EVERY_PROCESSOR
void mmdist_rows_from_band(const uint8_t *band, size_t length, uint8_t *rows, size_t stride, size_t count) {
  size_t i = 0;
  for (; i + 16 <= length; i += 16) {
    bytes tile[16];
    memcpy(tile, band + rows_in_band * i, sizeof tile);
    turn(tile);
    for (size_t r = 0; r < count; r++) memcpy(rows + stride * r + i, &tile[r], 16);
  }
  for (; i < length; i++) {
    for (size_t r = 0; r < count; r++) rows[stride * r + i] = band[rows_in_band * i + r];
  }
}

// MARK: Weighted sums

static inline __attribute__((always_inline)) uint8_t clipped(int32_t sum) {
  int32_t value = sum >> MMDIST_WEIGHT_BITS;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

EVERY_PROCESSOR
void mmdist_weigh_band(const uint8_t *band, const int32_t *weights, size_t taps, uint8_t *out) {
  sums total[3];
  for (int c = 0; c < 3; c++) total[c] = (sums){0} + half;
  for (size_t t = 0; t < taps; t++, band += 3 * rows_in_band) {
    for (int c = 0; c < 3; c++) {
      bytes values;
      memcpy(&values, band + rows_in_band * c, sizeof values);
      total[c] += __builtin_convertvector(values, sums) * weights[t];
    }
  }
  for (int c = 0; c < 3; c++) {
    for (int r = 0; r < rows_in_band; r++) out[rows_in_band * c + r] = clipped(total[c][r]);
  }
}

EVERY_PROCESSOR
void mmdist_add_weighted(int32_t *restrict sums, const uint8_t *restrict row, int32_t weight, size_t length) {
  for (size_t i = 0; i < length; i++) sums[i] += weight * row[i];
}

EVERY_PROCESSOR
void mmdist_clip_sums(const int32_t *restrict sums, uint8_t *restrict out, size_t length) {
  for (size_t i = 0; i < length; i++) out[i] = clipped(sums[i]);
}
