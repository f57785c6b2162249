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

// Rows of scores have room for whole registers, so that no loop over them ends in single numbers.
INLINE size_t whole(size_t count) { return (count + lanes - 1) / lanes * lanes; }

/// The largest score of a row; hidden scores up to a whole register become −∞.
INLINE float top_score(float *s, size_t seen) {
  for (size_t j = seen; j < whole(seen); j++) s[j] = -INFINITY;
  return largest(s, whole(seen));
}

/// Turns one row of scores into exp(scale · (s − top)), hidden keys into 0; returns their sum.
INLINE float exponentiated(float *s, size_t seen, size_t keys, float scale, float top) {
  vector sums = 0;
  for (size_t j = 0; j < whole(seen); j += lanes) {
    for (size_t l = j; l < j + lanes; l++) s[l] = exp_up_to_88(scale * (s[l] - top));
    sums += vector_at(s + j);
  }
  for (size_t j = whole(seen); j < keys; j++) s[j] = 0;
  return vector_sum(sums);
}

INLINE struct mmd_matrix rows_of(const void *x, size_t stride) { return (struct mmd_matrix){x, stride, 1}; }
INLINE struct mmd_matrix transposed(const void *x, size_t stride) { return (struct mmd_matrix){x, 1, stride}; }

/// C[m,n] = A[m,k] · B[k,n], added to C where it `adds`.
INLINE void multiply(const struct mmd_attention_tile *tile, struct mmd_matrix a, struct mmd_matrix b, size_t m, size_t n,
                     size_t k, bool adds, float *c, size_t c_stride) {
  const struct mmd_term term = {.a = a, .b = b, .k = k, .is_half = tile->is_half};
  tile->product(&term, 1, m, n, 1, adds ? c : NULL, c_stride, c, c_stride, 0);
}

size_t mmd_attention_scratch(size_t rows, size_t keys, size_t head_width, bool backward) {
  return backward ? 3 * whole(rows) * keys + whole(rows) * (head_width + 2) : 2 * rows * whole(keys) + 2 * rows;
}

MULTIVERSION void mmd_attention(const struct mmd_attention_tile *tile, float *o, size_t o_stride, float *log_sum,
                                size_t log_sum_stride, float *scratch) {
  const size_t rows = tile->rows, width = tile->head_width;
  const size_t used = visible(rows - 1, tile->keys, tile->visible_first, tile->visible_step);
  const size_t stride = whole(used);
  const float scale = tile->scale, rate = tile->dropout_rate;
  float *sums = scratch + rows * stride, *tops = sums + rows;
  uint16_t *half = (uint16_t *)(tops + rows);
  multiply(tile, rows_of(tile->q, tile->q_stride), transposed(tile->k, tile->kv_stride), rows, used, width, false,
           scratch, stride);
  // One pass finds all maxima: what a row waits for at its end is hidden by the next one.
  for (size_t i = 0; i < rows; i++)
    tops[i] = top_score(scratch + i * stride, visible(i, tile->keys, tile->visible_first, tile->visible_step));
  for (size_t i = 0; i < rows; i++) {
    float *s = scratch + i * stride;
    sums[i] = exponentiated(s, visible(i, tile->keys, tile->visible_first, tile->visible_step), used, scale, tops[i]);
    if (rate > 0)
      for (size_t j = 0; j < used; j++) s[j] *= dropout_factor(rate, tile->dropout_key + ((uint64_t)i << 32), j);
    if (tile->is_half)
      for (size_t j = 0; j < stride; j++) half[i * stride + j] = bf16_of(s[j]);
  }
  multiply(tile, rows_of(tile->is_half ? (void *)half : scratch, stride), rows_of(tile->v, tile->kv_stride), rows,
           width, used, false, o, o_stride);
  // Weights are divided by their sum here, where there are fewer numbers.
  for (size_t i = 0; i < rows; i++) {
    const float inverse = 1.0f / sums[i];
    for (size_t j = 0; j < width; j++) o[i * o_stride + j] *= inverse;
    log_sum[i * log_sum_stride] = scale * tops[i] + logf(sums[i]);
  }
}

/// From scores s and gradients d of the weights, for one key and the rows from `first` on: the weights after dropout,
/// and the gradients of the scores. `log_sum` and `along`, Σ o · dₒ, are each row's. What lies beyond the tile's rows,
/// up to `stride`, means nothing before and after.
INLINE void differentiate(const struct mmd_attention_tile *tile, size_t key, size_t first, size_t stride,
                          float *restrict s, float *restrict d, const float *restrict log_sum,
                          const float *restrict along) {
  const float scale = tile->scale, rate = tile->dropout_rate;
  const size_t start = first / lanes * lanes;
  if (rate > 0) {
    for (size_t i = start; i < stride; i++) {
      const float weight = exp_up_to_88(scale * s[i] - log_sum[i]);
      const float factor = dropout_factor(rate, tile->dropout_key + ((uint64_t)i << 32), key);
      s[i] = weight * factor;
      d[i] = scale * weight * (d[i] * factor - along[i]);
    }
  } else {
    for (size_t i = start; i < stride; i++) {
      s[i] = exp_up_to_88(scale * s[i] - log_sum[i]);
      d[i] = scale * s[i] * (d[i] - along[i]);
    }
  }
  for (size_t i = 0; i < first; i++) s[i] = d[i] = 0;
}

