#include "COpenMPI.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct mmdist_mpi_world {
  MPI_Comm collectives;  // meetings, collectives and exchanges
  MPI_Comm notices;      // messages to rank 0 about long waits
  MPI_Request meeting;
  MPI_Request *transfers;  // of the exchange that is under way
  int transfer_count;
  MPI_Request notice;
  char notice_text[MMDIST_MPI_NOTICE];
  int rank, count, node;
};

// The most that goes into one MPI call, in bytes: far below INT_MAX, and a whole number of any element.
static const size_t piece = (size_t)1 << 30;

#define TRY(call)                             \
  do {                                        \
    int error = (call);                       \
    if (error != MPI_SUCCESS) return error;   \
  } while (0)

// Asks for short time slices and exact timers, so that this thread runs soon after each nap beside a compute thread that
// never sleeps. Linux grants the slices without privileges from 6.12 on; where it does not, nothing changes.
static void ask_to_run_soon(void) {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {.size = sizeof attributes, .policy = SCHED_OTHER};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 || attributes.policy != SCHED_OTHER) return;
  attributes.runtime = 100000;  // ns, the least that Linux takes
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static int find_node(mmdist_mpi_world *world) {
  MPI_Comm node;
  TRY(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world->rank, MPI_INFO_NULL, &node));
  world->node = world->rank;
  TRY(MPI_Bcast(&world->node, 1, MPI_INT, 0, node));
  return MPI_Comm_free(&node);
}

int mmdist_mpi_start(mmdist_mpi_world **result) {
  ask_to_run_soon();
  int provided = 0;
  TRY(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided));
  if (provided < MPI_THREAD_FUNNELED) return MPI_ERR_OTHER;
  TRY(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  mmdist_mpi_world *world = calloc(1, sizeof *world);
  if (world == NULL) return MPI_ERR_NO_MEM;
  *result = world;
  world->meeting = MPI_REQUEST_NULL;
  world->notice = MPI_REQUEST_NULL;
  TRY(MPI_Comm_dup(MPI_COMM_WORLD, &world->collectives));
  TRY(MPI_Comm_dup(MPI_COMM_WORLD, &world->notices));
  TRY(MPI_Comm_rank(world->collectives, &world->rank));
  TRY(MPI_Comm_size(world->collectives, &world->count));
  return find_node(world);
}

int mmdist_mpi_finish(mmdist_mpi_world *world) {
  if (world->notice != MPI_REQUEST_NULL) MPI_Request_free(&world->notice);
  TRY(MPI_Comm_free(&world->notices));
  TRY(MPI_Comm_free(&world->collectives));
  free(world);
  return MPI_Finalize();
}

_Noreturn void mmdist_mpi_abort(mmdist_mpi_world *world, int code) {
  MPI_Abort(world->collectives, code);
  _Exit(code);
}

void mmdist_mpi_reason(int error, char *text, size_t capacity) {
  char words[MPI_MAX_ERROR_STRING + 1] = {0};
  int length = 0;
  if (MPI_Error_string(error, words, &length) != MPI_SUCCESS) strcpy(words, "unknown MPI error");
  strncpy(text, words, capacity - 1);
  text[capacity - 1] = 0;
}

int mmdist_mpi_rank(const mmdist_mpi_world *world) { return world->rank; }
int mmdist_mpi_count(const mmdist_mpi_world *world) { return world->count; }
int mmdist_mpi_node(const mmdist_mpi_world *world) { return world->node; }

int mmdist_mpi_meet_begin(mmdist_mpi_world *world, int64_t *values, int count) {
  return MPI_Iallreduce(MPI_IN_PLACE, values, count, MPI_INT64_T, MPI_MAX, world->collectives, &world->meeting);
}

int mmdist_mpi_meet_test(mmdist_mpi_world *world, int *done) {
  return MPI_Test(&world->meeting, done, MPI_STATUS_IGNORE);
}

int mmdist_mpi_broadcast(mmdist_mpi_world *world, void *bytes, size_t count, int root) {
  for (size_t start = 0; start < count; start += piece) {
    size_t length = count - start < piece ? count - start : piece;
    TRY(MPI_Bcast((char *)bytes + start, (int)length, MPI_BYTE, root, world->collectives));
  }
  return MPI_SUCCESS;
}

int mmdist_mpi_all_gather(mmdist_mpi_world *world, void *bytes, const size_t *starts, const size_t *counts) {
  size_t first = starts[0], end = first;
  for (int rank = 0; rank < world->count; rank++) end = starts[rank] + counts[rank];
  if (end - first > piece) {
    for (int rank = 0; rank < world->count; rank++)
      TRY(mmdist_mpi_broadcast(world, (char *)bytes + starts[rank], counts[rank], rank));
    return MPI_SUCCESS;
  }
  int *lengths = malloc(2 * (size_t)world->count * sizeof *lengths);
  if (lengths == NULL) return MPI_ERR_NO_MEM;
  int *displacements = lengths + world->count;
  for (int rank = 0; rank < world->count; rank++) {
    lengths[rank] = (int)counts[rank];
    displacements[rank] = (int)(starts[rank] - first);
  }
  int error = MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, (char *)bytes + first, lengths, displacements,
                             MPI_BYTE, world->collectives);
  free(lengths);
  return error;
}

