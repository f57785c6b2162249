// exp, erf and the activations as straight-line code, so that loops over them vectorise.
#ifndef MMDIST_VECTOR_MATH_H
#define MMDIST_VECTOR_MATH_H

#include "bf16.h"
#include "multiversion.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

/// √x. A call of sqrtf would have to set errno, which keeps a loop from being vectorised.
INLINE float root_f32(float x) { return __builtin_elementwise_sqrt(x); }

/// The largest magnitude; of NaN and infinities the largest bits, which are no finite number's.
INLINE float largest_magnitude(const float *x, size_t count) {
  uint32_t top = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bits &= 0x7fffffff;
    top = bits > top ? bits : top;
  }
  float magnitude;
  memcpy(&magnitude, &top, sizeof magnitude);
  return magnitude;
}

enum { lanes = 16 };

/// A register of numbers, or two or four where registers are narrower; it never leaves inlined code, whose calls have no
/// convention to keep.
#pragma clang diagnostic ignored "-Wpsabi"
typedef float vector __attribute__((ext_vector_type(16), aligned(4)));

INLINE vector vector_at(const float *x) {
  vector v;
  memcpy(&v, x, sizeof v);
  return v;
}

INLINE vector larger(vector a, vector b) { return a > b ? a : b; }

/// Sums, and largest numbers, of a register are found in halves, which compilers keep in registers.
INLINE float vector_sum(vector v) {
  const __typeof__(v.lo) eight = v.lo + v.hi;
  const __typeof__(v.lo.lo) four = eight.lo + eight.hi;
  return (four.x + four.z) + (four.y + four.w);
}

INLINE float vector_largest(vector v) {
  const __typeof__(v.lo) eight = v.lo > v.hi ? v.lo : v.hi;
  const __typeof__(v.lo.lo) four = eight.lo > eight.hi ? eight.lo : eight.hi;
  const float even = four.x > four.z ? four.x : four.z, odd = four.y > four.w ? four.y : four.w;
  return even > odd ? even : odd;
}

/// The largest number, −∞ where there is none; NaN is passed over. A running maximum of one chain is not vectorised,
/// these are.
INLINE float largest(const float *x, size_t count) {
  vector even = -INFINITY, odd = -INFINITY;
  size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    even = larger(vector_at(x + i), even);
    odd = larger(vector_at(x + i + lanes), odd);
  }
  for (; i + lanes <= count; i += lanes) even = larger(vector_at(x + i), even);
  float top = vector_largest(larger(odd, even));
  for (; i < count; i++) top = x[i] > top ? x[i] : top;
  return top;
}

INLINE float float_of(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// eˣ = m · 2ⁿ: returns m, for x from −87.33654 to 88.72283.
INLINE float exp_parts(float held, int32_t *exponent) {
  const float n = __builtin_rintf(held * 1.44269504f);
  float r = __builtin_fmaf(n, -0.693359375f, held);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = __builtin_fmaf(p, r, 1.3981999507e-3f);
  p = __builtin_fmaf(p, r, 8.3334519073e-3f);
  p = __builtin_fmaf(p, r, 4.1665795894e-2f);
  p = __builtin_fmaf(p, r, 1.6666665459e-1f);
  p = __builtin_fmaf(p, r, 5.0000001201e-1f);
  *exponent = (int32_t)n;
  return __builtin_fmaf(p, r * r, r + 1.0f);
}

/// eˣ within 2 units in the last place; 0 below −87.3, and +∞ only where f32 has no room.
INLINE float exp_f32(float x) {
  int32_t n;
  const float m = exp_parts(x < -87.33654f ? -87.33654f : (x > 88.72283f ? 88.72283f : x), &n);
  // 2ⁿ in two factors: n reaches 128, one more than an exponent field holds.
  const int32_t half = n >> 1;
  return x < -87.33654f ? 0.0f : m * float_of((half + 127) << 23) * float_of((n - half + 127) << 23);
}

/// The same for x up to 88, such as differences from a maximum.
INLINE float exp_up_to_88(float x) {
  int32_t n;
  const float m = exp_parts(x < -87.33654f ? -87.33654f : x, &n);
  return x < -87.33654f ? 0.0f : m * float_of((n + 127) << 23);
}

/// The error function within 2 units in the last place, by two minimax polynomials.
INLINE float erf_f32(float x) {
  const float t = __builtin_fabsf(x), s = x * x;
  float far = __builtin_fmaf(-1.72853470e-5f, t, 3.83197126e-4f);
  const float u = __builtin_fmaf(-3.88396438e-3f, t, 2.42546219e-2f);
  far = __builtin_fmaf(far, s, u);
  far = __builtin_fmaf(far, t, -1.06777877e-1f);
  far = __builtin_fmaf(far, t, -6.34846687e-1f);
  far = __builtin_fmaf(far, t, -1.28717512e-1f);
  far = __builtin_fmaf(far, t, -t);
  far = __builtin_copysignf(1.0f - exp_f32(far), x);
  float near = -5.96761703e-4f;
  near = __builtin_fmaf(near, s, 4.99119423e-3f);
  near = __builtin_fmaf(near, s, -2.67681349e-2f);
  near = __builtin_fmaf(near, s, 1.12819925e-1f);
  near = __builtin_fmaf(near, s, -3.76125336e-1f);
  near = __builtin_fmaf(near, s, 1.28379166e-1f);
  near = __builtin_fmaf(near, x, x);
  return t > 0.927734375f ? (t > 4.0f ? __builtin_copysignf(1.0f, x) : far) : near;
}

INLINE float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

/// 0 with probability `rate`, else 1 / (1 − rate): a pure function of (key, index), by splitmix64.
INLINE float dropout_factor(float rate, uint64_t key, uint64_t index) {
  uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return (float)(uint32_t)(z >> 40) < rate * 16777216.0f ? 0.0f : 1.0f / (1.0f - rate);
}

#endif
