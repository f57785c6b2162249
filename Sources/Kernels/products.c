// OpenBLAS, loaded by hand: its choice of kernels is made in a library constructor from an environment
// variable, and it does not know newer processors, on which it falls back to half the speed. Loading it
// after that variable is set makes the right kernels be used without starting the program twice.
#define _GNU_SOURCE
#include "Kernels.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
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

void mmd_product(bool transpose_a, bool transpose_b, int m, int n, int k, float scale, const float *a, int a_stride,
                 const float *b, int b_stride, float keep, float *c, int c_stride) {
  enum { row_major = 101, plain = 111, transposed = 112 };
  sgemm(row_major, transpose_a ? transposed : plain, transpose_b ? transposed : plain, m, n, k, scale, a, a_stride, b,
        b_stride, keep, c, c_stride);
}

int mmd_allowed_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? (int)cores : 1;
}