// Scores are kept by keys here, [keys, rows]: so dk and dv, which sum over rows, read them where they lie.
MULTIVERSION void mmd_attention_backward(const struct mmd_attention_tile *tile, const void *k_transposed,
                                         size_t k_transposed_stride, const float *o, const float *d_o,
                                         const void *half_d_o, size_t o_stride, const float *log_sum,
                                         size_t log_sum_stride, float *dq, float *dk, float *dv, size_t d_kv_stride,
                                         bool adds, float *scratch) {
#pragma clang fp reassociate(on)
  const size_t rows = tile->rows, width = tile->head_width, kv_stride = tile->kv_stride;
  const size_t used = visible(rows - 1, tile->keys, tile->visible_first, tile->visible_step);
  const size_t stride = whole(rows);
  float *scores = scratch, *d_scores = scores + used * stride, *dq_transposed = d_scores + used * stride;
  float *row_log_sum = dq_transposed + width * stride, *along = row_log_sum + stride;
  uint16_t *half_scores = (uint16_t *)(along + stride), *half_d_scores = half_scores + used * stride;
  const struct mmd_matrix d_out = rows_of(tile->is_half ? half_d_o : d_o, o_stride);
  const struct mmd_matrix d_out_transposed = {d_out.at, 1, o_stride};

  multiply(tile, rows_of(tile->k, kv_stride), transposed(tile->q, tile->q_stride), used, rows, width, false, scores,
           stride);
  multiply(tile, rows_of(tile->v, kv_stride), d_out_transposed, used, rows, width, false, d_scores, stride);
  for (size_t i = 0; i < rows; i++) {
    const float *oi = o + i * o_stride, *di = d_o + i * o_stride;
    float sum = 0;
    for (size_t j = 0; j < width; j++) sum += oi[j] * di[j];
    along[i] = sum;
    row_log_sum[i] = log_sum[i * log_sum_stride];
  }
  for (size_t i = rows; i < stride; i++) along[i] = row_log_sum[i] = 0;
  for (size_t key = 0; key < used; key++) {
    const size_t hidden = tile->visible_step && key >= tile->visible_first ? key + 1 - tile->visible_first : 0;
    float *s = scores + key * stride, *d = d_scores + key * stride;
    differentiate(tile, key, hidden, stride, s, d, row_log_sum, along);
    if (tile->is_half)
      for (size_t i = 0; i < stride; i++) {
        half_scores[key * stride + i] = bf16_of(s[i]);
        half_d_scores[key * stride + i] = bf16_of(d[i]);
      }
  }
  const struct mmd_matrix weights = rows_of(tile->is_half ? (void *)half_scores : scores, stride);
  const struct mmd_matrix d_weights = rows_of(tile->is_half ? (void *)half_d_scores : d_scores, stride);
  multiply(tile, weights, d_out, used, width, rows, adds, dv, d_kv_stride);
  multiply(tile, d_weights, rows_of(tile->q, tile->q_stride), used, width, rows, adds, dk, d_kv_stride);
  if (!tile->is_half) {
    multiply(tile, transposed(d_scores, stride), rows_of(tile->k, kv_stride), rows, width, used, false, dq,
             tile->q_stride);
    return;
  }
  // A first factor in bf16 cannot be transposed: dqᵀ = kᵀ · d_scores instead.
  multiply(tile, rows_of(k_transposed, k_transposed_stride), d_weights, width, rows, used, false, dq_transposed, rows);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < width; j++) dq[i * tile->q_stride + j] = dq_transposed[j * rows + i];
}

MULTIVERSION void mmd_sum_groups(const float *x, size_t rows, size_t groups, size_t count, size_t width, float *y) {
  for (size_t r = 0; r < rows * groups; r++, x += count * width, y += width) {
    for (size_t i = 0; i < width; i++) y[i] = x[i];
    for (size_t j = 1; j < count; j++)
      for (size_t i = 0; i < width; i++) y[i] += x[j * width + i];
  }
}

void mmd_transpose_bf16(const uint16_t *x, size_t stride, size_t rows, size_t width, uint16_t *y) {
  for (size_t row = 0; row < rows; row++)
    for (size_t column = 0; column < width; column++) y[column * rows + row] = x[row * stride + column];
}
