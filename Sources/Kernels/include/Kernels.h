// Single-threaded compute kernels over host memory.
//
// Every kernel works on a piece that its caller cut (a range of rows, an output tile), so that the
// pieces, their order, and with them the bits do not depend on how many threads there are.
// Matrices are row-major, f32 unless a name says otherwise. Shape legend: T rows (tokens), D width.
#ifndef MMDIST_KERNELS_H
#define MMDIST_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// --- products ---------------------------------------------------------------------------------

/// Loads OpenBLAS with the kernels that suit this processor. Returns NULL, or why it cannot be had.
const char *_Nullable mmd_blas_load(void);
/// The name of the kernels that OpenBLAS uses ("SkylakeX", …).
const char *_Nonnull mmd_blas_core(void);
/// C[m,n] = scale · op(A)[m,k] · op(B)[k,n] + keep · C, on the calling thread alone.
void mmd_product(bool transpose_a, bool transpose_b, int m, int n, int k, float scale,
                 const float *_Nonnull a, int a_stride, const float *_Nonnull b, int b_stride, float keep,
                 float *_Nonnull c, int c_stride);

/// Whether this processor multiplies bf16 numbers itself (AVX512-BF16).
bool mmd_has_bf16(void);
/// C[m,n] = scale · A[m,k] · op(B)[k,n] (+ C where it adds) for bf16 A and B, with f32 sums, on the calling thread
/// alone; only where mmd_has_bf16. Numbers below 2⁻¹²⁶ count as zero. A row of C depends on that row of A alone.
void mmd_product_bf16(bool transpose_b, size_t m, size_t n, size_t k, float scale, const uint16_t *_Nonnull a,
                      size_t a_stride, const uint16_t *_Nonnull b, size_t b_stride, bool adds, float *_Nonnull c,
                      size_t c_stride);
/// The same by OpenBLAS on panels widened to f32, on any processor; sums may round differently.
void mmd_product_bf16_widened(bool transpose_b, size_t m, size_t n, size_t k, float scale, const uint16_t *_Nonnull a,
                              size_t a_stride, const uint16_t *_Nonnull b, size_t b_stride, bool adds,
                              float *_Nonnull c, size_t c_stride, float *_Nonnull scratch);
/// How many floats its scratch holds.
size_t mmd_product_bf16_widened_scratch(size_t m, size_t n, size_t k);

/// How many cores the launcher and the system let this process run on.
int mmd_allowed_cores(void);

// --- conversions ------------------------------------------------------------------------------

void mmd_bf16_to_f32(const uint16_t *_Nonnull x, float *_Nonnull y, size_t count);
/// Rounds to nearest, ties to even; NaN stays NaN.
void mmd_f32_to_bf16(const float *_Nonnull x, uint16_t *_Nonnull y, size_t count);
void mmd_f16_to_f32(const uint16_t *_Nonnull x, float *_Nonnull y, size_t count);

// --- element by element -----------------------------------------------------------------------

void mmd_add(const float *_Nonnull a, const float *_Nonnull b, float *_Nonnull y, size_t count);
/// y += scale · x
void mmd_accumulate(const float *_Nonnull x, float scale, float *_Nonnull y, size_t count);
void mmd_scale(const float *_Nonnull x, float scale, float *_Nonnull y, size_t count);
/// Each row of y[rows, width] += bias[width]
void mmd_add_bias(float *_Nonnull y, const float *_Nonnull bias, size_t rows, size_t width);
/// sum[width] = Σ over rows of x[rows, width], rows in order.
void mmd_column_sum(const float *_Nonnull x, float *_Nonnull sum, size_t rows, size_t width);
/// Σ x², in double precision and a fixed order.
double mmd_sum_of_squares(const float *_Nonnull x, size_t count);

/// Which activation; the numbers are those of `Activation` in Tensors.
enum mmd_activation { mmd_gelu = 0, mmd_gelu_tanh = 1, mmd_quick_gelu = 2, mmd_silu = 3, mmd_relu = 4 };
void mmd_activate(int kind, const float *_Nonnull x, float *_Nonnull y, size_t count);
/// dx = dy · f′(x)
void mmd_activate_backward(int kind, const float *_Nonnull x, const float *_Nonnull dy, float *_Nonnull dx,
                           size_t count);
