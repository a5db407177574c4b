/* SPDX-License-Identifier: Apache-2.0
 *
 * Two processes that share device memory: by IPC handles of memory and events, by the descriptor of physical memory,
 * and by that of a pool with the data of a pointer. The parent writes, the child reads what the parent wrote and writes
 * in turn, the parent reads that. Status 0 if all went as it should, 1 if not, 64 for a wrong command line.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs/driver_api.h"

enum { WORDS = 3 * 1024 * 1024, FROM_PARENT = 0x11111111, FROM_CHILD = 0x22222222, REFUSED = 1 };
enum {
  POSIX_DESCRIPTOR = 1,
  ON_DEVICE = 1,
  PINNED = 1,
  READ_WRITE = 3,
  LAZY_PEER_ACCESS = 1,
  NON_BLOCKING = 1,
  SHARED_EVENT = 2 | 4
};
static const size_t BYTES = (size_t)WORDS * 4;

struct ipc_handle {
  char bytes[64];
};
struct place {
  unsigned kind;
  int id;
};
struct properties {
  unsigned type, handle_types;
  struct place place;
  void* windows;
  unsigned char flags[8];
};
struct access {
  struct place place;
  unsigned flags;
};
struct pool_properties {
  unsigned type, handle_types;
  struct place place;
  void* windows;
  size_t most;
  unsigned char rest[56];
};

/* Calls that only this program uses. */
#define SHARING_CALLS(X)                                                                                           \
  X(cuEventCreate, event_create, (cu_handle * event, unsigned flags))                                              \
  X(cuEventRecord, event_record, (cu_handle event, cu_handle stream))                                              \
  X(cuEventSynchronize, event_synchronize, (cu_handle event))                                                      \
  X(cuEventDestroy_v2, event_destroy, (cu_handle event))                                                           \
  X(cuStreamWaitEvent, stream_wait, (cu_handle stream, cu_handle event, unsigned flags))                           \
  X(cuIpcGetMemHandle, get_memory, (struct ipc_handle * handle, cu_address address))                               \
  X(cuIpcOpenMemHandle_v2, open_memory, (cu_address * address, struct ipc_handle handle, unsigned flags))          \
  X(cuIpcCloseMemHandle, close_memory, (cu_address address))                                                       \
  X(cuIpcGetEventHandle, get_event, (struct ipc_handle * handle, cu_handle event))                                 \
  X(cuIpcOpenEventHandle, open_event, (cu_handle * event, struct ipc_handle handle))                               \
  X(cuMemAddressReserve, reserve,                                                                                  \
    (cu_address * address, size_t size, size_t alignment, cu_address hint, unsigned long long flags))              \
  X(cuMemAddressFree, unreserve, (cu_address address, size_t size))                                                \
  X(cuMemCreate, create,                                                                                           \
    (unsigned long long* memory, size_t size, const struct properties* how, unsigned long long flags))             \
  X(cuMemRelease, let_go, (unsigned long long memory))                                                             \
  X(cuMemMap, map,                                                                                                 \
    (cu_address address, size_t size, size_t offset, unsigned long long memory, unsigned long long flags))         \
  X(cuMemUnmap, unmap, (cu_address address, size_t size))                                                          \
  X(cuMemSetAccess, set_access, (cu_address address, size_t size, const struct access* access, size_t count))      \
  X(cuMemExportToShareableHandle, export_memory,                                                                   \
    (void* handle, unsigned long long memory, unsigned type, unsigned long long flags))                            \
  X(cuMemImportFromShareableHandle, import_memory, (unsigned long long* memory, void* handle, unsigned type))      \
  X(cuMemPoolCreate, pool_create, (cu_handle * pool, const struct pool_properties* how))                           \
  X(cuMemPoolDestroy, pool_destroy, (cu_handle pool))                                                              \
  X(cuMemAllocFromPoolAsync, pool_allocate, (cu_address * address, size_t size, cu_handle pool, cu_handle stream)) \
  X(cuMemFreeAsync, free_later, (cu_address address, cu_handle stream))                                            \
  X(cuMemPoolExportToShareableHandle, export_pool,                                                                 \
    (void* handle, cu_handle pool, unsigned type, unsigned long long flags))                                       \
  X(cuMemPoolImportFromShareableHandle, import_pool,                                                               \
    (cu_handle * pool, void* handle, unsigned type, unsigned long long flags))                                     \
  X(cuMemPoolExportPointer, export_pointer, (struct ipc_handle * data, cu_address address))                        \
  X(cuMemPoolImportPointer, import_pointer, (cu_address * address, cu_handle pool, struct ipc_handle * data))

static struct driver driver;
static struct {
#define MEMBER(symbol, member, parameters) cu_result(*member) parameters;
  SHARING_CALLS(MEMBER)
#undef MEMBER
} sharing;

static const char* who = "parent";

