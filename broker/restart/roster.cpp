#include "broker/restart/roster.hpp"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/base/log.hpp"
#include "common/base/private_file.hpp"
#include "common/base/replace_file.hpp"

namespace vgpu::broker::restart {
namespace {

using base::Error;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr off_t kMaxFileSize = 16 << 20;  // far above what max_clients entries take

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

json to_json(const vm::WorkerFacts& facts) {
  return {{"driver_version", facts.driver_version},
          {"device_count", facts.device_count},
          {"device_name", facts.device_name},
          {"driver", facts.driver}};
}

vm::WorkerFacts facts_from(const json& value) {
  return {value.at("driver_version").get<std::int32_t>(), value.at("device_count").get<std::uint32_t>(),
          value.at("device_name").get<std::string>(), value.at("driver").get<std::string>()};
}

json to_json(const Entry& entry) {
  json value = {{"id", entry.id},
                {"uid", entry.uid},
                {"client", to_json(entry.client)},
                {"worker", to_json(entry.worker)},
                {"window_size", entry.window_size}};
  if (entry.place) value["place"] = to_json(*entry.place);
  if (!entry.vm.empty()) value["vm"] = entry.vm;
  if (entry.facts) value["facts"] = to_json(*entry.facts);
  return value;
}

Entry entry_from(const json& value) {
  Entry entry{value.at("id").get<std::uint64_t>(),
              value.at("uid").get<uid_t>(),
              process_from(value.at("client")),
              process_from(value.at("worker")),
              value.at("window_size").get<std::uint64_t>(),
              {},
              value.value("vm", ""),
              {}};
  if (const auto place = value.find("place"); place != value.end()) entry.place = place_from(*place);
  if (const auto facts = value.find("facts"); facts != value.end()) entry.facts = facts_from(*facts);
  return entry;
}

json to_json(const Totals& totals) {
  json value = json::object();
  for (const auto& [vm, processed] : totals.per_vm())
    value[vm] = {{"records", processed.records}, {"legacy_requests", processed.legacy_requests}};
  return value;
}

Totals totals_from(const json& value) {
  Totals::PerVm per_vm;
  for (const auto& [vm, processed] : value.items())
    per_vm[vm] = {processed.at("records").get<std::uint64_t>(), processed.at("legacy_requests").get<std::uint64_t>()};
  return Totals(std::move(per_vm));
}

}  // namespace

std::string to_text(std::uint64_t next_id, const std::map<std::uint64_t, Entry>& entries, const Totals& totals) {
  json list = json::array();
  for (const auto& [id, entry] : entries) list.push_back(to_json(entry));
  const json file = {
      {"vgpu_roster", kFormat}, {"next_id", next_id}, {"clients", std::move(list)}, {"processed", to_json(totals)}};
  return file.dump(1) + "\n";
}

base::Result<Predecessor> from_text(const std::string& text) try {
  const auto file = json::parse(text);
  if (file.at("vgpu_roster").get<int>() != kFormat) return Error{EINVAL, "it is of another format"};
  Predecessor result;
  result.next_id = file.at("next_id").get<std::uint64_t>();
  for (const auto& value : file.at("clients")) result.entries.push_back(entry_from(value));
  if (const auto processed = file.find("processed"); processed != file.end()) result.totals = totals_from(*processed);
  return result;
} catch (const json::exception& failure) {
  return Error{EINVAL, failure.what()};
}

base::Result<Predecessor> Roster::read() const {
  auto text = base::read_private_file(path_, kMaxFileSize);
  if (!text) return text.error();
  if (!*text) return Predecessor{};
  auto result = from_text(**text);
  if (!result) return result.error().within(path_ + " is damaged");
  return result;
}

void Roster::add(const Entry& entry, std::uint64_t next_id) {
  entries_[entry.id] = entry;
  next_id_ = next_id;
  save();
}

void Roster::replace(const std::vector<Entry>& entries, std::uint64_t next_id) {
  entries_.clear();
  for (const auto& entry : entries) entries_[entry.id] = entry;
  next_id_ = next_id;
  save();
}

void Roster::set_facts(std::uint64_t id, const vm::WorkerFacts& facts) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  entry->second.facts = facts;
  save();
}

void Roster::remove(std::uint64_t id) {
  if (entries_.erase(id) != 0) save();
}

void Roster::discard() { unlink(path_.c_str()); }

void Roster::save() {
  const auto written = base::replace_file(path_, to_text(next_id_, entries_, totals_), 0600);
  if (!written && !failing_)
    log::error("{}; a broker that comes after this one will not know its clients", written.error().text);
  failing_ = !written;
}

}  // namespace vgpu::broker::restart
