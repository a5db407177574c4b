// A worker that opens no driver: it obeys the contract of descriptors and arguments (docs/design/001-contracts.md) and
// does what the test wrote at the start of the window's heap before it rang the doorbell:
//   ready            sends WorkerReady, then waits for the next order
//   report           writes arguments, environment and open descriptors into the heap, then waits for the next order
//   garbage          sends a packet that is no message, then waits to be killed
//   exit N           exits with code N
//   signal N         dies of signal N
//   linger           lets the test trace it, then waits to be killed
//   grow N           asks for N more bytes; writes the answer, "CHANNEL_OFFSET WINDOW_OFFSET SIZE", into the heap
//   return N         gives the last piece, of N bytes, back
//   offer N          offers N things to the VM's workers, by the tokens 1 to N
//   find N           asks for what is offered by token N: writes "asked", then "found KIND", into the heap
// For legacy requests it is of no use: it ends at once.
// After an order that goes on it adds 1 to worker_state and wakes the test, which sleeps on that word.
#include <dirent.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/abi/window_layout.h"
#include "common/control/exit_class.hpp"
#include "common/control/socket_io.hpp"
#include "common/control/worker_descriptors.hpp"
#include "common/shm/segment.hpp"

namespace {

using namespace vgpu;

constexpr int kWindow = control::kWindowDescriptor, kDoorbell = control::kDoorbellDescriptor,
              kGrant = control::kGrantDescriptor, kControl = control::kControlDescriptor;

off_t window_offset(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i)
    if (strcmp(argv[i], "--window-offset") == 0) return atoll(argv[i + 1]);
  return 0;
}

char* map_window(off_t offset) {
  void* base = mmap(nullptr, VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN, PROT_READ | PROT_WRITE, MAP_SHARED, kWindow, offset);
  if (base == MAP_FAILED) exit(control::kExitUsage);
  return static_cast<char*>(base);
}

void send_ready() {
  control::WorkerReady ready;
  ready.driver_version = 13000;
  ready.device_count = 1;
  control::set_text(ready.device_name, "Fake \x1b[31mGPU");
  control::set_text(ready.driver, "fake");
  (void)control::send_message(kControl, ready, {}, control::Deadline::after(std::chrono::seconds(1)));
}

std::string list_descriptors() {
  std::string list;
  DIR* folder = opendir("/proc/self/fd");
  for (dirent* entry = readdir(folder); entry != nullptr; entry = readdir(folder))
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder)) list += std::string(entry->d_name) + " ";
  closedir(folder);
  return list;
}

std::string report(int argc, char** argv) {
  std::string text = "arguments:";
  for (int i = 0; i < argc; ++i) text += std::string(" ") + argv[i];
  text += "\nenvironment:";
  for (char** entry = environ; *entry != nullptr; ++entry) text += std::string(" ") + *entry;
  text += "\ndescriptors: " + list_descriptors();
  auto grant = shm::GrantReader::map(kGrant);
  text += std::string("\ngrant: ") + (grant && grant->is_open() ? "open" : "closed");
  text += "\nsession: " + std::to_string(getsid(0) == getpid()) + "\n";
  return text;
}

control::Deadline in_a_while() { return control::Deadline::after(std::chrono::seconds(10)); }

void grow(std::uint64_t size, char* heap) {
  control::ExtentRequest request;
  request.size = size;
  (void)control::send_message(kControl, request, {}, in_a_while());
  const auto frame = control::receive_message(kControl, control::MessageType::extent_grant, in_a_while());
  if (!frame) exit(control::kExitInternal);
  const auto grant = frame->as<control::ExtentGrant>();
  snprintf(heap, 128, "%llu %llu %llu", static_cast<unsigned long long>(grant.channel_offset),
           static_cast<unsigned long long>(grant.window_offset), static_cast<unsigned long long>(grant.size));
}

void give_back(std::uint64_t size) {
  control::ExtentReturn message;
  message.size = size;
  (void)control::send_message(kControl, message, {}, in_a_while());
}

control::ShareToken token(int number) {
  control::ShareToken token{};
  token.front() = static_cast<std::uint8_t>(number);
  return token;
}

void offer(int count) {
  for (int number = 1; number <= count; ++number) {
    control::ShareOffer message;
    message.token = token(number);
    message.kind = control::ShareKind::memory;
    (void)control::send_message(kControl, message, {}, in_a_while());
  }
}

void find(int number, char* heap) {
  control::ShareRequest request;
  request.token = token(number);
  (void)control::send_message(kControl, request, {}, in_a_while());
  strcpy(heap, "asked");
  const auto frame = control::receive_message(kControl, control::MessageType::share_answer, in_a_while());
  if (!frame) exit(control::kExitInternal);
  snprintf(heap, 128, "found %d", static_cast<int>(frame->as<control::ShareAnswer>().kind));
}

void wait_for_doorbell() {
  pollfd entry{kDoorbell, POLLIN, 0};
  poll(&entry, 1, 60'000);
  std::uint64_t count;
  if (read(kDoorbell, &count, sizeof count) < 0) exit(control::kExitInternal);
}

void acknowledge(char* window) {
  auto* state = reinterpret_cast<std::uint32_t*>(window + offsetof(vgpu_control, worker_state));
  __atomic_fetch_add(state, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, state, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void obey(const std::string& order, char* heap, int argc, char** argv) {
  const int number = atoi(order.c_str() + std::min(order.find(' '), order.size()));
  if (order.starts_with("exit ")) {
    shm::announce_exit(kGrant, number);
    exit(number);
  }
  if (order.starts_with("signal ")) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (order == "ready") send_ready();
  if (order == "report") strcpy(heap, report(argc, argv).c_str());
  if (order == "garbage" && send(kControl, "garbage", 7, MSG_NOSIGNAL) < 0) exit(control::kExitInternal);
  if (order.starts_with("grow ")) grow(static_cast<std::uint64_t>(number), heap);
  if (order.starts_with("return ")) give_back(static_cast<std::uint64_t>(number));
  if (order.starts_with("offer ")) offer(number);
  if (order.starts_with("find ")) find(number, heap);
  if (order == "linger") prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
}

}  // namespace

int main(int argc, char** argv) {
  alarm(60);  // never left behind by a test that failed
  if (argc > 1 && strcmp(argv[1], "--legacy") == 0) return control::kExitUsage;
  char* window = map_window(window_offset(argc, argv));
  char* heap = window + VGPU_HEAP_OFFSET;
  for (;;) {
    wait_for_doorbell();
    obey(heap, heap, argc, argv);
    acknowledge(window);
  }
}
