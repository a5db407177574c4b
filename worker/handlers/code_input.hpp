// What modules, libraries and links have in common: code that a guest hands over, and logs that it gets back.
#pragma once

#include <vector>

#include "common/wire/image_size.hpp"
#include "worker/objects/load_options.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// A private copy of what the guest loads, with the zero that ends a PTX text: the driver parses it, so it must not
/// change meanwhile.
inline bool copy_image(Session& session, uint64_t offset, uint64_t size, std::vector<uint8_t>& image) {
  if (size == 0 || size > wire::kMaxImage || !session.window().heap_contains(offset, size)) return false;
  image.resize(size + 16, 0);
  return session.window().copy_out(offset, {image.data(), size});
}

/// The driver believes the image's own words about its size, so they must stay inside the copy. And it follows the
/// pointer in a wrapper, which no shim sends.
inline bool is_sound(const std::vector<uint8_t>& image) {
  return wire::image_size(image.data(), image.size()).has_value();
}

/// Writes the logs where the guest wants them: it has room there for `info_size` and `error_size` bytes.
template <typename Reply>
void give_logs(Session& session, uint64_t log_offset, uint32_t info_size, uint32_t error_size,
               const LoadOptions& options, Reply& reply) {
  const auto bytes = [](const std::string& log) {
    return wire::Bytes(reinterpret_cast<const uint8_t*>(log.data()), log.size());
  };
  const uint64_t total = static_cast<uint64_t>(info_size) + error_size;
  if (total == 0 || !session.window().heap_contains(log_offset, total)) return;
  session.window().copy_in(log_offset, bytes(options.info_log()));
  session.window().copy_in(log_offset + info_size, bytes(options.error_log()));
  reply.info_log_used = options.info_log_used();
  reply.error_log_used = options.error_log_used();
}

}  // namespace vgpu::worker::handlers
