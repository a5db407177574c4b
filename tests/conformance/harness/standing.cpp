// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/standing.hpp"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace conformance {
namespace {

// Handlers run in the middle of anything, so they neither allocate nor lock: plain system calls, and numbers printed
// into buffers on the stack. (Finding a symbol's name takes the loader's lock: whoever dies holding that is killed a
// little later by the runner.)

constexpr int kExitStatus = 4;
constexpr int kDeepest = 40;

thread_local const char* place = nullptr;
std::atomic<int> told{0};

int signal_to_one_thread() { return SIGRTMIN + 3; }

__attribute__((format(printf, 1, 2))) void write_line(const char* format, ...) {
  char line[400];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  size_t size = length < 0 ? 0 : static_cast<size_t>(length);
  if (size > sizeof line - 2) size = sizeof line - 2;
  line[size++] = '\n';
  if (write(STDERR_FILENO, line, size) < 0) _exit(kExitStatus);
}

_Unwind_Reason_Code write_frame(_Unwind_Context* frame, void* depth) {
  const auto at = static_cast<char*>(nullptr) + _Unwind_GetIP(frame);
  int& count = *static_cast<int*>(depth);
  if (at == nullptr || ++count > kDeepest) return _URC_END_OF_STACK;
  Dl_info info{};
  if (dladdr(at, &info) == 0 || info.dli_fname == nullptr) {
    write_line("    %p", static_cast<void*>(at));
    return _URC_NO_REASON;
  }
  const char* slash = std::strrchr(info.dli_fname, '/');
  write_line("    %s+%#lx %s", slash != nullptr ? slash + 1 : info.dli_fname,
             static_cast<unsigned long>(at - static_cast<char*>(info.dli_fbase)),
             info.dli_sname != nullptr ? info.dli_sname : "");
  return _URC_NO_REASON;
}

void tell_own_place(int) {
  if (place != nullptr) write_line("  stands at: %s", place);
  int depth = 0;
  _Unwind_Backtrace(write_frame, &depth);
  told.fetch_add(1);
}

/// First line of a file about a thread.
void read_about(long thread, const char* file, char (&text)[64]) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%ld/%s", thread, file);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  text[got > 0 ? got : 0] = '\0';
  text[std::strcspn(text, "\n")] = '\0';
  if (fd >= 0) close(fd);
}

void tell_about(long thread) {
  char name[64], kernel[64];
  read_about(thread, "comm", name);
  read_about(thread, "wchan", kernel);
  write_line("thread %ld %s (in the kernel: %s)", thread, name, kernel);
  if (thread == gettid()) return tell_own_place(0);
  const int before = told.load();
  if (syscall(SYS_tgkill, getpid(), thread, signal_to_one_thread()) != 0) return;
  const timespec moment{0, 1'000'000};
  for (int i = 0; i < 300 && told.load() == before; ++i) nanosleep(&moment, nullptr);
  if (told.load() == before) write_line("    (it does not answer)");
}

void tell_all(int) {
  struct Entry {  // linux_dirent64, which no header has
    uint64_t inode, offset;
    unsigned short length;
    unsigned char type;
    char name[1];
  };
  write_line("where the threads stand:");
  const int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  alignas(Entry) char buffer[8192];
  for (long got = 0; (got = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      if (entry->name[0] != '.') tell_about(std::strtol(entry->name, nullptr, 10));
    }
  }
  _exit(kExitStatus);
}

}  // namespace

void tell_where_threads_stand_when_asked() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = tell_own_place;
  sigaction(signal_to_one_thread(), &action, nullptr);
  action.sa_handler = tell_all;
  sigaction(kAskWhereThreadsStand, &action, nullptr);
}

void stands_at(const char* text) { place = text; }

}  // namespace conformance
