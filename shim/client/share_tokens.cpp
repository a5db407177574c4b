#include "shim/client/share_tokens.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace vgpu::shim {
namespace {

/// As it lies in handles and files. Append-only: the processes of a VM may have shims of different versions.
struct Sheet {
  char magic[8];
  uint32_t what;
  uint32_t reserved;
  uint8_t token[16];
  uint8_t rest[32];
};
static_assert(sizeof(Sheet) == 64);
constexpr char kMagic[8] = {'v', 'g', 'p', 'u', 'i', 'p', 'c', '1'};

Sheet sheet_of(Shared what, const ShareToken& token) {
  Sheet sheet{};
  std::memcpy(sheet.magic, kMagic, sizeof kMagic);
  sheet.what = static_cast<uint32_t>(what);
  std::memcpy(sheet.token, token.data(), token.size());
  return sheet;
}

bool take_token(const Sheet& sheet, Shared what, ShareToken& token) {
  if (std::memcmp(sheet.magic, kMagic, sizeof kMagic) != 0 || sheet.what != static_cast<uint32_t>(what)) return false;
  std::memcpy(token.data(), sheet.token, token.size());
  return true;
}

}  // namespace

void write_handle(Shared what, const ShareToken& token, char (&bytes)[64]) {
  const Sheet sheet = sheet_of(what, token);
  std::memcpy(bytes, &sheet, sizeof sheet);
}

bool read_handle(Shared what, const char (&bytes)[64], ShareToken& token) {
  Sheet sheet;
  std::memcpy(&sheet, bytes, sizeof sheet);
  return take_token(sheet, what, token);
}

base::UniqueFd make_share_file(Shared what, const ShareToken& token) {
  base::UniqueFd file(::memfd_create("vgpu-shared-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const Sheet sheet = sheet_of(what, token);
  if (!file || ::pwrite(file.get(), &sheet, sizeof sheet, 0) != sizeof sheet) return {};
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return file;
}

bool read_share_file(Shared what, int file, ShareToken& token) {
  Sheet sheet;
  return ::pread(file, &sheet, sizeof sheet, 0) == sizeof sheet && take_token(sheet, what, token);
}

}  // namespace vgpu::shim
