// The part of MPI that this program uses, as functions that Swift can call.
//
// MPI's constants are macros over addresses of library objects, which Swift cannot import. Every function that
// returns int returns an MPI error code, 0 for success. All but mmdist_mpi_abort must be called on one thread,
// the one that called mmdist_mpi_start (MPI_THREAD_FUNNELED). Byte counts may exceed INT_MAX.
#ifndef MMDIST_COPENMPI_H
#define MMDIST_COPENMPI_H

#include <stddef.h>
#include <stdint.h>

/// This process's place in MPI: private communicators and the pending requests on them.
typedef struct mmdist_mpi_world mmdist_mpi_world;

/// Bytes for or from one peer.
typedef struct {
  int peer;
  void *bytes;
  size_t count;
} mmdist_mpi_message;

/// Initialises MPI and makes the private communicators. Errors are returned from here on, not fatal.
int mmdist_mpi_start(mmdist_mpi_world **world);
/// Finalises MPI and frees `world`. Collective.
int mmdist_mpi_finish(mmdist_mpi_world *world);
/// Ends the whole job; `code` becomes the launcher's exit code. From any thread; does not return.
_Noreturn void mmdist_mpi_abort(mmdist_mpi_world *world, int code);
/// The words for an error code, cut to `capacity`.
void mmdist_mpi_reason(int error, char *text, size_t capacity);

int mmdist_mpi_rank(const mmdist_mpi_world *world);
int mmdist_mpi_count(const mmdist_mpi_world *world);
/// The lowest rank that shares memory with this one: the name of the node.
int mmdist_mpi_node(const mmdist_mpi_world *world);

/// Begins the element-wise maximum of `values` over all ranks, in place; `values` stay in use until it is done.
int mmdist_mpi_meet_begin(mmdist_mpi_world *world, int64_t *values, int count);
int mmdist_mpi_meet_test(mmdist_mpi_world *world, int *done);

int mmdist_mpi_broadcast(mmdist_mpi_world *world, void *bytes, size_t count, int root);
/// In place: rank r owns bytes [starts[r], starts[r] + counts[r]) of `bytes`, which have no gaps between them.
int mmdist_mpi_all_gather(mmdist_mpi_world *world, void *bytes, const size_t *starts, const size_t *counts);
/// Begins to send and receive all messages at once; those between two ranks are matched in order. Their bytes stay in use
/// until it is done. One exchange at a time.
int mmdist_mpi_exchange_begin(mmdist_mpi_world *world, const mmdist_mpi_message *sends, size_t send_count,
                              const mmdist_mpi_message *receives, size_t receive_count);
int mmdist_mpi_exchange_test(mmdist_mpi_world *world, int *done);
int mmdist_mpi_sum_floats(mmdist_mpi_world *world, float *values, size_t count);
int mmdist_mpi_sum_doubles(mmdist_mpi_world *world, double *values, size_t count);
int mmdist_mpi_sum_int64(mmdist_mpi_world *world, int64_t *values, size_t count);

/// The length of a notice, zero-padded.
#define MMDIST_MPI_NOTICE 120
/// Tells rank 0 something without waiting; dropped while the last notice is still on its way.
int mmdist_mpi_notify(mmdist_mpi_world *world, const char text[MMDIST_MPI_NOTICE]);
/// Takes the next notice that has arrived at rank 0; *source is -1 when there is none.
int mmdist_mpi_take_notice(mmdist_mpi_world *world, char text[MMDIST_MPI_NOTICE], int *source);

#endif
