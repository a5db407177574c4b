#include "broker/quarantine_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/private_file.hpp"
#include "common/base/replace_file.hpp"

namespace vgpu::broker {
namespace {

using base::Error;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr off_t kMaxFileSize = 1 << 20;

}  // namespace

base::Result<std::set<std::string>> QuarantineFile::read() const try {
  auto text = base::read_private_file(path_, kMaxFileSize);
  if (!text) return text.error();
  if (!*text) return std::set<std::string>{};
  const auto file = json::parse(**text);
  if (file.at("vgpu_quarantine").get<int>() != kFormat)
    return Error{EINVAL, path_ + " is damaged: it is of another format"};
  return file.at("vms").get<std::set<std::string>>();
} catch (const json::exception& failure) {
  return Error{EINVAL, path_ + " is damaged: " + failure.what()};
}

base::Result<void> QuarantineFile::write(const std::set<std::string>& names) const {
  if (!names.empty())
    return base::replace_file(path_, json{{"vgpu_quarantine", kFormat}, {"vms", names}}.dump(1) + "\n", 0600);
  if (unlink(path_.c_str()) != 0 && errno != ENOENT)
    return Error{errno, "cannot remove " + path_ + ": " + std::generic_category().message(errno)};
  return {};
}

}  // namespace vgpu::broker
