// The descriptors that a worker is started with (docs/design/001-contracts.md). 0 to 2 are /dev/null and the broker's
// standard error, twice.
#pragma once

namespace vgpu::control {

enum WorkerDescriptor : int {
  kWindowDescriptor = 3,
  kDoorbellDescriptor = 4,
  kGrantDescriptor = 5,
  kControlDescriptor = 6,
  kClientDescriptor = 7,  // pidfd of the client; of a VM's channel, of the process behind the stub
  // Only kept there, for the next broker: its ends of the control socket and of the client's connection.
  kBrokersControlDescriptor = 8,
  kBrokersConnectionDescriptor = 9,  // not with a VM's channel
  kWorkerDescriptorEnd
};

/// A legacy worker has its control socket, and nothing else, behind the standard ones.
inline constexpr int kLegacyControlDescriptor = 3;

}  // namespace vgpu::control
