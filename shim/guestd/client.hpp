// A program of this machine that wants a channel, or has one.
#pragma once

#include <string>

#include "common/base/process_identity.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"

namespace vgpu::guestd {

struct Client {
  base::UniqueFd connection;      // absent: it was served by an earlier vgpu-guestd
  base::UniqueFd pidfd;           // absent on kernels before 5.3: then the connection alone tells of its end
  base::ProcessIdentity process;  // as this daemon sees it
  uid_t uid = 0;
  std::string name;  // as it calls itself: a label
};

/// Who is at the other end of the connection, by the kernel's word.
base::Result<Client> identify_client(base::UniqueFd connection);

/// True if the process has ended, has hung up, or said more than the hello that the protocol allows.
bool has_ended(const Client& client);

/// Never blocks: a client that cannot take 512 bytes gets none.
void refuse(const Client& client, control::HelloStatus status, const std::string& text);

}  // namespace vgpu::guestd
