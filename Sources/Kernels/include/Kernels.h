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
/// Where a matrix lies: element (row, column) is at + row · row_stride + column · column_stride; one of them is 1.
struct mmd_matrix {
  const void *_Nonnull at;
  size_t row_stride, column_stride;
};

/// One term of a sum of products, A[m,k] · B[k,n] with k > 0: both f32, or both bf16 with A's columns 1 apart.
struct mmd_term {
  struct mmd_matrix a, b;
  size_t k;
  bool is_half;
};

/// C[m,n] = start + scale · Σ A · B with f32 sums, on the calling thread alone. Start has C's shape; with stride 0 it is
/// one row for all, and NULL is zero; it may be C itself. Where the AVX-512 kernels compute it, an element of C depends on
/// its own rows of A and columns of B alone, and bf16 numbers below 2⁻¹²⁶ count as zero.
#define MMD_PRODUCT(name)                                                                                              \
  void name(const struct mmd_term *_Nonnull terms, size_t count, size_t m, size_t n, float scale,                      \
            const float *_Nullable start, size_t start_stride, float *_Nonnull c, size_t c_stride)

typedef MMD_PRODUCT((*mmd_product));

/// Whether this processor has the AVX-512 registers that the kernels here are written for, and their bf16 products.
bool mmd_has_avx512(void);
bool mmd_has_bf16(void);
/// Only where mmd_has_avx512, and for bf16 terms only where mmd_has_bf16.
MMD_PRODUCT(mmd_product_avx512);
/// The same where there are no bf16 products: panels are widened to f32. Sums may round differently.
MMD_PRODUCT(mmd_product_avx512_widened);
/// By OpenBLAS, bf16 panels widened to f32; only after mmd_blas_load.
MMD_PRODUCT(mmd_product_openblas);

/// Lets a core rest for a moment while its thread watches memory.
static inline void mmd_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
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
/// y = f(gate) · up, as f32 or as bf16, whichever is given.
void mmd_gate(int kind, const float *_Nonnull gate, const float *_Nonnull up, float *_Nullable y,
              uint16_t *_Nullable half_y, size_t count);
/// The gradients of gate and up, as bf16 where given, else in their own places.
void mmd_gate_backward(int kind, float *_Nonnull gate, float *_Nonnull up, const float *_Nonnull dy,
                       uint16_t *_Nullable half_gate, uint16_t *_Nullable half_up, size_t count);
/// y[width, rows] = x[rows, width]ᵀ, as f32 or as bf16, whichever is given.
void mmd_transpose(const float *_Nonnull x, size_t stride, size_t rows, size_t width, float *_Nullable y,
                   uint16_t *_Nullable half_y, size_t y_stride);

/// y = x · keep / (1 − rate), where keep is drawn for (key, first + i) by a counter-based generator.
void mmd_dropout(const float *_Nonnull x, float *_Nonnull y, size_t count, float rate, uint64_t key, uint64_t first);
void mmd_dropout_bf16(const uint16_t *_Nonnull x, uint16_t *_Nonnull y, size_t count, float rate, uint64_t key,
                      uint64_t first);

// --- norms ------------------------------------------------------------------------------------

/// y = x / rms(x) · weight, as f32 or as bf16, whichever is given; keeps 1/rms of every row for the backward pass.
void mmd_rms_norm(const float *_Nonnull x, const float *_Nonnull weight, float epsilon, float *_Nullable y,
                  uint16_t *_Nullable half_y, float *_Nonnull inverse_rms, size_t rows, size_t width);
/// dx (+ residual where given), and, where dweight is given, dweight += Σ rows dy · x / rms.
void mmd_rms_norm_backward(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull inverse_rms,
                           const float *_Nonnull dy, const float *_Nullable residual, float *_Nullable dx, float *_Nullable dweight, size_t rows,
                           size_t width);
void mmd_layer_norm(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull bias, float epsilon,
                    float *_Nonnull y, float *_Nonnull mean, float *_Nonnull inverse_deviation, size_t rows,
                    size_t width);
void mmd_layer_norm_backward(const float *_Nonnull x, const float *_Nonnull weight, const float *_Nonnull mean,
                             const float *_Nonnull inverse_deviation, const float *_Nonnull dy, float *_Nullable dx,
                             float *_Nullable dweight, float *_Nullable dbias, size_t rows, size_t width);

// --- magnitudes -------------------------------------------------------------------------------

