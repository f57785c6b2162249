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

/// How many numbers share a magnitude, and how many magnitudes share one of theirs.
enum { mmd_nf4_block = 64, mmd_nf4_scale_block = 256 };
/// What the codes 0 … 15 stand for, in parts of their block's magnitude; ascending.
extern const float mmd_nf4_values[16];

/// A row-major matrix as 4-bit codes: number i is mmd_nf4_values[code i] · mmd_nf4_scale(block i / 64).
struct mmd_nf4 {
  /// Two a byte, the first in its high half.
  const uint8_t *_Nullable codes;
  /// 8-bit codes of the blocks' magnitudes; NULL where `magnitudes` are these themselves.
  const uint8_t *_Nullable scales;
  /// One for each block, or one for each 256 scales.
  const float *_Nullable magnitudes;
  /// What the scales stand for, [256], in parts of their magnitude, before the offset is added.
  const float *_Nullable map;
  float offset;
};

/// The magnitude of a block; its product is rounded before its sum.
static inline float mmd_nf4_scale(const struct mmd_nf4 *_Nonnull x, size_t block) {
#pragma STDC FP_CONTRACT OFF
  if (!x->scales) return x->magnitudes[block];
  const float moved = x->map[x->scales[block]] * x->magnitudes[block / mmd_nf4_scale_block];
  return moved + x->offset;
}

/// Codes and magnitudes of `count` numbers, of which only the last of a matrix may leave a block that is not full. The
/// magnitude of a block with numbers that are not finite is not finite. An odd last half byte is that of zero.
void mmd_nf4_quantise(const float *_Nonnull x, size_t count, uint8_t *_Nonnull codes, float *_Nonnull absmax);
/// The mean of magnitudes, which their codes are relative to.
float mmd_nf4_mean(const float *_Nonnull absmax, size_t count);
/// 8-bit codes in an ascending map of what absmax − offset is, and the largest magnitude of each 256.
void mmd_nf4_quantise_scales(const float *_Nonnull absmax, size_t count, float offset, const float *_Nonnull map,
                             uint8_t *_Nonnull codes, float *_Nonnull magnitudes);
/// The numbers first … first + count, rounded once, as f32 or as bf16, whichever is given.
void mmd_nf4_read(const struct mmd_nf4 *_Nonnull x, size_t first, size_t count, float *_Nullable y,
                  uint16_t *_Nullable half_y);

/// One term of a sum of products, A[m,k] · B[k,n] with k > 0: both f32, both bf16 with A's columns 1 apart, or f32
/// times bf16.
struct mmd_term {
  struct mmd_matrix a, b;
  size_t k;
  bool is_half;
  /// A is f32 and B bf16, or NF4 codes that are rounded to it: B is widened tile by tile.
  bool widens_b;
  /// Where it has codes, B is decoded from them tile by tile, and rounded to bf16 where A is or it widens_b: b.at means
  /// nothing, B's first number has the number nf4_first, and the strides count numbers. A's columns are 1 apart.
  struct mmd_nf4 nf4;
  size_t nf4_first;
};

/// C[m,n] = start + scale · Σ A · B with f32 sums, on the calling thread alone. Start has C's shape; with stride 0 it is
/// one row for all, and NULL is zero; it may be C itself. Where kernels other than OpenBLAS compute it, an element of C
/// depends on its own row of A and column of B alone; in products of bf16 numbers those below 2⁻¹²⁶ count as zero. The
/// caller's next product of the same terms probably begins so many numbers `ahead` in the first B, 0 if nobody knows.
#define MMD_PRODUCT(name)                                                                                              \
  void name(const struct mmd_term *_Nonnull terms, size_t count, size_t m, size_t n, float scale,                      \
            const float *_Nullable start, size_t start_stride, float *_Nonnull c, size_t c_stride, ptrdiff_t ahead)

typedef MMD_PRODUCT((*mmd_product));

/// Whether this processor has the registers that the kernels here are written for, and bf16 products on the widest.
bool mmd_has_avx2(void);
bool mmd_has_avx512(void);
bool mmd_has_bf16(void);
/// Whether it also has tiles for bf16 products; if so, asks the system to let this process use them.
bool mmd_has_amx(void);
/// Only where mmd_has_avx512, and for bf16 terms only where mmd_has_bf16.
MMD_PRODUCT(mmd_product_avx512);
/// Only where mmd_has_amx. In f32 the same bits as on AVX-512.
MMD_PRODUCT(mmd_product_amx);
/// Only where mmd_has_avx2; no bf16 terms. The same bits as on AVX-512.
MMD_PRODUCT(mmd_product_avx2);
/// Only after mmd_blas_load; no bf16 terms.
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
/// Its pullback: writes dq (strides as q), and dk and dv of the keys that the tile sees, or `adds` to them. bf16 tiles also
/// take kᵀ [head_width, keys] and d_o as bf16.
void mmd_attention_backward(const struct mmd_attention_tile *_Nonnull tile, const void *_Nullable k_transposed,
                            size_t k_transposed_stride, const float *_Nonnull o, const float *_Nonnull d_o,
                            const void *_Nullable half_d_o, size_t o_stride, const float *_Nonnull log_sum,
                            size_t log_sum_stride, float *_Nonnull dq, float *_Nonnull dk, float *_Nonnull dv,
                            size_t d_kv_stride, bool adds, float *_Nonnull scratch);