// How a message is cut. Up to 16 MiB into pieces that Open MPI sends without asking over TCP (64 KiB with its header):
// the answer to a longer one waits behind what the answering rank itself is sending, and so two ranks that send to each
// other take turns, at half the speed of the link.
static size_t piece_of(size_t count) { return count > (size_t)16 << 20 ? piece : 60 << 10; }

static size_t pieces(const mmdist_mpi_message *messages, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++) {
    size_t most = piece_of(messages[i].count);
    total += (messages[i].count + most - 1) / most;
  }
  return total;
}

static int post(mmdist_mpi_world *world, const mmdist_mpi_message *messages, size_t count, int sending,
                MPI_Request **next) {
  for (size_t i = 0; i < count; i++) {
    size_t most = piece_of(messages[i].count);
    for (size_t start = 0; start < messages[i].count; start += most) {
      size_t rest = messages[i].count - start;
      int length = (int)(rest < most ? rest : most);
      char *bytes = (char *)messages[i].bytes + start;
      if (sending)
        TRY(MPI_Isend(bytes, length, MPI_BYTE, messages[i].peer, 0, world->collectives, *next));
      else
        TRY(MPI_Irecv(bytes, length, MPI_BYTE, messages[i].peer, 0, world->collectives, *next));
      ++*next;
    }
  }
  return MPI_SUCCESS;
}

static void forget_transfers(mmdist_mpi_world *world) {
  free(world->transfers);
  world->transfers = NULL;
  world->transfer_count = 0;
}

int mmdist_mpi_exchange_begin(mmdist_mpi_world *world, const mmdist_mpi_message *sends, size_t send_count,
                              const mmdist_mpi_message *receives, size_t receive_count) {
  size_t total = pieces(sends, send_count) + pieces(receives, receive_count);
  forget_transfers(world);
  if (total == 0) return MPI_SUCCESS;
  if (total > INT32_MAX) return MPI_ERR_COUNT;
  world->transfers = malloc(total * sizeof *world->transfers);
  if (world->transfers == NULL) return MPI_ERR_NO_MEM;
  world->transfer_count = (int)total;
  MPI_Request *next = world->transfers;
  int error = post(world, receives, receive_count, 0, &next);
  if (error == MPI_SUCCESS) error = post(world, sends, send_count, 1, &next);
  if (error != MPI_SUCCESS) forget_transfers(world);
  return error;
}

int mmdist_mpi_exchange_test(mmdist_mpi_world *world, int *done) {
  int error = MPI_Testall(world->transfer_count, world->transfers, done, MPI_STATUSES_IGNORE);
  if (error != MPI_SUCCESS || *done) forget_transfers(world);
  return error;
}

static int sum(mmdist_mpi_world *world, void *values, size_t count, size_t width, MPI_Datatype type) {
  size_t most = piece / width;
  for (size_t start = 0; start < count; start += most) {
    size_t length = count - start < most ? count - start : most;
    TRY(MPI_Allreduce(MPI_IN_PLACE, (char *)values + start * width, (int)length, type, MPI_SUM, world->collectives));
  }
  return MPI_SUCCESS;
}

int mmdist_mpi_sum_floats(mmdist_mpi_world *world, float *values, size_t count) {
  return sum(world, values, count, sizeof *values, MPI_FLOAT);
}

int mmdist_mpi_sum_doubles(mmdist_mpi_world *world, double *values, size_t count) {
  return sum(world, values, count, sizeof *values, MPI_DOUBLE);
}

int mmdist_mpi_sum_int64(mmdist_mpi_world *world, int64_t *values, size_t count) {
  return sum(world, values, count, sizeof *values, MPI_INT64_T);
}

int mmdist_mpi_notify(mmdist_mpi_world *world, const char text[MMDIST_MPI_NOTICE]) {
  int done = 1;
  TRY(MPI_Test(&world->notice, &done, MPI_STATUS_IGNORE));
  if (!done) return MPI_SUCCESS;
  memcpy(world->notice_text, text, MMDIST_MPI_NOTICE);
  return MPI_Isend(world->notice_text, MMDIST_MPI_NOTICE, MPI_CHAR, 0, 0, world->notices, &world->notice);
}

int mmdist_mpi_take_notice(mmdist_mpi_world *world, char text[MMDIST_MPI_NOTICE], int *source) {
  int there = 0;
  MPI_Status status;
  *source = -1;
  TRY(MPI_Iprobe(MPI_ANY_SOURCE, 0, world->notices, &there, &status));
  if (!there) return MPI_SUCCESS;
  TRY(MPI_Recv(text, MMDIST_MPI_NOTICE, MPI_CHAR, status.MPI_SOURCE, 0, world->notices, MPI_STATUS_IGNORE));
  *source = status.MPI_SOURCE;
  return MPI_SUCCESS;
}
