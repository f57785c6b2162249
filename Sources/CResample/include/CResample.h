#ifndef MMDIST_CRESAMPLE_H
#define MMDIST_CRESAMPLE_H

#include <stddef.h>
#include <stdint.h>

// The inner loops of separable resampling in fixed point. All sums are exact, so every processor gives the same bytes.
// A "band" is 16 rows stored column by column: byte `i` of row `r` lies at `16 * i + r`.

#define MMDIST_BAND_ROWS 16
#define MMDIST_WEIGHT_BITS 22

/// Rows to band: `count` (1...16) rows of `length` bytes, `stride` apart; missing rows repeat the last.
void mmdist_band_from_rows(const uint8_t *_Nonnull rows, size_t stride, size_t count, size_t length,
                           uint8_t *_Nonnull band);

/// Band to rows, the reverse; missing rows are left out.
void mmdist_rows_from_band(const uint8_t *_Nonnull band, size_t length, uint8_t *_Nonnull rows, size_t stride,
                           size_t count);

/// One RGB pixel in each row of a band: `taps` pixels from `band` on, weighted, rounded and clipped, to `out` (48 bytes).
void mmdist_weigh_band(const uint8_t *_Nonnull band, const int32_t *_Nonnull weights, size_t taps,
                       uint8_t *_Nonnull out);

/// sums[i] += weight * row[i].
void mmdist_add_weighted(int32_t *_Nonnull sums, const uint8_t *_Nonnull row, int32_t weight, size_t length);

/// out[i] = sums[i] / 2^22, clipped to 0...255.
void mmdist_clip_sums(const int32_t *_Nonnull sums, uint8_t *_Nonnull out, size_t length);

#endif
