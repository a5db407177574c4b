// How a worker ends: its exit codes, and the class the broker makes of them for the log and for the guest.
#pragma once

#include <cstdint>
#include <string>

namespace vgpu::control {

/// Exit codes of vgpu-worker.
enum ExitCode : int {
  kExitClean = 0,               // the client let go, and all is given back
  kExitUsage = 64,              // wrong arguments or descriptors: our bug or a wrong installation
  kExitProtocolViolation = 65,  // the guest broke a rule of ring or records
  kExitGpuFault = 66,           // the GPU reported an error from which its context does not recover
  kExitNoDriver = 67,           // no driver, no device, or cuInit failed
  kExitInternal = 68            // a failure of the worker itself
};

/// Values are part of the window's layout (vgpu_control.exit_class): append only.
enum class ExitClass : std::uint32_t {
  none = 0,
  clean = 1,
  usage = 2,
  protocol_violation = 3,
  gpu_fault = 4,
  no_driver = 5,
  internal = 6,
  killed_by_signal = 7,
  client_gone = 8,  // ended by the broker because its client ended
  revoked = 9       // ended by the broker for a reason of the host's
};

struct WorkerExit {
  ExitClass kind = ExitClass::none;
  int detail = 0;  // the signal with killed_by_signal (0: not known), else the exit code
};

/// Why the broker killed a worker, if it did.
enum class KillReason { not_killed, client_gone, revoked };

/// Classes an exit by what waitid() says of it: `code` is si_code (CLD_*), `status` si_status.
WorkerExit classify_exit(int code, int status, KillReason reason);

/// As the control page's word: the class in the low byte, the detail above.
std::uint32_t to_word(WorkerExit exit);
WorkerExit from_word(std::uint32_t word);

/// "protocol violation", "killed by signal 11 (Segmentation fault)" …: for log lines on both sides.
std::string describe(WorkerExit exit);

}  // namespace vgpu::control
