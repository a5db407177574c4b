// What stands for shared memory and events outside of this process: the worker's token, in the 64 bytes of an IPC
// handle or in a file whose descriptor the program passes on.
#pragma once

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"

namespace vgpu::shim {

using control::ShareToken;
/// Also what stands in handles and files: processes of a VM may have shims of different versions.
using Shared = control::ShareKind;

/// Fills the 64 bytes of an IPC handle.
void write_handle(Shared what, const ShareToken& token, char (&bytes)[64]);
/// False if the bytes are not a handle of this kind.
bool read_handle(Shared what, const char (&bytes)[64], ShareToken& token);

/// A file in memory that holds the token; invalid if there are no descriptors left.
base::UniqueFd make_share_file(Shared what, const ShareToken& token);
/// False if the descriptor is not such a file.
bool read_share_file(Shared what, int file, ShareToken& token);

}  // namespace vgpu::shim
