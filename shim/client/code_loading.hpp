// How an image gets from the program to the worker: one way for modules and libraries.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "shim/client/jit_options.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/heap_range.hpp"

namespace vgpu::shim {

/// An image in memory of ours: resolved, measured and copied to where the worker sees it.
class TravellingImage {
 public:
  /// From the program's pointer (wrapper, fatbin, cubin or text).
  CUresult take(const void* image);
  /// The same, but a wrapper is no image: modules want what is inside.
  CUresult take_bare(const void* image);
  /// As take(), but what is no image at all travels as its first bytes: the driver loads libraries lazily and refuses
  /// such a one at its first use.
  CUresult take_lazily(const void* image);
  /// From a file's bytes; text need not end in a zero.
  CUresult take_file(const char* path);
  /// Bytes whose size is known, whatever they are: the linker takes more than images.
  CUresult take_bytes(const void* bytes, size_t size);
  /// The same from a file.
  CUresult take_file_bytes(const char* path);

  uint64_t offset() const { return range_.offset(); }
  uint64_t size() const { return size_; }

 private:
  CUresult copy(const void* bytes, size_t size);

  HeapRange range_;
  uint64_t size_ = 0;
};

/// Gives `op` room for the logs, sends it, and hands logs and time to the program, also on failure.
template <typename Op, typename Reply>
CUresult send_with_logs(Request& request, Op op, const JitOptions& options, Reply& reply) {
  HeapRange logs;
  const uint32_t info_size = options.info_log_size();
  const uint32_t error_size = options.error_log_size();
  if (info_size + error_size != 0) {
    logs = HeapRange::take(info_size + error_size);
    if (!logs) return CUDA_ERROR_OUT_OF_MEMORY;
    std::memset(logs.data(), 0, info_size + error_size);
    op.log_offset = logs.offset();
  }
  const CUresult result = call(request, op, reply);
  const auto* text = reinterpret_cast<const char*>(logs.data());
  if (result != CUDA_SUCCESS && info_size + error_size != 0) {  // a failure has no reply, but the logs say why
    reply.info_log_used = static_cast<uint32_t>(strnlen(text, info_size));
    reply.error_log_used = static_cast<uint32_t>(strnlen(text + info_size, error_size));
  }
  options.finish(logs.data(), reply.info_log_used, reply.error_log_used, reply.wall_time);
  return result;
}

/// Fills in image and options of `op` (ModuleLoad or LibraryLoad), and sends it as above.
template <typename Op, typename Reply>
CUresult send_image(Request& request, Op op, const TravellingImage& image, const JitOptions& options) {
  op.offset = image.offset();
  op.size = image.size();
  op.info_log_size = options.info_log_size();
  op.error_log_size = options.error_log_size();
  op.options = options.encoded();
  Reply reply;
  return send_with_logs(request, op, options, reply);
}

}  // namespace vgpu::shim