/// y = f(gate) · up
void mmd_gate(int kind, const float *_Nonnull gate, const float *_Nonnull up, float *_Nonnull y, size_t count);
void mmd_gate_backward(int kind, const float *_Nonnull gate, const float *_Nonnull up, const float *_Nonnull dy,
                       float *_Nonnull dgate, float *_Nonnull dup, size_t count);

/// y = x · keep / (1 − rate), where keep is drawn for (key, first + i) by a counter-based generator.
void mmd_dropout(const float *_Nonnull x, float *_Nonnull y, size_t count, float rate, uint64_t key, uint64_t first);

// --- norms ------------------------------------------------------------------------------------

/// y = x / rms(x) · weight; keeps 1/rms of every row for the backward pass.
void mmd_rms_norm(const float *_Nonnull x, const float *_Nonnull weight, float epsilon, float *_Nonnull y,
                  float *_Nonnull inverse_rms, size_t rows, size_t width);
/// dx, and, where dweight is given, dweight += Σ rows dy · x / rms.
void mmd_rms_norm_backward(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull inverse_rms,
                           const float *_Nonnull dy, float *_Nullable dx, float *_Nullable dweight, size_t rows,
                           size_t width);
void mmd_layer_norm(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull bias, float epsilon,
                    float *_Nonnull y, float *_Nonnull mean, float *_Nonnull inverse_deviation, size_t rows,
                    size_t width);
void mmd_layer_norm_backward(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull mean,
                             const float *_Nonnull inverse_deviation, const float *_Nonnull dy, float *_Nullable dx,
                             float *_Nullable dweight, float *_Nullable dbias, size_t rows, size_t width);

// --- attention --------------------------------------------------------------------------------

/// Rotates the halves of every head: y = x·cos + (direction)·rotated(x)·sin at each row's position.
/// cosines and sines are [positions, head_width / 2]; direction −1 gives the pullback.
void mmd_rotary(const float *_Nonnull x, float *_Nonnull y, size_t rows, size_t heads, size_t head_width,
                const int32_t *_Nonnull positions, const float *_Nonnull cosines, const float *_Nonnull sines,
                float direction);

/// One tile of attention: `rows` queries of one head against `keys` keys of its group's head.
///
/// Query row i sees keys [0, visible_first + i·visible_step) — all of them when visible_step is 0.
/// With dropout_rate > 0 attention weights are dropped, drawn for (dropout_key + i·2³², key index).
/// scratch holds rows·keys floats. o = softmax(scale · q kᵀ) v, log_sum[i] its log-normaliser.
void mmd_attention(const float *_Nonnull q, size_t q_stride, const float *_Nonnull k, const float *_Nonnull v,
                   size_t kv_stride, float *_Nonnull o, size_t o_stride, float *_Nonnull log_sum,
                   size_t log_sum_stride, size_t rows, size_t keys, size_t visible_first, size_t visible_step,
                   size_t head_width, float scale, float dropout_rate, uint64_t dropout_key, float *_Nonnull scratch);
/// Its pullback: writes dq, adds to dk and dv. scratch holds 2·rows·keys floats.
void mmd_attention_backward(const float *_Nonnull q, size_t q_stride, const float *_Nonnull k,
                            const float *_Nonnull v, size_t kv_stride, const float *_Nonnull o, size_t o_stride,
                            const float *_Nonnull log_sum, size_t log_sum_stride, const float *_Nonnull d_o,
                            float *_Nonnull dq, float *_Nonnull dk, float *_Nonnull dv, size_t rows, size_t keys,
                            size_t visible_first, size_t visible_step, size_t head_width, float scale,
                            float dropout_rate, uint64_t dropout_key, float *_Nonnull scratch);

// --- loss and optimiser -----------------------------------------------------------------------

/// nll[i] = log Σ exp(logits[i]) − logits[i, target]; with gradients, logits become softmax − one-hot.
void mmd_cross_entropy(float *_Nonnull logits, const int32_t *_Nonnull targets, float *_Nonnull nll, size_t rows,
                       size_t classes, bool gradients);

/// One decoupled-weight-decay Adam update (Loshchilov & Hutter 2019), as torch.optim.AdamW orders it.
void mmd_adamw(float *_Nonnull weight, float *_Nonnull first, float *_Nonnull second, const float *_Nonnull gradient,
               size_t count, float gradient_scale, double rate, double decay, double beta1, double beta2,
               double epsilon, int64_t step);

#endif
