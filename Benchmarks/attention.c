// The attention kernel alone, on one thread, best of 30: what of its time is not products is softmax.
//
//   k=Sources/Kernels; clang -O3 -I$k -I$k/include $k/{products_avx512,nf4,attention}.c Benchmarks/attention.c -lm -o attention-bench
//   ./attention-bench [KEYS] [causal]
//
// 16 heads of width 64 of KEYS (577) rows, in float32 and in bf16; GFLOP/s of processor time, two products counted. The
// last figure is a checksum of the output: a change that should not touch bits leaves it as it is.
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

static void measure(size_t keys, bool causal, bool is_half) {
  const size_t wide = 110000 / keys < 64 ? 64 : 110000 / keys, tile_rows = causal ? 64 : wide > 192 ? 192 : wide;
  srand(1);
  void *q = numbers(keys * stride, 1, is_half), *k = numbers(keys * stride, 1, is_half);
  void *v = numbers(keys * stride, 0.5f, is_half);
  float *o = calloc(keys * stride, 4), *log_sum = calloc(keys * heads, 4);
  float *scratch = aligned_alloc(64, (mmd_attention_scratch(tile_rows, keys, width, false) * 4 + 63) / 64 * 64);
  double best = 1e9, sum = 0;
  for (int round = 0; round < 30; round++) {
    const double began = processor_seconds();
    for (size_t head = 0; head < heads; head++)
      for (size_t row = 0; row < keys; row += tile_rows) {
        const size_t rows = keys - row < tile_rows ? keys - row : tile_rows, place = row * stride + head * width;
        const struct mmd_attention_tile tile = {
            .product = mmd_product_avx512, .is_half = is_half, .q = moved(q, place, is_half),
            .k = moved(k, head * width, is_half), .v = moved(v, head * width, is_half), .q_stride = stride,
            .kv_stride = stride, .rows = rows, .keys = keys, .visible_first = causal ? row + 1 : 0,
            .visible_step = causal, .head_width = width, .scale = 0.125f};
        mmd_attention(&tile, o + place, stride, log_sum + head * keys + row, 1, scratch);
      }
    const double took = processor_seconds() - began;
    best = took < best ? took : best;
  }
  for (size_t i = 0; i < keys * stride; i++) sum += o[i] * (double)(i * 2654435761u % 97);
  const double operations = 4.0 * (double)keys * (double)keys * stride / (causal ? 2 : 1);
  printf("%s %4zu keys%s: %.3f ms, %.0f GFLOP/s, %.9g\n", is_half ? "bf16" : "f32 ", keys, causal ? ", causal" : "",
         best * 1e3, operations / best * 1e-9, sum);
  free(q), free(k), free(v), free(o), free(log_sum), free(scratch);
}

int main(int count, char **words) {
  const size_t keys = count > 1 ? (size_t)atoi(words[1]) : 577;
  if (!mmd_has_bf16() || keys < 1) return 1;
  for (int is_half = 0; is_half < 2; is_half++) measure(keys, count > 2, is_half);
}
