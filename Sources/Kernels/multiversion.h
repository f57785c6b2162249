// One binary, the right vector width on every node: each kernel is compiled for several levels of
// x86-64 and the loader picks one. Elsewhere the compiler's own vectorisation serves.
#ifndef MMDIST_MULTIVERSION_H
#define MMDIST_MULTIVERSION_H

#if defined(__x86_64__) && defined(__linux__)
#define MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MULTIVERSION
#endif
#define INLINE static inline __attribute__((always_inline))
/// For a loop whose body works on values that shall stay in registers.
#define UNROLLED _Pragma("clang loop unroll(full)")

#endif
