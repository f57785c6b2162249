#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_rotary(const float *x, float *y, size_t rows, size_t heads, size_t head_width,
                             const int32_t *positions, const float *cosines, const float *sines, float direction) {
  const size_t half = head_width / 2;
  for (size_t r = 0; r < rows; r++) {
    const float *c = cosines + (size_t)positions[r] * half, *s = sines + (size_t)positions[r] * half;
    for (size_t h = 0; h < heads; h++, x += head_width, y += head_width)
      for (size_t i = 0; i < half; i++) {
        const float a = x[i], b = x[half + i], turn = direction * s[i];
        y[i] = a * c[i] - b * turn;
        y[half + i] = b * c[i] + a * turn;
      }
  }
}

INLINE size_t visible(size_t row, size_t keys, size_t first, size_t step) {
  const size_t count = step ? first + row * step : keys;
  return count < keys ? count : keys;
}

/// Turns one row of scores into exp(scale · (s − max)), hidden keys into 0; returns their sum.
INLINE float exponentiated(float *s, size_t seen, size_t keys, float scale, float *max_out) {
#pragma clang fp reassociate(on)
  float top = -INFINITY;
  for (size_t j = 0; j < seen; j++) top = s[j] > top ? s[j] : top;
  float sum = 0;
  for (size_t j = 0; j < seen; j++) {
    s[j] = exp_f32(scale * (s[j] - top));
    sum += s[j];
  }
  for (size_t j = seen; j < keys; j++) s[j] = 0;
  *max_out = top;
  return sum;
}

MULTIVERSION void mmd_attention(const float *q, size_t q_stride, const float *k, const float *v, size_t kv_stride,
                                float *o, size_t o_stride, float *log_sum, size_t log_sum_stride, size_t rows,
                                size_t keys, size_t visible_first, size_t visible_step, size_t head_width, float scale,
                                float dropout_rate, uint64_t dropout_key, float *scratch) {
  const size_t used = visible(rows - 1, keys, visible_first, visible_step);
  mmd_product(false, true, (int)rows, (int)used, (int)head_width, 1, q, (int)q_stride, k, (int)kv_stride, 0, scratch,
              (int)used);
  for (size_t i = 0; i < rows; i++) {
    float top;
    float *s = scratch + i * used;
    const float sum = exponentiated(s, visible(i, keys, visible_first, visible_step), used, scale, &top);
    log_sum[i * log_sum_stride] = scale * top + logf(sum);
    const float inverse = 1.0f / sum;
    for (size_t j = 0; j < used; j++) s[j] *= inverse;
    if (dropout_rate > 0)
      for (size_t j = 0; j < used; j++) s[j] *= dropout_factor(dropout_rate, dropout_key + ((uint64_t)i << 32), j);
  }
  mmd_product(false, false, (int)rows, (int)head_width, (int)used, 1, scratch, (int)used, v, (int)kv_stride, 0, o,
              (int)o_stride);
}

MULTIVERSION void mmd_attention_backward(const float *q, size_t q_stride, const float *k, const float *v,
                                         size_t kv_stride, const float *o, size_t o_stride, const float *log_sum,
                                         size_t log_sum_stride, const float *d_o, float *dq, float *dk, float *dv,
                                         size_t rows, size_t keys, size_t visible_first, size_t visible_step,
                                         size_t head_width, float scale,
                                         float dropout_rate, uint64_t dropout_key, float *scratch) {
#pragma clang fp reassociate(on)
  const size_t used = visible(rows - 1, keys, visible_first, visible_step);
  float *p = scratch, *dp = scratch + rows * used;
  mmd_product(false, true, (int)rows, (int)used, (int)head_width, 1, q, (int)q_stride, k, (int)kv_stride, 0, p,
              (int)used);
  mmd_product(false, true, (int)rows, (int)used, (int)head_width, 1, d_o, (int)o_stride, v, (int)kv_stride, 0, dp,
              (int)used);
  for (size_t i = 0; i < rows; i++) {
    const size_t seen = visible(i, keys, visible_first, visible_step);
    const float log_total = log_sum[i * log_sum_stride];
    const float *oi = o + i * o_stride, *di = d_o + i * o_stride;
    float along = 0;
    for (size_t j = 0; j < head_width; j++) along += oi[j] * di[j];
    float *pi = p + i * used, *dpi = dp + i * used;
    if (dropout_rate > 0) {
      for (size_t j = 0; j < seen; j++) {
        const float weight = exp_f32(scale * pi[j] - log_total);
        const float factor = dropout_factor(dropout_rate, dropout_key + ((uint64_t)i << 32), j);
        pi[j] = weight * factor;
        dpi[j] = scale * weight * (dpi[j] * factor - along);
      }
    } else {
      for (size_t j = 0; j < seen; j++) {
        pi[j] = exp_f32(scale * pi[j] - log_total);
        dpi[j] = scale * pi[j] * (dpi[j] - along);
      }
    }
    for (size_t j = seen; j < used; j++) pi[j] = dpi[j] = 0;
  }
  mmd_product(true, false, (int)used, (int)head_width, (int)rows, 1, p, (int)used, d_o, (int)o_stride, 1, dv,
              (int)kv_stride);
  mmd_product(false, false, (int)rows, (int)head_width, (int)used, 1, dp, (int)used, k, (int)kv_stride, 0, dq,
              (int)q_stride);
  mmd_product(true, false, (int)used, (int)head_width, (int)rows, 1, dp, (int)used, q, (int)q_stride, 1, dk,
              (int)kv_stride);
}