/// norms[o] = ‖W[o, ·] + scale · up[o, ·] · down‖, at least 1e-30, for rows [first, last) of W [outputs, inputs], f32 or
/// bf16, whichever is given; down [rank, inputs], up [outputs, rank].
void mmd_row_norms(const float *_Nullable weight, const uint16_t *_Nullable half_weight, size_t inputs,
                   const float *_Nonnull down, const float *_Nonnull up, size_t rank, float scale,
                   float *_Nonnull norms, size_t first, size_t last);
/// The same for columns [first, last) of a W that is stored [inputs, outputs].
void mmd_column_norms(const float *_Nullable weight, const uint16_t *_Nullable half_weight, size_t inputs,
                      size_t outputs, const float *_Nonnull down, const float *_Nonnull up, size_t rank, float scale,
                      float *_Nonnull norms, size_t first, size_t last);
/// y[rows, width] = start + x · factors[width]; with stride 0 start is one row for all, and NULL is zero.
void mmd_scale_columns(const float *_Nonnull x, const float *_Nonnull factors, const float *_Nullable start,
                       size_t start_stride, float *_Nonnull y, size_t rows, size_t width);
/// sum[width] = Σ over rows of a · b, rows in order.
void mmd_column_products(const float *_Nonnull a, const float *_Nonnull b, float *_Nonnull sum, size_t rows,
                         size_t width);
void mmd_divide(const float *_Nonnull a, const float *_Nonnull b, float *_Nonnull y, size_t count);

// --- attention --------------------------------------------------------------------------------

/// Rotates the halves of every head in place: x = x·cos + (direction)·rotated(x)·sin at each row's position.
/// cosines and sines are [positions, head_width / 2]; direction −1 gives the pullback.
void mmd_rotary(float *_Nonnull x, size_t rows, size_t heads, size_t head_width,
                const int32_t *_Nonnull positions, const float *_Nonnull cosines, const float *_Nonnull sines,
                float direction);

/// One tile of attention: `rows` queries of one head against `keys` keys of its group's head.
struct mmd_attention_tile {
  mmd_product _Nonnull product;
  /// Whether q, k and v are bf16; then so are the weights where they are multiplied.
  bool is_half;
  const void *_Nonnull q;
  const void *_Nonnull k;
  const void *_Nonnull v;
  size_t q_stride, kv_stride, rows, keys;
  /// Query row i sees keys [0, visible_first + i·visible_step), all of them when visible_step is 0; the step is at most 1.
  size_t visible_first, visible_step;
  size_t head_width;
  float scale;
  /// Above 0, weights are dropped, drawn for (dropout_key + i·2³², key index).
  float dropout_rate;
  uint64_t dropout_key;
};

/// How many floats of scratch a tile takes.
size_t mmd_attention_scratch(size_t rows, size_t keys, size_t head_width, bool backward);
/// o = softmax(scale · q kᵀ) v, log_sum[i] its log-normaliser.
void mmd_attention(const struct mmd_attention_tile *_Nonnull tile, float *_Nonnull o, size_t o_stride,
                   float *_Nonnull log_sum, size_t log_sum_stride, float *_Nonnull scratch);
/// Its pullback: writes dq (strides as q), adds to dk and dv (as k). bf16 tiles also take kᵀ [head_width, keys] and d_o
/// as bf16.
void mmd_attention_backward(const struct mmd_attention_tile *_Nonnull tile, const void *_Nullable k_transposed,
                            const float *_Nonnull o, const float *_Nonnull d_o, const void *_Nullable half_d_o,
                            size_t o_stride, const float *_Nonnull log_sum, size_t log_sum_stride, float *_Nonnull dq,
                            float *_Nonnull dk, float *_Nonnull dv, float *_Nonnull scratch);
/// y[width, rows] = x[rows, width]ᵀ
void mmd_transpose_bf16(const uint16_t *_Nonnull x, size_t stride, size_t rows, size_t width, uint16_t *_Nonnull y);

// --- loss and optimiser -----------------------------------------------------------------------

/// nll[i] = log Σ exp(logits[i]) − logits[i, target]; with gradients, logits become softmax − one-hot.
void mmd_cross_entropy(float *_Nonnull logits, const int32_t *_Nonnull targets, float *_Nonnull nll, size_t rows,
                       size_t classes, bool gradients);

/// One decoupled-weight-decay Adam update (Loshchilov & Hutter 2019), as torch.optim.AdamW orders it.
void mmd_adamw(float *_Nonnull weight, float *_Nonnull first, float *_Nonnull second, const float *_Nonnull gradient,
               size_t count, float gradient_scale, double rate, double decay, double beta1, double beta2,
               double epsilon, int64_t step);

#endif
