#include "broker/supervisor/spawn.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <system_error>

// glibc's clone() by its other name. ThreadSanitizer wraps the first: it takes our child for a forked one and marks its
// memory, which is ours, as a child's to be left alone; from then on our signals are put off for ever.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

namespace vgpu::broker::supervisor {
namespace {

using base::Error;

constexpr std::size_t kStackSize = 64 * 1024;
constexpr std::size_t kMaxDescriptors = 16;
constexpr std::size_t kKernelMaskSize = 8;  // of a signal set, as the kernel counts it

/// What the child needs; prepared by the parent, because the child must not allocate.
struct ChildPlan {
  const char* path;
  char* const* arguments;
  char* const* environment;
  const int* descriptors;
  int descriptor_count;
  sigset_t mask;  // the parent's, to be restored
  int error;      // of the child's failed call; the parent reads it, for memory is shared until exec
};

// The functions of the child leave their stack by exec, never by return: AddressSanitizer's marks on it would stay, and
// trap the next use of that memory.
[[gnu::no_sanitize_address]] bool place_descriptors(const ChildPlan& plan) {
  int copies[kMaxDescriptors];
  for (int i = 0; i < plan.descriptor_count; ++i) {
    // First copied above all targets, so that no source is overwritten as a target.
    copies[i] = fcntl(plan.descriptors[i], F_DUPFD_CLOEXEC, plan.descriptor_count);
    if (copies[i] < 0) return false;
  }
  for (int i = 0; i < plan.descriptor_count; ++i)
    if (syscall(SYS_dup3, copies[i], i, 0) < 0) return false;
  const auto first = static_cast<unsigned>(plan.descriptor_count);
  if (syscall(SYS_close_range, first, ~0u, 0) == 0) return true;
  // Kernels before 5.9. Ours are all close-on-exec anyway; this is for what our own parent left open.
  const long limit = sysconf(_SC_OPEN_MAX);
  for (int fd = plan.descriptor_count; fd < (limit > 0 ? limit : 1024); ++fd) close(fd);
  return true;
}

[[gnu::no_sanitize_address]] void reset_signals(const sigset_t& mask) {
  const unsigned long default_action[8] = {};  // the kernel's struct, larger than on any architecture; 0 is SIG_DFL
  for (int signal = 1; signal < NSIG; ++signal)
    syscall(SYS_rt_sigaction, signal, default_action, nullptr, kKernelMaskSize);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, kKernelMaskSize);
}

// Runs in the parent's memory on a stack of its own, while the parent waits: only async-signal-safe calls, no
// allocation, no exception; and bare system calls where a sanitizer's wrapper would take the child's doings for the
// parent's.
[[gnu::no_sanitize_address]] int run_child(void* argument) {
  auto& plan = *static_cast<ChildPlan*>(argument);
  reset_signals(plan.mask);
  setsid();  // an interrupt typed at our terminal is for us: we end the workers in order
  if (place_descriptors(plan)) execve(plan.path, plan.arguments, plan.environment);
  plan.error = errno;
  syscall(SYS_exit_group, 127);
  __builtin_unreachable();
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

class Stack {
 public:
  Stack() : base_(mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  ~Stack() {
    if (is_valid()) munmap(base_, kStackSize);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  bool is_valid() const { return base_ != MAP_FAILED; }
  void* top() const { return static_cast<char*>(base_) + kStackSize; }

 private:
  void* base_;
};

Error spawn_error(int code, const std::string& path) {
  return {code, "cannot start " + path + ": " + std::generic_category().message(code)};
}

}  // namespace

bool take_exit(int pidfd, siginfo_t& info) {
  constexpr auto kByPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack
  return waitid(kByPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) == 0;
}

base::Result<SpawnedProcess> spawn(const SpawnRequest& request) {
  const auto arguments = pointers(request.arguments);
  const auto environment = pointers(request.environment);
  const Stack stack;
  if (!stack.is_valid() || request.descriptors.size() > kMaxDescriptors) return spawn_error(ENOMEM, request.path);
  ChildPlan plan{request.path.c_str(),
                 arguments.data(),
                 environment.data(),
                 request.descriptors.data(),
                 static_cast<int>(request.descriptors.size()),
                 {},
                 0};
  // No handler of ours may run in the child, which shares our memory.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &plan.mask);
  int pidfd = -1;
  const int pid = __clone(run_child, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &pidfd);
  const int clone_error = errno;
  sigprocmask(SIG_SETMASK, &plan.mask, nullptr);
  if (pid < 0) return spawn_error(clone_error, request.path);
  SpawnedProcess process{pid, base::UniqueFd(pidfd)};
  if (plan.error == 0) return process;
  waitpid(pid, nullptr, 0);  // it has already called _exit
  return spawn_error(plan.error, request.path);
}

}  // namespace vgpu::broker::supervisor
