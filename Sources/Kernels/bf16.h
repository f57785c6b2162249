// bf16 numbers as bits: the upper half of an f32.
#ifndef MMDIST_BF16_H
#define MMDIST_BF16_H

#include "multiversion.h"
#include <stdint.h>
#include <string.h>

INLINE float f32_of(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// The nearest bf16 number, ties to even; NaN stays NaN.
INLINE uint16_t bf16_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded);
}

#endif
