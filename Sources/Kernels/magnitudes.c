#include "Kernels.h"
#include "vector_math.h"

#include <stdlib.h>

enum { tile = 256, strip = 64 };

/// Adds Σ_j factors[j] · rows[j, ·] to v, four rows at a time.
INLINE void add_rows(const float *factors, const float *rows, size_t stride, size_t rank, float *v, size_t count) {
  size_t j = 0;
  for (; j + 4 <= rank; j += 4) {
    const float a = factors[j], b = factors[j + 1], c = factors[j + 2], d = factors[j + 3];
    const float *first = rows + j * stride, *second = first + stride, *third = second + stride, *fourth = third + stride;
    for (size_t i = 0; i < count; i++) v[i] += a * first[i] + b * second[i] + c * third[i] + d * fourth[i];
  }
  for (; j < rank; j++)
    for (size_t i = 0; i < count; i++) v[i] += factors[j] * rows[j * stride + i];
}

INLINE void widen(const float *weight, const uint16_t *half_weight, size_t from, float *v, size_t count) {
  if (weight) memcpy(v, weight + from, count * sizeof *v);
  else
    for (size_t i = 0; i < count; i++) v[i] = f32_of(half_weight[from + i]);
}

/// No magnitude is divided by less: an output whose weights are all zero has no direction.
static const float smallest = 1e-30f;

MULTIVERSION void mmd_row_norms(const float *weight, const uint16_t *half_weight, size_t inputs, const float *down,
                                const float *up, size_t rank, float scale, float *norms, size_t first, size_t last) {
#pragma clang fp reassociate(on)
  float v[tile], *const factors = malloc((rank + 1) * sizeof *factors);
  for (size_t row = first; row < last; row++) {
    for (size_t j = 0; j < rank; j++) factors[j] = scale * up[row * rank + j];
    double total = 0;
    for (size_t from = 0; from < inputs; from += tile) {
      const size_t count = inputs - from < tile ? inputs - from : tile;
      widen(weight, half_weight, row * inputs + from, v, count);
      add_rows(factors, down + from, inputs, rank, v, count);
      float squares = 0;
      for (size_t i = 0; i < count; i++) squares += v[i] * v[i];
      total += squares;
    }
    const float norm = (float)sqrt(total);
    norms[row] = norm < smallest ? smallest : norm;
  }
  free(factors);
}

MULTIVERSION void mmd_column_norms(const float *weight, const uint16_t *half_weight, size_t inputs, size_t outputs,
                                   const float *down, const float *up, size_t rank, float scale, float *norms,
                                   size_t first, size_t last) {
  float v[strip], *const factors = malloc((rank + 1) * (strip + 1) * sizeof *factors), *const turned = factors + rank + 1;
  for (size_t from = first; from < last; from += strip) {
    const size_t count = last - from < strip ? last - from : strip;
    double total[strip] = {0};
    for (size_t j = 0; j < rank; j++)
      for (size_t i = 0; i < count; i++) turned[j * strip + i] = up[(from + i) * rank + j];
    for (size_t row = 0; row < inputs; row++) {
      for (size_t j = 0; j < rank; j++) factors[j] = scale * down[j * inputs + row];
      widen(weight, half_weight, row * outputs + from, v, count);
      add_rows(factors, turned, strip, rank, v, count);
      for (size_t i = 0; i < count; i++) total[i] += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < count; i++) {
      const float norm = (float)sqrt(total[i]);
      norms[from + i] = norm < smallest ? smallest : norm;
    }
  }
  free(factors);
}

MULTIVERSION void mmd_scale_columns(const float *x, const float *factors, const float *start, size_t start_stride,
                                    float *y, size_t rows, size_t width) {
  for (size_t r = 0; r < rows; r++, x += width, y += width) {
    if (!start) {
      for (size_t i = 0; i < width; i++) y[i] = x[i] * factors[i];
    } else {
      for (size_t i = 0; i < width; i++) y[i] = start[i] + x[i] * factors[i];
      start += start_stride;
    }
  }
}

MULTIVERSION void mmd_column_products(const float *a, const float *b, float *sum, size_t rows, size_t width) {
  for (size_t i = 0; i < width; i++) sum[i] = 0;
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < width; i++) sum[i] += a[r * width + i] * b[r * width + i];
}

MULTIVERSION void mmd_divide(const float *a, const float *b, float *y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = a[i] / b[i];
}
