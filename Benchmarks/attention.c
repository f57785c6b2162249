// The attention kernels alone, on one thread, best of 30: what of their time is not products is softmax.
//
//   k=Sources/Kernels; clang -O3 -I$k -I$k/include $k/{products_avx512,nf4,attention}.c Benchmarks/attention.c -lm -o attention-bench
//   ./attention-bench [KEYS] [causal]
//
// 16 heads of width 64 of KEYS (577) rows, in float32 and in bf16; GFLOP/s of processor time, two products counted
// forward and five backward, of pairs that see each other. The last figure is a checksum of the output: a change that
// should not touch bits leaves it as it is.
#include "Kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { heads = 16, width = 64, stride = heads * width };

static double processor_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/// `count` numbers from −scale to scale, in float32 or as the upper halves of such.
static void *numbers(size_t count, float scale, bool is_half) {
  float *x = aligned_alloc(64, (count * 4 + 63) / 64 * 64);
  for (size_t i = 0; i < count; i++) {
    x[i] = scale * (2 * (float)rand() / (float)RAND_MAX - 1);
    uint32_t bits;
    memcpy(&bits, &x[i], 4);
    if (is_half) ((uint16_t *)x)[i] = (uint16_t)(bits >> 16);  // behind what is still to be drawn
  }
  return x;
}

static void *moved(void *x, size_t count, bool is_half) { return (char *)x + count * (is_half ? 2 : 4); }

struct inputs {
  size_t keys;
  bool causal, is_half;
  void *q, *k, *v;
};

/// The tile of some queries of a head, and where they begin.
static struct mmd_attention_tile tile_of(const struct inputs *x, size_t head, size_t row, size_t rows) {
  return (struct mmd_attention_tile){
      .product = mmd_product_avx512, .is_half = x->is_half, .q = moved(x->q, row * stride + head * width, x->is_half),
      .k = moved(x->k, head * width, x->is_half), .v = moved(x->v, head * width, x->is_half), .q_stride = stride,
      .kv_stride = stride, .rows = rows, .keys = x->keys, .visible_first = x->causal ? row + 1 : x->keys,
      .visible_step = x->causal, .head_width = width, .scale = 0.125f};
}

static float *room(size_t count) { return aligned_alloc(64, (count * 4 + 63) / 64 * 64); }

static double checksum(const float *x, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += x[i] * (double)(i * 2654435761u % 97);
  return sum;
}

static void report(const struct inputs *x, const char *way, double products, double seconds, double sum) {
  const double operations = 2 * products * (double)x->keys * (double)x->keys * stride / (x->causal ? 2 : 1);
  printf("%s %4zu keys%s, %s: %.3f ms, %.0f GFLOP/s, %.9g\n", x->is_half ? "bf16" : "f32 ", x->keys,
         x->causal ? ", causal" : "", way, seconds * 1e3, operations / seconds * 1e-9, sum);
}

static void measure(size_t keys, bool causal, bool is_half) {
  const size_t count = keys * stride, wide = 110000 / keys < 64 ? 64 : 110000 / keys;
  const size_t most = causal ? 64 : wide > 192 ? 192 : wide, most_backward = causal ? 48 : 64;
  srand(1);
  const struct inputs x = {
      keys, causal, is_half, numbers(count, 1, is_half), numbers(count, 1, is_half), numbers(count, 0.5f, is_half)};
  float *o = room(count), *log_sum = room(keys * heads), *d_o = numbers(count, 0.5f, false);
  float *dq = room(count), *dk = room(count), *dv = room(count);
  uint16_t *half_d_o = numbers(count, 0.5f, true), *k_transposed = calloc(count, 2);
  for (size_t i = 0; i < count && is_half; i++) k_transposed[i % stride * keys + i / stride] = ((uint16_t *)x.k)[i];
  float *scratch = room(mmd_attention_scratch(most > 64 ? most : 64, keys, width, true));
  double best[2] = {1e9, 1e9};
  for (int round = 0; round < 60; round++) {
    const bool backward = round >= 30;
    const double began = processor_seconds();
    for (size_t head = 0; head < heads; head++)
      for (size_t from = 0, rows; from < keys; from += rows) {
        const size_t largest = backward ? most_backward : most;
        rows = keys - from < largest ? keys - from : largest;
        // Backward the last queries come first.
        const size_t row = backward ? keys - from - rows : from, place = row * stride + head * width;
        const struct mmd_attention_tile tile = tile_of(&x, head, row, rows);
        if (!backward) mmd_attention(&tile, o + place, stride, log_sum + head * keys + row, 1, scratch);
        else
          mmd_attention_backward(&tile, k_transposed + head * width * keys, keys, o + place, d_o + place,
                                 is_half ? half_d_o + place : NULL, stride, log_sum + head * keys + row, 1, dq + place,
                                 dk + head * width, dv + head * width, stride, from > 0, scratch);
      }
    const double took = processor_seconds() - began;
    best[backward] = took < best[backward] ? took : best[backward];
  }
  report(&x, "forward", 2, best[0], checksum(o, count));
  report(&x, "backward", 5, best[1], checksum(dq, count) + checksum(dk, count) + checksum(dv, count));
  free(x.q), free(x.k), free(x.v), free(o), free(log_sum), free(d_o), free(dq), free(dk), free(dv), free(half_d_o);
  free(k_transposed), free(scratch);
}

int main(int count, char **words) {
  const size_t keys = count > 1 ? (size_t)atoi(words[1]) : 577;
  if (!mmd_has_bf16() || keys < 1) return 1;
  for (int is_half = 0; is_half < 2; is_half++) measure(keys, count > 2, is_half);
}
