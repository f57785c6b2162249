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

/// Whether a matrix of so many columns is stored by columns; where both strides are 1 it is one row or one column.
static bool is_across(struct mmd_matrix x, size_t columns) {
  return x.column_stride != 1 || (x.row_stride == 1 && columns > 1);
}

/// C = A · B · scale, added to C where it `adds`.
static void multiply(struct mmd_matrix a, struct mmd_matrix b, size_t m, size_t n, size_t k, float scale, bool adds,
                     float *c, size_t c_stride) {
  enum { row_major = 101, plain = 111, transposed = 112 };
  const bool across_a = is_across(a, k), across_b = is_across(b, n);
  sgemm(row_major, across_a ? transposed : plain, across_b ? transposed : plain, (int)m, (int)n, (int)k, scale, a.at,
        (int)(across_a ? a.column_stride : a.row_stride), b.at, (int)(across_b ? b.column_stride : b.row_stride),
        adds ? 1 : 0, c, (int)c_stride);
}

enum { wide_columns = 64, wide_depth = 256 };

/// to[runs, length] = runs of B from number `place` on in f32, without gaps.
static void widen(const struct mmd_term *t, size_t place, size_t stride, size_t runs, size_t length, float *to) {
  uint16_t half[wide_depth];
  for (size_t run = 0; run < runs; run++, place += stride, to += length) {
    if (t->nf4.codes) mmd_nf4_read(&t->nf4, t->nf4_first + place, length, to, t->widens_b ? half : NULL);
    if (t->widens_b) mmd_bf16_to_f32(t->nf4.codes ? half : (const uint16_t *)t->b.at + place, to, length);
  }
}

/// The same of a term whose B is not f32, panel by panel.
static void multiply_widened(const struct mmd_term *t, size_t m, size_t n, float scale, bool adds, float *c,
                             size_t c_stride) {
  float wide[wide_columns * wide_depth];
  const struct mmd_matrix a = t->a, b = t->b;
  const bool across = is_across(b, n);
  for (size_t column = 0; column < n; column += wide_columns)
    for (size_t depth = 0; depth < t->k; depth += wide_depth) {
      const size_t width = n - column < wide_columns ? n - column : wide_columns;
      const size_t deep = t->k - depth < wide_depth ? t->k - depth : wide_depth;
      const size_t place = column * b.column_stride + depth * b.row_stride;
      if (across) widen(t, place, b.column_stride, width, deep, wide);
      else widen(t, place, b.row_stride, deep, width, wide);
      const struct mmd_matrix part = {(const float *)a.at + depth * a.column_stride, a.row_stride, a.column_stride};
      const struct mmd_matrix panel = {wide, across ? 1 : width, across ? deep : 1};
      multiply(part, panel, m, width, deep, scale, adds || depth > 0, c + column, c_stride);
    }
}

MMD_PRODUCT(mmd_product_openblas) {
  (void)ahead;  // panels are its own affair
  if (start && (start != c || start_stride != c_stride))
    for (size_t i = 0; i < m; i++) memcpy(c + i * c_stride, start + i * start_stride, n * sizeof *c);
  for (size_t i = 0; i < count; i++) {
    const struct mmd_term *t = &terms[i];
    if (t->nf4.codes || t->widens_b) multiply_widened(t, m, n, scale, start || i > 0, c, c_stride);
    else multiply(t->a, t->b, m, n, t->k, scale, start || i > 0, c, c_stride);
  }
}

int mmd_allowed_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? (int)cores : 1;
}
