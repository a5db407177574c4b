// A VM's legacy worker: takes requests from the broker, one at a time, and answers each with the response and the words
// for the log. It ends with the broker's end of the socket, and after every CUDA error, so that the next request finds
// a process that nothing has poisoned.
#pragma once

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"
#include "worker/legacy/gpu.hpp"

namespace vgpu::worker::legacy {

/// Returns an exit code. `control`: a seqpacket socket.
int serve(base::UniqueFd control, const std::string& driver);

/// One request. With error 5 the process is to be ended once the result is sent.
control::LegacyResult answer(Gpu& gpu, const vgpu_legacy_request& message);

}  // namespace vgpu::worker::legacy