static void must(cu_result result, const char* what) {
  if (result == CU_OK) return;
  printf("%s: %s: %s (%d)\n", who, what, driver_error_name(&driver, result), result);
  fflush(stdout);
  _exit(1);
}
#define MUST(call) must(call, #call)

static void find_calls(void) {
  if (!driver_open(&driver)) _exit(1);
#define FIND(symbol, member, parameters) *(void**)&sharing.member = dlsym(driver.library, #symbol);
  SHARING_CALLS(FIND)
#undef FIND
}

static void begin(void) {
  cu_handle context = NULL;
  MUST(driver.init(0));
  MUST(driver.context_retain(&context, 0));
  MUST(driver.context_set(context));
}

/* Both sides take turns over a pair of sockets; a side that has died ends the other one. */
static void say(int socket, const void* data, size_t size) {
  if (send(socket, data, size, MSG_NOSIGNAL) != (ssize_t)size) _exit(1);
}
static void hear(int socket, void* data, size_t size) {
  if (recv(socket, data, size, MSG_WAITALL) != (ssize_t)size) _exit(1);
}

static void send_descriptor(int socket, int descriptor) {
  char byte = 0, room[CMSG_SPACE(sizeof descriptor)] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET, control->cmsg_type = SCM_RIGHTS, control->cmsg_len = CMSG_LEN(sizeof descriptor);
  memcpy(CMSG_DATA(control), &descriptor, sizeof descriptor);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) _exit(1);
}
static int receive_descriptor(int socket) {
  int descriptor = -1;
  char byte, room[CMSG_SPACE(sizeof descriptor)];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  if (recvmsg(socket, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL) _exit(1);
  memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
  return descriptor;
}

static void check_words(cu_address memory, unsigned expected) {
  uint32_t* words = malloc(BYTES);
  size_t wrong = 0;
  MUST(driver.copy_to_host(words, memory, BYTES));
  for (size_t i = 0; i < WORDS; ++i) wrong += words[i] != expected;
  free(words);
  if (wrong != 0) {
    printf("%s: %zu of %d words are not %#x\n", who, wrong, WORDS, expected);
    fflush(stdout);
    _exit(1);
  }
}

/* Memory and event by handle: the child's stream waits for the parent's record, and the parent for the child's. */
static void give_by_handle(int socket) {
  cu_address memory = 0;
  cu_handle event = NULL;
  struct ipc_handle handles[2];
  char done;
  MUST(driver.allocate(&memory, BYTES));
  MUST(sharing.event_create(&event, SHARED_EVENT));
  MUST(sharing.get_memory(&handles[0], memory));
  MUST(sharing.get_event(&handles[1], event));
  MUST(driver.set_words(memory, FROM_PARENT, WORDS));
  MUST(sharing.event_record(event, NULL));
  say(socket, handles, sizeof handles);
  hear(socket, &done, 1);
  MUST(sharing.event_synchronize(event));
  check_words(memory, FROM_CHILD);
  say(socket, "", 1);
  hear(socket, &done, 1);
  MUST(sharing.event_destroy(event));
  MUST(driver.release(memory));
}
static void take_by_handle(int socket) {
  cu_address memory = 0;
  cu_handle event = NULL, stream = NULL;
  struct ipc_handle handles[2];
  char done;
  hear(socket, handles, sizeof handles);
  MUST(sharing.open_memory(&memory, handles[0], LAZY_PEER_ACCESS));
  MUST(sharing.open_event(&event, handles[1]));
  MUST(driver.stream_create(&stream, NON_BLOCKING));
  MUST(sharing.stream_wait(stream, event, 0));
  MUST(driver.stream_synchronize(stream));
  check_words(memory, FROM_PARENT);
  MUST(driver.set_words(memory, FROM_CHILD, WORDS));
  MUST(sharing.event_record(event, NULL));
  say(socket, "", 1);
  hear(socket, &done, 1);
  MUST(sharing.close_memory(memory));
  MUST(sharing.event_destroy(event));
  say(socket, "", 1);
}

static cu_address map_open(unsigned long long memory) {
  const struct access open = {{ON_DEVICE, 0}, READ_WRITE};
  cu_address address = 0;
  MUST(sharing.reserve(&address, BYTES, 0, 0, 0));
  MUST(sharing.map(address, BYTES, 0, memory, 0));
  MUST(sharing.set_access(address, BYTES, &open, 1));
  return address;
}
static void unmap_all(cu_address address, unsigned long long memory) {
  MUST(sharing.unmap(address, BYTES));
  MUST(sharing.let_go(memory));
  MUST(sharing.unreserve(address, BYTES));
}

static void give_by_descriptor(int socket) {
  const struct properties how = {.type = PINNED, .handle_types = POSIX_DESCRIPTOR, .place = {ON_DEVICE, 0}};
  unsigned long long memory = 0;
  int descriptor = -1;
  char done;
  MUST(sharing.create(&memory, BYTES, &how, 0));
  const cu_address address = map_open(memory);
  MUST(driver.set_words(address, FROM_PARENT, WORDS));
  MUST(driver.synchronize());
  MUST(sharing.export_memory(&descriptor, memory, POSIX_DESCRIPTOR, 0));
  send_descriptor(socket, descriptor);
  close(descriptor);
  hear(socket, &done, 1);
  check_words(address, FROM_CHILD);
  unmap_all(address, memory);
}
static void take_by_descriptor(int socket) {
  unsigned long long memory = 0;
  const int descriptor = receive_descriptor(socket);
  MUST(sharing.import_memory(&memory, (void*)(intptr_t)descriptor, POSIX_DESCRIPTOR));
  close(descriptor);
  const cu_address address = map_open(memory);
  check_words(address, FROM_PARENT);
  MUST(driver.set_words(address, FROM_CHILD, WORDS));
  MUST(driver.synchronize());
  unmap_all(address, memory);
  say(socket, "", 1);
}

/* The importer frees first, as documented. */
static void give_by_pool(int socket) {
  const struct pool_properties how = {.type = PINNED, .handle_types = POSIX_DESCRIPTOR, .place = {ON_DEVICE, 0}};
  cu_handle pool = NULL;
  cu_address memory = 0;
  struct ipc_handle data;
  int descriptor = -1;
  char done;
  MUST(sharing.pool_create(&pool, &how));
  MUST(sharing.pool_allocate(&memory, BYTES, pool, NULL));
  MUST(driver.set_words(memory, FROM_PARENT, WORDS));
  MUST(driver.synchronize());
  MUST(sharing.export_pool(&descriptor, pool, POSIX_DESCRIPTOR, 0));
  MUST(sharing.export_pointer(&data, memory));
  send_descriptor(socket, descriptor);
  close(descriptor);
  say(socket, &data, sizeof data);
  hear(socket, &done, 1);
  check_words(memory, FROM_CHILD);
  MUST(sharing.free_later(memory, NULL));
  MUST(driver.synchronize());
  MUST(sharing.pool_destroy(pool));
}
static void take_by_pool(int socket) {
  cu_handle pool = NULL;
  cu_address memory = 0;
  struct ipc_handle data;
  const int descriptor = receive_descriptor(socket);
  hear(socket, &data, sizeof data);
  MUST(sharing.import_pool(&pool, (void*)(intptr_t)descriptor, POSIX_DESCRIPTOR, 0));
  close(descriptor);
  MUST(sharing.import_pointer(&memory, pool, &data));
  check_words(memory, FROM_PARENT);
  MUST(driver.set_words(memory, FROM_CHILD, WORDS));
  MUST(driver.synchronize());
  MUST(sharing.free_later(memory, NULL));
  MUST(driver.synchronize());
  MUST(sharing.pool_destroy(pool));
  say(socket, "", 1);
}

/* A child of another VM gets the handles, and must get nothing by them. */
static void give_to_stranger(int socket) {
  cu_address memory = 0;
  struct ipc_handle handle;
  char done;
  MUST(driver.allocate(&memory, BYTES));
  MUST(sharing.get_memory(&handle, memory));
  say(socket, &handle, sizeof handle);
  hear(socket, &done, 1);
  MUST(driver.release(memory));
}
static void be_refused(int socket) {
  cu_address memory = 0;
  struct ipc_handle handle;
  hear(socket, &handle, sizeof handle);
  const cu_result result = sharing.open_memory(&memory, handle, LAZY_PEER_ACCESS);
  if (result != REFUSED) {
    printf("child: a stranger's memory gave %d\n", result);
    fflush(stdout);
    _exit(1);
  }
  say(socket, "", 1);
}

static void run_child(int socket, long stranger) {
  who = "child";
  find_calls();  // while the library's folder may be looked into
  if (stranger > 0 && setuid((uid_t)stranger) != 0) _exit(1);
  begin();
  if (stranger > 0) {
    be_refused(socket);
  } else {
    take_by_handle(socket);
    take_by_descriptor(socket);
    take_by_pool(socket);
  }
  _exit(0);
}

int main(int count, char** arguments) {
  const long stranger = count == 3 && strcmp(arguments[1], "--stranger") == 0 ? atol(arguments[2]) : 0;
  if (count != 1 && stranger <= 0) {
    puts("usage: share_pair [--stranger UID]\n  UID: the child is another user, to whom nothing may be shared");
    return count == 2 && strcmp(arguments[1], "--help") == 0 ? 0 : 64;
  }
  int sockets[2], status = 1;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    close(sockets[0]);
    run_child(sockets[1], stranger);
  }
  close(sockets[1]);
  find_calls();
  begin();
  if (stranger > 0) {
    give_to_stranger(sockets[0]);
  } else {
    give_by_handle(sockets[0]);
    give_by_descriptor(sockets[0]);
    give_by_pool(sockets[0]);
  }
  waitpid(child, &status, 0);
  puts(status == 0 ? "share: all results are right" : "share: THE CHILD FAILED");
  return status == 0 ? 0 : 1;
}
