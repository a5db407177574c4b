#include "shim/vgpu_guest/doctor.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "common/abi/device_registers.h"
#include "shim/guestd/device.hpp"
#include "shim/vgpu_guest/daemon_report.hpp"

namespace vgpu::guest {
namespace {

using Outcome = Finding::Outcome;

/// What the steps hand on to each other.
struct Patient {
  const Options& options;
  const std::function<CudaCheck()>& cuda;
  guestd::PciFunction function;
  DaemonReport daemon;
};

using Findings = std::vector<Finding>;

std::string megabytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

Findings look_for_device(Patient& patient) {
  const std::string remedy =
      "the virtual machine must be started with -device vgpu-stub (lspci -nn shows class 1200); ask its host's "
      "operator";
  if (!patient.options.device.empty()) {
    auto found = guestd::find_function(patient.options.pci_root, patient.options.device);
    if (!found) return {broken("device", "not found", found.error().text, remedy)};
    patient.function = *found;
  } else {
    const auto candidates = guestd::find_candidates(patient.options.pci_root);
    if (candidates.empty()) return {broken("device", "not found", "no PCI function has class 0x1200", remedy)};
    patient.function = candidates.front();
  }
  char id[32];
  std::snprintf(id, sizeof id, "%04x:%04x", patient.function.vendor, patient.function.device);
  return {good("device", patient.function.address + " (" + id + ")")};
}

Findings look_at_revision(Patient& patient) {
  const auto& function = patient.function;
  if (function.revision == 1)
    return {broken("revision", "0x01", "a vgpu-stub of this revision has no registers",
                   "install the newer device on the host")};
  if (function.bar0_size < VGPU_BAR0_SIZE)
    return {broken("revision", "BAR 0 has " + std::to_string(function.bar0_size) + " bytes",
                   "this vgpu-stub serves legacy requests only", "install the newer device on the host")};
  return {good("revision", function.revision == VGPU_PCI_REVISION ? "0x02" : std::to_string(function.revision)),
          good("window", megabytes(function.bar1_size))};
}

Findings look_whether_enabled(Patient& patient) {
  if (guestd::is_enabled(patient.function)) return {good("enabled", "the device answers at its BARs")};
  return {broken("enabled", "no", "nobody has enabled the device since the machine started",
                 "start vgpu-guestd, which does it: systemctl start vgpu-guestd")};
}

Findings look_at_magic(Patient& patient) {
  if (::access(patient.function.resource(0).c_str(), R_OK | W_OK) != 0)
    return {skipped("registers", "only root can read them")};
  auto device = guestd::open_device(patient.options.pci_root, patient.function.address);
  if (!device && device.error().code == EBUSY)
    return {broken("registers", "held by the driver \"" + patient.function.driver + "\"",
                   "a driver of this machine's kernel has claimed the device, which keeps everybody else out",
                   "as root: " + guestd::unbind_command(patient.function) + "; then systemctl start vgpu-guestd")};
  if (!device)
    return {broken("registers", "not those of a vgpu-stub", device.error().text,
                   "name the right device with --device; lspci -nn lists them")};
  return {good("registers", "magic and layout are right")};
}

Findings ask_guestd(Patient& patient) {
  auto report = ask_daemon(patient.options.socket);
  if (!report)
    return {broken("guestd", "no answer", report.error().text,
                   "systemctl start vgpu-guestd; if it does not stay: journalctl -u vgpu-guestd")};
  patient.daemon = std::move(*report);
  return {good("guestd", "version " + patient.daemon.word("vgpu-guestd") + ", pid " + patient.daemon.word("pid"))};
}

Findings look_at_link(Patient& patient) {
  const std::string link = patient.daemon.word("link");
  const std::string text = patient.daemon.word("link_text");
  if (link == "up") return {good("link", "up since generation " + patient.daemon.word("generation"))};
  if (link == "refused")
    return {broken("link", "refused", text, "the broker's log on the host says more: journalctl -u vgpu-broker")};
  return {
      broken("link", "down", text.empty() ? "nobody answers at the device's socket on the host" : text,
             "on the host: start vgpu-broker, and see that [vm.NAME] socket is the path that the device was given")};
}

Findings look_at_broker(Patient& patient) {
  const auto& daemon = patient.daemon;
  const std::string text = "VM " + daemon.word("link_text") + " at broker " + daemon.word("broker_pid") + ", " +
                           std::to_string(daemon.channels.size()) + " of " + daemon.word("channel_limit") +
                           " channels in use";
  if (daemon.channels.size() >= daemon.number("channel_limit"))
    return {broken("broker", text, "all channels of this VM are in use",
                   "end CUDA programs (vgpu-guest status names them), or raise channels of [vm.NAME] on the host")};
  return {good("broker", text)};
}

Findings try_cuda(Patient& patient) { return judge_cuda(patient.cuda()); }

}  // namespace

std::vector<Finding> judge_cuda(const CudaCheck& check) {
  using Reached = CudaCheck::Reached;
  Findings findings;
  const std::string failed =
      check.is_over_time ? "no end in time" : check.failed + ": error " + std::to_string(check.error);
  if (check.reached == Reached::nothing)
    return {
        broken("library", "libcuda.so.1 cannot be loaded", check.said,
               "install the guest's package, or name the shim's folder in LD_LIBRARY_PATH; then ldconfig -p shows it")};
  findings.push_back(good("library", check.library));
  if (check.reached == Reached::library) {
    findings.push_back(broken("driver", failed, check.said.empty() ? "the library does not say why" : check.said,
                              "the logs of vgpu-guestd here and of vgpu-broker on the host name this client"));
    return findings;
  }
  char version[32];
  std::snprintf(version, sizeof version, "%d.%d", check.driver_version / 1000, check.driver_version % 1000 / 10);
  findings.push_back(good("driver", check.device_name + ", CUDA " + version));
  if (check.reached != Reached::copies) {
    findings.push_back(
        broken("memory", failed, check.said.empty() ? "the GPU or its worker failed" : check.said,
               "the broker's log on the host says how the worker ended; nvidia-smi there shows the GPU"));
    return findings;
  }
  findings.push_back(good("memory", "allocated, copied there and back, compared"));
  char speed[96];
  std::snprintf(speed, sizeof speed, "%.0f MB/s to the GPU, %.0f MB/s back", check.to_device_mb_s,
                check.from_device_mb_s);
  findings.push_back(good("bandwidth", speed));
  return findings;
}

std::vector<Finding> examine(const Options& options, const std::function<CudaCheck()>& cuda,
                             const std::function<void(const Finding&)>& on_finding) {
  Patient patient{options, cuda, {}, {}};
  Findings all;
  static constexpr Findings (*kSteps[])(Patient&) = {look_for_device, look_at_revision, look_whether_enabled,
                                                     look_at_magic,   ask_guestd,       look_at_link,
                                                     look_at_broker,  try_cuda};
  for (const auto step : kSteps) {
    bool is_broken = false;
    for (Finding& finding : step(patient)) {
      is_broken |= finding.outcome == Outcome::broken;
      on_finding(finding);
      all.push_back(std::move(finding));
    }
    if (is_broken) break;
  }
  return all;
}

}  // namespace vgpu::guest
