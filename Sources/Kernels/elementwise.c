#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_bf16_to_f32(const uint16_t *x, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = f32_of(x[i]);
}

MULTIVERSION void mmd_f32_to_bf16(const float *x, uint16_t *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = bf16_of(x[i]);
}

MULTIVERSION void mmd_f16_to_f32(const uint16_t *x, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16, magnitude = x[i] & 0x7fff;
    // Normal numbers move their exponent; zero and subnormals are scaled by a float product.
    const uint32_t normal = (magnitude << 13) + (112u << 23);
    const float small = (float)magnitude * 5.9604644775390625e-8f;
    uint32_t small_bits;
    memcpy(&small_bits, &small, sizeof small);
    const uint32_t special = (magnitude << 13) | 0x7f800000u;
    const uint32_t bits = sign | (magnitude < 0x400 ? small_bits : (magnitude >= 0x7c00 ? special : normal));
    memcpy(&y[i], &bits, sizeof bits);
  }
}

MULTIVERSION void mmd_add(const float *a, const float *b, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

MULTIVERSION void mmd_accumulate(const float *x, float scale, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] += scale * x[i];
}

MULTIVERSION void mmd_scale(const float *x, float scale, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = scale * x[i];
}

MULTIVERSION void mmd_column_sum(const float *x, float *sum, size_t rows, size_t width) {
  for (size_t i = 0; i < width; i++) sum[i] = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < width; i++) sum[i] += x[r * width + i];
}

MULTIVERSION double mmd_sum_of_squares(const float *x, size_t count) {
#pragma clang fp reassociate(on)
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

/// Squares of 16 stay in the first cache, where rows and columns change places.
MULTIVERSION void mmd_transpose(const float *x, size_t stride, size_t rows, size_t width, float *y, uint16_t *half_y,
                                size_t y_stride) {
  enum { side = 16 };
  for (size_t first = 0; first < rows; first += side)
    for (size_t column = 0; column < width; column++)
      for (size_t row = first; row < rows && row < first + side; row++) {
        const float value = x[row * stride + column];
        if (half_y) half_y[column * y_stride + row] = bf16_of(value);
        else y[column * y_stride + row] = value;
      }
}

// The activations and their derivatives.

INLINE float activated(int kind, float x) {
  switch (kind) {
  case mmd_gelu: return 0.5f * x * (1.0f + erf_f32(x * 0.70710678f));
  case mmd_gelu_tanh: return x * sigmoid_f32(1.5957691216f * x * (1.0f + 0.044715f * x * x));
  case mmd_quick_gelu: return x * sigmoid_f32(1.702f * x);
  case mmd_silu: return x * sigmoid_f32(x);
  default: return x < 0 ? 0 : x;  // NaN stays
  }
}

/// With s = 1 / (1 + e), 1 − s is e · s, which keeps its digits where s is near 1.
INLINE float slope(int kind, float x) {
  switch (kind) {
  case mmd_gelu: {
    const float density = 0.39894228f * exp_f32(-0.5f * x * x);
    return 0.5f * (1.0f + erf_f32(x * 0.70710678f)) + x * density;
  }
  case mmd_gelu_tanh: {
    const float e = exp_f32(-1.5957691216f * x * (1.0f + 0.044715f * x * x)), s = 1.0f / (1.0f + e);
    return s + x * s * (e * s) * 1.5957691216f * (1.0f + 0.134145f * x * x);
  }
  case mmd_quick_gelu: {
    const float e = exp_f32(-1.702f * x), s = 1.0f / (1.0f + e);
    return s + 1.702f * x * s * (e * s);
  }
  case mmd_silu: {
    const float e = exp_f32(-x), s = 1.0f / (1.0f + e);
    return s + x * s * (e * s);
  }
  default: return x > 0 ? 1.0f : 0.0f;
  }
}

// Each kind gets a loop of its own, so that the choice is made once and the loop vectorises.
#define FOR_EACH_KIND(kind, loop)                                                                                      \
  switch (kind) {                                                                                                      \
  case mmd_gelu: loop(mmd_gelu) break;                                                                                 \
  case mmd_gelu_tanh: loop(mmd_gelu_tanh) break;                                                                       \
  case mmd_quick_gelu: loop(mmd_quick_gelu) break;                                                                     \
  case mmd_silu: loop(mmd_silu) break;                                                                                 \
  default: loop(mmd_relu) break;                                                                                       \
  }

MULTIVERSION void mmd_activate(int kind, const float *x, float *y, size_t count) {
#define LOOP(k)                                                                                                        \
  for (size_t i = 0; i < count; i++) y[i] = activated(k, x[i]);
  FOR_EACH_KIND(kind, LOOP)
#undef LOOP
}

MULTIVERSION void mmd_activate_backward(int kind, const float *x, const float *dy, float *dx, size_t count) {
#define LOOP(k)                                                                                                        \
  for (size_t i = 0; i < count; i++) dx[i] = dy[i] * slope(k, x[i]);
  FOR_EACH_KIND(kind, LOOP)
#undef LOOP
}

MULTIVERSION void mmd_gate(int kind, const float *gate, const float *up, float *y, uint16_t *half_y, size_t count) {
#define LOOP(k)                                                                                                        \
  if (half_y)                                                                                                          \
    for (size_t i = 0; i < count; i++) half_y[i] = bf16_of(activated(k, gate[i]) * up[i]);                             \
  else                                                                                                                 \
    for (size_t i = 0; i < count; i++) y[i] = activated(k, gate[i]) * up[i];
  FOR_EACH_KIND(kind, LOOP)
#undef LOOP
}

MULTIVERSION void mmd_gate_backward(int kind, float *gate, float *up, const float *dy, uint16_t *half_gate,
                                    uint16_t *half_up, size_t count) {
#define LOOP(k)                                                                                                        \
  for (size_t i = 0; half_gate && i < count; i++) {                                                                    \
    half_gate[i] = bf16_of(dy[i] * up[i] * slope(k, gate[i]));                                                         \
    half_up[i] = bf16_of(dy[i] * activated(k, gate[i]));                                                               \
  }                                                                                                                    \
  for (size_t i = 0; !half_gate && i < count; i++) {                                                                   \
    const float g = gate[i], u = up[i], d = dy[i];                                                                     \
    gate[i] = d * u * slope(k, g);                                                                                     \
    up[i] = d * activated(k, g);                                                                                       \
  }
  FOR_EACH_KIND(kind, LOOP)
#undef LOOP
}

MULTIVERSION void mmd_dropout(const float *x, float *y, size_t count, float rate, uint64_t key, uint64_t first) {
  for (size_t i = 0; i < count; i++) y[i] = x[i] * dropout_factor(rate, key, first + i);
}

MULTIVERSION void mmd_dropout_bf16(const uint16_t *x, uint16_t *y, size_t count, float rate, uint64_t key,
                                   uint64_t first) {
  for (size_t i = 0; i < count; i++) y[i] = bf16_of(f32_of(x[i]) * dropout_factor(rate, key, first + i));
}
