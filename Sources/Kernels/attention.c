#include "Kernels.h"
#include "vector_math.h"

MULTIVERSION void mmd_rotary(float *x, size_t rows, size_t heads, size_t head_width,
                             const int32_t *positions, const float *cosines, const float *sines, float direction) {
  const size_t half = head_width / 2;
  for (size_t r = 0; r < rows; r++) {
    const float *c = cosines + (size_t)positions[r] * half, *s = sines + (size_t)positions[r] * half;
    for (size_t h = 0; h < heads; h++, x += head_width)
      for (size_t i = 0; i < half; i++) {
        const float a = x[i], b = x[half + i], turn = direction * s[i];
        x[i] = a * c[i] - b * turn;
        x[half + i] = b * c[i] + a * turn;
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

INLINE struct mmd_matrix rows_of(const float *x, size_t stride) { return (struct mmd_matrix){x, stride, 1}; }
INLINE struct mmd_matrix transposed(const float *x, size_t stride) { return (struct mmd_matrix){x, 1, stride}; }

/// C[m,n] = A[m,k] · B[k,n], added to C where it `adds`.
INLINE void multiply(mmd_product product, struct mmd_matrix a, struct mmd_matrix b, size_t m, size_t n, size_t k,
                     bool adds, float *c, size_t c_stride) {
  const struct mmd_term term = {a, b, k, false};
  product(&term, 1, m, n, 1, adds ? c : NULL, c_stride, c, c_stride);
}

MULTIVERSION void mmd_attention(mmd_product product, const float *q, size_t q_stride, const float *k, const float *v,
                                size_t kv_stride, float *o, size_t o_stride, float *log_sum, size_t log_sum_stride,
                                size_t rows, size_t keys, size_t visible_first, size_t visible_step, size_t head_width,
                                float scale, float dropout_rate, uint64_t dropout_key, float *scratch) {
  const size_t used = visible(rows - 1, keys, visible_first, visible_step);
  multiply(product, rows_of(q, q_stride), transposed(k, kv_stride), rows, used, head_width, false, scratch, used);
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
  multiply(product, rows_of(scratch, used), rows_of(v, kv_stride), rows, head_width, used, false, o, o_stride);
}

MULTIVERSION void mmd_attention_backward(mmd_product product, const float *q, size_t q_stride, const float *k,
                                         const float *v, size_t kv_stride, const float *o, size_t o_stride,
                                         const float *log_sum, size_t log_sum_stride, const float *d_o, float *dq,
                                         float *dk, float *dv, size_t rows, size_t keys, size_t visible_first,
                                         size_t visible_step, size_t head_width, float scale, float dropout_rate,
                                         uint64_t dropout_key, float *scratch) {
#pragma clang fp reassociate(on)
  const size_t used = visible(rows - 1, keys, visible_first, visible_step);
  float *p = scratch, *dp = scratch + rows * used;
  multiply(product, rows_of(q, q_stride), transposed(k, kv_stride), rows, used, head_width, false, p, used);
  multiply(product, rows_of(d_o, o_stride), transposed(v, kv_stride), rows, used, head_width, false, dp, used);
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
  multiply(product, transposed(p, used), rows_of(d_o, o_stride), used, head_width, rows, true, dv, kv_stride);
  multiply(product, rows_of(dp, used), rows_of(k, kv_stride), rows, head_width, used, false, dq, q_stride);
  multiply(product, transposed(dp, used), rows_of(q, q_stride), used, head_width, rows, true, dk, kv_stride);
}
