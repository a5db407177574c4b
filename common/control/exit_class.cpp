#include "common/control/exit_class.hpp"

#include <csignal>

namespace vgpu::control {
namespace {

ExitClass class_of_code(int code) {
  switch (code) {
    case kExitClean:
      return ExitClass::clean;
    case kExitUsage:
      return ExitClass::usage;
    case kExitProtocolViolation:
      return ExitClass::protocol_violation;
    case kExitGpuFault:
      return ExitClass::gpu_fault;
    case kExitNoDriver:
      return ExitClass::no_driver;
    default:
      return ExitClass::internal;
  }
}

// Own table: sigdescr_np() needs glibc 2.32, and the shim must load on older ones.
const char* signal_name(int signal) {
  switch (signal) {
    case SIGABRT:
      return "abort";
    case SIGBUS:
      return "bus error";
    case SIGFPE:
      return "arithmetic error";
    case SIGILL:
      return "illegal instruction";
    case SIGKILL:
      return "kill";
    case SIGSEGV:
      return "segmentation fault";
    case SIGSYS:
      return "forbidden system call";
    case SIGTERM:
      return "termination";
    case SIGXCPU:
      return "processor time limit";
    default:
      return nullptr;
  }
}

}  // namespace

WorkerExit classify_exit(int code, int status, KillReason reason) {
  if (code == CLD_EXITED) return {class_of_code(status), status};
  // Only a SIGKILL can be the broker's own; a crash that came first keeps its name.
  if (status == SIGKILL && reason == KillReason::client_gone) return {ExitClass::client_gone, status};
  if (status == SIGKILL && reason == KillReason::revoked) return {ExitClass::revoked, status};
  return {ExitClass::killed_by_signal, status};
}

std::uint32_t to_word(WorkerExit exit) {
  return static_cast<std::uint32_t>(exit.kind) | (static_cast<std::uint32_t>(exit.detail) << 8);
}

WorkerExit from_word(std::uint32_t word) { return {static_cast<ExitClass>(word & 0xff), static_cast<int>(word >> 8)}; }

std::string describe(WorkerExit exit) {
  switch (exit.kind) {
    case ExitClass::none:
      return "running";
    case ExitClass::clean:
      return "clean";
    case ExitClass::usage:
      return "usage error (wrong arguments or descriptors)";
    case ExitClass::protocol_violation:
      return "protocol violation";
    case ExitClass::gpu_fault:
      return "GPU fault";
    case ExitClass::no_driver:
      return "no usable driver or device";
    case ExitClass::internal:
      return "internal error (exit code " + std::to_string(exit.detail) + ")";
    case ExitClass::killed_by_signal: {
      if (exit.detail == 0) return "killed by a signal (the broker of its time is gone, and took the number with it)";
      const char* name = signal_name(exit.detail);
      return "killed by signal " + std::to_string(exit.detail) +
             (name ? " (" + std::string(name) + ")" : std::string());
    }
    case ExitClass::client_gone:
      return "client gone";
    case ExitClass::revoked:
      return "revoked by the host";
  }
  return "unknown";
}

}  // namespace vgpu::control
