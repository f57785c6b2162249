// NF4 codes on their way into panels: sixteen are looked up at once, in a register that holds all values.
#ifndef MMDIST_NF4_AVX512_H
#define MMDIST_NF4_AVX512_H

#include "Kernels.h"
#include "multiversion.h"
#include <immintrin.h>

#define NF4_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NF4_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

/// The values of sixteen codes, which are the words 2 · pair and 2 · pair + 1.
INLINE NF4_AVX512 __m512 nf4_values(__m512i words, int pair, __m512 scale) {
  const __m512i which = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const __m512i shifts = _mm512_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24);
  const __m512i own = _mm512_permutexvar_epi32(_mm512_add_epi32(which, _mm512_set1_epi32(2 * pair)), words);
  // The lookup sees the lowest four bits of each index alone.
  const __m512 values = _mm512_permutexvar_ps(_mm512_srlv_epi32(own, shifts), _mm512_loadu_ps(mmd_nf4_values));
  return _mm512_mul_ps(values, scale);
}

/// Up to sixteen codes of one block from an even element on.
INLINE NF4_AVX512 __m512 nf4_few(const struct mmd_nf4 *x, size_t first, size_t count, __m512 scale) {
  const __mmask16 bytes = (__mmask16)((1u << (count + 1) / 2) - 1);
  return nf4_values(_mm512_castsi128_si512(_mm_maskz_loadu_epi8(bytes, x->codes + first / 2)), 0, scale);
}

INLINE __mmask16 nf4_mask(size_t count) { return (__mmask16)((1u << count) - 1); }

/// The numbers `first` … of a run as f32; `first` is even.
INLINE NF4_AVX512 void nf4_run_f32(const struct mmd_nf4 *x, size_t first, size_t count, float *y) {
  for (size_t i = 0; i < count;) {
    const __m512 scale = _mm512_set1_ps(mmd_nf4_scale(x, (first + i) / mmd_nf4_block));
    const size_t left = mmd_nf4_block - (first + i) % mmd_nf4_block, end = left < count - i ? i + left : count;
    if (end - i == mmd_nf4_block) {
      const __m512i words =
          _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(x->codes + (first + i) / 2)));
      for (int pair = 0; pair < 4; pair++) _mm512_storeu_ps(y + i + 16 * pair, nf4_values(words, pair, scale));
      i = end;
    }
    for (size_t few; i < end; i += few) {
      few = end - i < 16 ? end - i : 16;
      _mm512_mask_storeu_ps(y + i, nf4_mask(few), nf4_few(x, first + i, few, scale));
    }
  }
}

/// The same as bf16; numbers below 2⁻¹²⁶ become zero.
INLINE NF4_BF16 void nf4_run_bf16(const struct mmd_nf4 *x, size_t first, size_t count, uint16_t *y) {
  for (size_t i = 0; i < count;) {
    const __m512 scale = _mm512_set1_ps(mmd_nf4_scale(x, (first + i) / mmd_nf4_block));
    const size_t left = mmd_nf4_block - (first + i) % mmd_nf4_block, end = left < count - i ? i + left : count;
    if (end - i == mmd_nf4_block) {
      const __m512i words =
          _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(x->codes + (first + i) / 2)));
      for (int half = 0; half < 2; half++) {
        const __m512 low = nf4_values(words, 2 * half, scale), high = nf4_values(words, 2 * half + 1, scale);
        _mm512_storeu_si512(y + i + 32 * half, (__m512i)_mm512_cvtne2ps_pbh(high, low));
      }
      i = end;
    }
    for (size_t few; i < end; i += few) {
      few = end - i < 16 ? end - i : 16;
      const __m256i halves = (__m256i)_mm512_cvtneps_pbh(nf4_few(x, first + i, few, scale));
      _mm256_mask_storeu_epi16(y + i, nf4_mask(few), halves);
    }
  }
}

/// `runs` runs of numbers, `stride` apart, without gaps.
#define NF4_RUNS(name, target_level, type, run, as_f32, as_bf16)                                                       \
  target_level static void name(const struct mmd_nf4 *x, size_t first, size_t stride, size_t runs, size_t length,      \
                                type *y) {                                                                             \
    for (size_t i = 0; i < runs; i++, first += stride, y += length) {                                                  \
      if (first % 2 == 0) run(x, first, length, y);                                                                    \
      else mmd_nf4_read(x, first, length, as_f32, as_bf16);                                                            \
    }                                                                                                                  \
  }

NF4_RUNS(nf4_runs_f32, NF4_AVX512, float, nf4_run_f32, y, NULL)
NF4_RUNS(nf4_runs_bf16, NF4_BF16, uint16_t, nf4_run_bf16, NULL, y)

#endif
