#pragma once
#include <sys/mman.h>

// Part of the C library since glibc 2.27, but declared for programs with _GNU_SOURCE only, which Swift's are not.
extern int memfd_create(const char *name, unsigned int flags);

/// A descriptor of an empty file that lives in memory, has no name in any file system, and is not passed on to programs
/// that this one starts; −1 when there is none.
static inline int mmdist_memory_file(const char *name) { return memfd_create(name, 1u /* MFD_CLOEXEC */); }