/// y[rows, groups, width] = Σ over `count` of x[rows, groups, count, width], in order.
void mmd_sum_groups(const float *_Nonnull x, size_t rows, size_t groups, size_t count, size_t width, float *_Nonnull y);
/// y[width, rows] = x[rows, width]ᵀ
void mmd_transpose_bf16(const uint16_t *_Nonnull x, size_t stride, size_t rows, size_t width, uint16_t *_Nonnull y);

// --- loss and optimiser -----------------------------------------------------------------------

/// nll[i] = log Σ exp(logits[i]) − logits[i, target]; with gradients, logits become scale · (softmax − one-hot).
void mmd_cross_entropy(float *_Nonnull logits, const int32_t *_Nonnull targets, float *_Nonnull nll, size_t rows,
                       size_t classes, float scale, bool gradients);

/// The losses of one row of logits, by weight: label smoothing of the cross-entropy, the square of log Σ exp (z-loss), the
/// distance from a teacher's logits at a temperature.
struct mmd_token_terms {
  float cross_entropy, smoothing, squared_log_sum, distillation, temperature;
};
/// losses[0 … 2] of a row, unweighted; with gradients, logits become d(Σ weight · loss) / d logits, times `scale`.
void mmd_token_losses(float *_Nonnull logits, const float *_Nullable teacher, int32_t target, float *_Nonnull losses,
                      size_t classes, const struct mmd_token_terms *_Nonnull terms, float scale, bool gradients);

/// What every rule of an update takes: which update of the parameter it is (1 is the first), the learning rate, the
/// weight decay, and what the gradient is multiplied with first.
struct mmd_update {
  int64_t number;
  double rate, decay;
  float gradient_scale;
};
struct mmd_adam {
  double beta1, beta2, epsilon;
};

/// One decoupled-weight-decay Adam update (Loshchilov & Hutter 2019), as torch.optim.AdamW orders it.
void mmd_adamw(float *_Nonnull weight, float *_Nonnull first, float *_Nonnull second, const float *_Nonnull gradient,
               size_t count, struct mmd_update update, struct mmd_adam adam);

enum {
  /// Elements that share a scale.
  mmd_block = 256,
  /// Numbers of one sign by their upper sixteen bits: below 2⁻²³ in slot 0, then one slot each up to 1.
  mmd_map_first = 104 << 7,
  mmd_map_slots = (127 << 7) - mmd_map_first + 2,
};
/// A map of 256 values that rise; a number becomes the code whose value is nearest, the lower of two.
///
/// slots[slot] (of numbers ≥ 0, then of those below) is the lowest code of a slot, and, times 256, the lower sixteen bits
/// (those of numbers below 0 inverted) above which the next code begins; 0xffff where none does.
struct mmd_map {
  const float *_Nonnull values;
  const uint32_t *_Nonnull slots;
};
/// Numbers as codes, blocks of mmd_block of them with a scale each: values[code] · scale.
struct mmd_codes {
  uint8_t *_Nonnull codes;
  float *_Nonnull scales;
  struct mmd_map map;
};
/// The same with both moments kept in 8 bits (Dettmers et al. 2022); pieces begin where blocks do.
void mmd_adamw_8bit(float *_Nonnull weight, struct mmd_codes first, struct mmd_codes second,
                    const float *_Nonnull gradient, size_t count, struct mmd_update update, struct mmd_adam adam);

/// Lion (Chen et al. 2023): a step of `rate` by the sign of beta1 · mean + (1 − beta1) · g, then mean ← beta2.
void mmd_lion(float *_Nonnull weight, float *_Nonnull mean, const float *_Nonnull gradient, size_t count,
              struct mmd_update update, double beta1, double beta2);
/// SGD as torch.optim.SGD: the decay is added to the gradient; without velocity there is no momentum.
void mmd_sgd(float *_Nonnull weight, float *_Nullable velocity, const float *_Nonnull gradient, size_t count,
             struct mmd_update update, double momentum, bool nesterov);

// Adafactor (Shazeer & Stern 2018), piece by piece of rows. g is gradient · gradient_scale.
/// row_means[r] = mean over columns, column_sums[i] = Σ over rows, of g² + epsilon.
void mmd_factored_squares(const float *_Nonnull gradient, size_t rows, size_t width, float gradient_scale,
                          float epsilon, float *_Nonnull row_means, float *_Nonnull column_sums);
/// y = 1 / √(x / divisor)
void mmd_inverse_roots(const float *_Nonnull x, double divisor, float *_Nonnull y, size_t count);
/// Σ u², u = row factor · column factor · g.
double mmd_factored_norm(const float *_Nonnull gradient, size_t rows, size_t width, float gradient_scale,
                         const float *_Nonnull row_factors, const float *_Nonnull column_factors);
/// weight = weight · shrink − step · u, or less the running mean of step · u where there is one.
void mmd_factored_step(float *_Nonnull weight, float *_Nullable mean, const float *_Nonnull gradient, size_t rows,
                       size_t width, float gradient_scale, const float *_Nonnull row_factors,
                       const float *_Nonnull column_factors, float shrink, float step, double momentum);

/// x += share · (target − x): a moving average.
void mmd_approach(float *_Nonnull x, const float *_Nonnull target, float share, size_t count);

#endif
