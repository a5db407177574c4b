#include "shim/client/code_loading.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/unique_fd.hpp"
#include "shim/client/images.hpp"

namespace vgpu::shim {
namespace {

/// Reads a whole file and ends it with a zero byte, for text.
CUresult read_file(const char* path, std::vector<uint8_t>& bytes) {
  const base::UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (file.get() < 0 || fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return CUDA_ERROR_FILE_NOT_FOUND;
  if (static_cast<uint64_t>(facts.st_size) >= kMaxImage) return CUDA_ERROR_INVALID_IMAGE;
  bytes.resize(static_cast<size_t>(facts.st_size) + 1);
  size_t filled = 0;
  while (filled + 1 < bytes.size()) {
    const ssize_t got = read(file.get(), bytes.data() + filled, bytes.size() - 1 - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled + 1);
  bytes.back() = 0;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult TravellingImage::take(const void* image) {
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const void* bare = unwrap_image(image);
  return bare != nullptr ? take_bare(bare) : CUDA_ERROR_INVALID_IMAGE;
}

CUresult TravellingImage::take_bare(const void* image) {
  if (image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto size = image_size(image);
  return size ? copy(image, *size) : CUDA_ERROR_INVALID_IMAGE;
}

CUresult TravellingImage::take_lazily(const void* image) {
  const CUresult taken = take(image);
  if (taken != CUDA_ERROR_INVALID_IMAGE) return taken;
  // One byte is all that can be read safely of something unknown; with a byte that begins no format it stays unknown.
  uint8_t unknown[64] = {};
  unknown[0] = static_cast<uint8_t>(*static_cast<const uint8_t*>(image) | 0x80);
  return copy(unknown, sizeof unknown);
}

CUresult TravellingImage::take_file(const char* path) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<uint8_t> bytes;
  const CUresult read = read_file(path, bytes);
  if (read != CUDA_SUCCESS) return read;
  const auto size = image_size(bytes.data(), bytes.size());
  return size ? copy(bytes.data(), *size) : CUDA_ERROR_INVALID_IMAGE;
}

CUresult TravellingImage::take_bytes(const void* bytes, size_t size) {
  if (bytes == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
  return size <= kMaxImage ? copy(bytes, size) : CUDA_ERROR_INVALID_IMAGE;
}

CUresult TravellingImage::take_file_bytes(const char* path) {
  if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::vector<uint8_t> bytes;
  if (const CUresult read = read_file(path, bytes); read != CUDA_SUCCESS) return read;
  return bytes.size() > 1 ? copy(bytes.data(), bytes.size() - 1) : CUDA_ERROR_INVALID_IMAGE;
}

CUresult TravellingImage::copy(const void* bytes, size_t size) {
  range_ = HeapRange::take(size);
  if (!range_) return CUDA_ERROR_OUT_OF_MEMORY;
  std::memcpy(range_.data(), bytes, size);
  size_ = size;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim
