#include "broker/vm/newcomer.hpp"

#include <cerrno>
#include <cstring>

namespace vgpu::broker::vm {

base::Result<Newcomer> read_newcomer(const vgpu_open& message) {
  Newcomer newcomer;
  static_assert(sizeof newcomer.hello <= sizeof message.hello);
  std::memcpy(static_cast<void*>(&newcomer.hello), message.hello, sizeof newcomer.hello);
  const auto& header = newcomer.hello.header;
  if (message.size != sizeof newcomer.hello || header.magic != control::kMagic ||
      header.type != control::MessageType::hello || header.size != sizeof newcomer.hello || header.fd_count != 0)
    return base::Error{EBADMSG, "the guest's hello is not one"};
  const auto agreement = control::negotiate({header.version, newcomer.hello.oldest_minor, newcomer.hello.features},
                                            control::host_offer(control::kVersion, control::kFeatures));
  if (!agreement) return base::Error{EPROTONOSUPPORT, agreement.error().text};
  newcomer.agreement = *agreement;
  return newcomer;
}

}  // namespace vgpu::broker::vm
