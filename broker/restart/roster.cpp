#include "broker/restart/roster.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/log.hpp"
#include "common/base/replace_file.hpp"

namespace vgpu::broker::restart {
namespace {

using base::Error;
using base::UniqueFd;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr off_t kMaxFileSize = 16 << 20;  // far above what max_clients entries take

Error os_error(const std::string& what) {
  const int code = errno;
  return {code, what + ": " + std::generic_category().message(code)};
}

json to_json(const base::ProcessIdentity& process) { return {{"pid", process.pid}, {"started", process.started}}; }

base::ProcessIdentity process_from(const json& value) {
  return {value.at("pid").get<pid_t>(), value.at("started").get<std::uint64_t>()};
}

json to_json(const ChannelPlace& place) {
  json pieces = json::array();
  for (const auto& piece : place.pieces) pieces.push_back({{"offset", piece.offset}, {"size", piece.size}});
  return {{"vm", place.vm},
          {"channel", place.channel},
          {"memory_size", place.memory_size},
          {"inode", place.inode},
          {"pieces", std::move(pieces)}};
}

ChannelPlace place_from(const json& value) {
  ChannelPlace place{value.at("vm").get<std::string>(),
                     value.at("channel").get<std::uint32_t>(),
                     value.at("memory_size").get<std::uint64_t>(),
                     value.at("inode").get<ino_t>(),
                     {}};
  for (const auto& piece : value.at("pieces"))
    place.pieces.push_back({piece.at("offset").get<std::uint64_t>(), piece.at("size").get<std::uint64_t>()});
  return place;
}

json to_json(const Entry& entry) {
  json value = {{"id", entry.id},
                {"uid", entry.uid},
                {"client", to_json(entry.client)},
                {"worker", to_json(entry.worker)},
                {"window_size", entry.window_size}};
  if (entry.place) value["place"] = to_json(*entry.place);
  if (!entry.vm.empty()) value["vm"] = entry.vm;
  return value;
}

Entry entry_from(const json& value) {
  Entry entry{value.at("id").get<std::uint64_t>(),
              value.at("uid").get<uid_t>(),
              process_from(value.at("client")),
              process_from(value.at("worker")),
              value.at("window_size").get<std::uint64_t>(),
              {},
              value.value("vm", "")};
  if (const auto place = value.find("place"); place != value.end()) entry.place = place_from(*place);
  return entry;
}

base::Result<void> check_owner(int file, const std::string& path) {
  struct stat status {};
  if (fstat(file, &status) != 0) return os_error(path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
    return Error{EPERM, path + " is not a file that only this user can write; it is not believed"};
  if (status.st_size > kMaxFileSize) return Error{EFBIG, path + " is too large for a roster"};
  return {};
}

}  // namespace

std::string to_text(std::uint64_t next_id, const std::map<std::uint64_t, Entry>& entries) {
  json list = json::array();
  for (const auto& [id, entry] : entries) list.push_back(to_json(entry));
  return json{{"vgpu_roster", kFormat}, {"next_id", next_id}, {"clients", std::move(list)}}.dump(1) + "\n";
}

base::Result<Predecessor> from_text(const std::string& text) try {
  const auto file = json::parse(text);
  if (file.at("vgpu_roster").get<int>() != kFormat) return Error{EINVAL, "it is of another format"};
  Predecessor result;
  result.next_id = file.at("next_id").get<std::uint64_t>();
  for (const auto& value : file.at("clients")) result.entries.push_back(entry_from(value));
  return result;
} catch (const json::exception& failure) {
  return Error{EINVAL, failure.what()};
}

base::Result<Predecessor> Roster::read() const {
  UniqueFd file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return errno == ENOENT ? base::Result<Predecessor>(Predecessor{}) : os_error("cannot read " + path_);
  if (auto owner = check_owner(file.get(), path_); !owner) return owner.error();
  std::string text;
  char buffer[16384];
  for (ssize_t count; (count = ::read(file.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  auto result = from_text(text);
  if (!result) return result.error().within(path_ + " is damaged");
  return result;
}

void Roster::add(const Entry& entry, std::uint64_t next_id) {
  entries_[entry.id] = entry;
  next_id_ = next_id;
  write();
}

void Roster::replace(const std::vector<Entry>& entries, std::uint64_t next_id) {
  entries_.clear();
  for (const auto& entry : entries) entries_[entry.id] = entry;
  next_id_ = next_id;
  write();
}

void Roster::remove(std::uint64_t id) {
  if (entries_.erase(id) != 0) write();
}

void Roster::discard() { unlink(path_.c_str()); }

void Roster::write() {
  const auto written = base::replace_file(path_, to_text(next_id_, entries_), 0600);
  if (!written && !failing_)
    log::error("{}; a broker that comes after this one will not know its clients", written.error().text);
  failing_ = !written;
}

}  // namespace vgpu::broker::restart
