// OpenBLAS, loaded by hand: its choice of kernels is made in a library constructor from an environment
// variable, and it does not know newer processors, on which it falls back to half the speed. Loading it
// after that variable is set makes the right kernels be used without starting the program twice.
#define _GNU_SOURCE
#include "Kernels.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

typedef void (*sgemm_function)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                               const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

static sgemm_function sgemm;
static const char *core_name = "none";

#if defined(__x86_64__)
static bool has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}
#else
static bool has_avx512(void) { return false; }
#endif

const char *mmd_blas_load(void) {
  static char problem[512];
  if (sgemm) return NULL;
  // OPENBLAS_CORETYPE is often set for a whole site, for its oldest node; MMDIST_BLAS_CORE is for this program alone.
  const char *wanted = getenv("MMDIST_BLAS_CORE");
  if (wanted) setenv("OPENBLAS_CORETYPE", wanted, 1);
  else if (has_avx512()) setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
  setenv("OPENBLAS_NUM_THREADS", "1", 1);  // work is spread by our own workers
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    snprintf(problem, sizeof problem, "%s", why ? why : "libopenblas.so.0 cannot be loaded");
    return problem;
  }
  sgemm_function found = (sgemm_function)dlsym(library, "cblas_sgemm");
  char *(*core)(void) = (char *(*)(void))dlsym(library, "openblas_get_corename");
  if (!found) return "libopenblas.so.0 has no cblas_sgemm";
  if (core) core_name = core();
  sgemm = found;
  return NULL;
}

const char *mmd_blas_core(void) { return core_name; }

/// C = start, row by row.
static void begin(const float *start, size_t start_stride, size_t m, size_t n, float *c, size_t c_stride) {
  if (!start || (start == c && start_stride == c_stride)) return;
  for (size_t i = 0; i < m; i++) memcpy(c + i * c_stride, start + i * start_stride, n * sizeof *c);
}

/// Whether a matrix of so many columns is stored by columns; where both strides are 1 it is one row or one column.
static bool is_across(struct mmd_matrix x, size_t columns) {
  return x.column_stride != 1 || (x.row_stride == 1 && columns > 1);
}

/// C = A · B · scale of one f32 term, added to C where it `adds`.
typedef void one_product(const struct mmd_term *term, size_t m, size_t n, float scale, bool adds, float *c,
                         size_t c_stride);

static void by_openblas(const struct mmd_term *term, size_t m, size_t n, float scale, bool adds, float *c,
                        size_t c_stride) {
  enum { row_major = 101, plain = 111, transposed = 112 };
  const struct mmd_matrix a = term->a, b = term->b;
  const bool across_a = is_across(a, term->k), across_b = is_across(b, n);
  sgemm(row_major, across_a ? transposed : plain, across_b ? transposed : plain, (int)m, (int)n, (int)term->k, scale,
        a.at, (int)(across_a ? a.column_stride : a.row_stride), b.at,
        (int)(across_b ? b.column_stride : b.row_stride), adds ? 1 : 0, c, (int)c_stride);
}

static void by_avx512(const struct mmd_term *term, size_t m, size_t n, float scale, bool adds, float *c,
                      size_t c_stride) {
  mmd_product_avx512(term, 1, m, n, scale, adds ? c : NULL, c_stride, c, c_stride, 0);
}

enum { most_rows = 96, most_columns = 64, most_depth = 256 };

/// to[rows, width] = from in f32, without gaps.
static void widen(const uint16_t *from, size_t stride, size_t rows, size_t width, float *to) {
  for (size_t row = 0; row < rows; row++) mmd_bf16_to_f32(from + row * stride, to + row * width, width);
}

/// The same of runs of B from number `place` on, rounded to bf16 where A is.
static void widen_b(const struct mmd_term *t, size_t place, size_t stride, size_t rows, size_t width, float *to) {
  uint16_t half[most_depth];
  if (!t->nf4.codes) widen((const uint16_t *)t->b.at + place, stride, rows, width, to);
  else
    for (size_t row = 0; row < rows; row++, to += width) {
      mmd_nf4_read(&t->nf4, t->nf4_first + place + row * stride, width, to, t->is_half ? half : NULL);
      if (t->is_half) mmd_bf16_to_f32(half, to, width);
    }
}

/// A term of bf16 numbers or with a B of NF4 codes, panel by panel.
static void widened(one_product product, const struct mmd_term *t, size_t m, size_t n, float scale, bool adds, float *c,
                    size_t c_stride) {
  float wide_a[most_rows * most_depth], wide_b[most_columns * most_depth];
  const struct mmd_matrix a = t->a, b = t->b;
  const bool across = is_across(b, n);
  for (size_t column = 0; column < n; column += most_columns)
    for (size_t depth = 0; depth < t->k; depth += most_depth) {
      const size_t width = n - column < most_columns ? n - column : most_columns;
      const size_t deep = t->k - depth < most_depth ? t->k - depth : most_depth;
      const size_t place = column * b.column_stride + depth * b.row_stride;
      if (across) widen_b(t, place, b.column_stride, width, deep, wide_b);
      else widen_b(t, place, b.row_stride, deep, width, wide_b);
      const struct mmd_matrix panel = {wide_b, across ? 1 : width, across ? deep : 1};
      for (size_t row = 0; row < m; row += most_rows) {
        const size_t rows = m - row < most_rows ? m - row : most_rows;
        struct mmd_matrix own = {(const float *)a.at + row * a.row_stride + depth, a.row_stride, 1};
        if (t->is_half) {
          widen((const uint16_t *)a.at + row * a.row_stride + depth, a.row_stride, rows, deep, wide_a);
          own = (struct mmd_matrix){wide_a, deep, 1};
        }
        const struct mmd_term part = {.a = own, .b = panel, .k = deep};
        product(&part, rows, width, scale, adds || depth > 0, c + row * c_stride + column, c_stride);
      }
    }
}

/// `decodes`: the product takes NF4 codes itself.
static void sum(one_product product, bool decodes, const struct mmd_term *terms, size_t count, size_t m, size_t n,
                float scale, const float *start, size_t start_stride, float *c, size_t c_stride) {
  begin(start, start_stride, m, n, c, c_stride);
  for (size_t i = 0; i < count; i++) {
    const struct mmd_term *t = &terms[i];
    if (t->is_half || (t->nf4.codes && !decodes)) widened(product, t, m, n, scale, start || i > 0, c, c_stride);
    else product(t, m, n, scale, start || i > 0, c, c_stride);
  }
}

MMD_PRODUCT(mmd_product_openblas) {
  sum(by_openblas, false, terms, count, m, n, scale, start, start_stride, c, c_stride);
}

MMD_PRODUCT(mmd_product_avx512_widened) {
  sum(by_avx512, true, terms, count, m, n, scale, start, start_stride, c, c_stride);
}

int mmd_allowed_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? (int)cores : 1;
}
