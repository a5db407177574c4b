#include "broker/vgpu_admin/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace vgpu::admin {
namespace {

struct Column {
  const char* name;
  std::function<std::string(const Json& row)> text;
};
using Columns = std::vector<Column>;

/// A value by the way to it, "/pool"; "-" if there is none.
std::string at(const Json& row, const char* path) {
  const Json::json_pointer pointer(path);
  if (!row.contains(pointer)) return "-";
  const auto& value = row.at(pointer);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Column plain(const char* name, const char* path) {
  return {name, [path](const Json& row) { return at(row, path); }};
}

Column mebibytes(const char* name, const char* path) {
  return {name, [path](const Json& row) {
            const auto bytes = row.value(Json::json_pointer(path), std::uint64_t{0});
            return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
          }};
}

std::string link_of(const Json& vm) {
  return vm.value("quarantined", false) ? "QUARANTINE" : at(vm, vm.contains("link") ? "/link" : "/kind");
}

/// Where a client's memory lies: "0000:06:00.0 12.0 MiB", one after the other; "-" if it has no context.
std::string gpus_of(const Json& client) {
  std::string text;
  for (const auto& gpu : client.value("gpus", Json::array()))
    text += fmt::format("{}{} {:.1f} MiB", text.empty() ? "" : ", ", at(gpu, "/pci"),
                        static_cast<double>(gpu.value("memory_bytes", std::uint64_t{0})) / (1 << 20));
  return text.empty() ? "-" : text;
}

const Columns& columns_of(const std::string& what) {
  static const std::map<std::string, Columns> kColumns = {
      {"vms",
       {plain("VM", "/vm"),
        {"STATE", link_of},
        plain("CLIENTS", "/clients"),
        plain("PROCESSED", "/processed/total"),
        plain("STUB", "/stub/pid"),
        plain("UID", "/stub/uid"),
        plain("POOL", "/pool"),
        plain("PRIORITY", "/priority"),
        plain("SOCKET", "/socket")}},
      {"clients",
       {plain("CLIENT", "/client"),
        plain("VM", "/vm"),
        plain("PID", "/pid"),
        plain("UID", "/uid"),
        plain("WORKER", "/worker"),
        plain("STATE", "/state"),
        plain("RECORDS", "/records"),
        mebibytes("GPU-MEMORY", "/memory_bytes"),
        mebibytes("PINNED", "/pinned_bytes"),
        {"GPUS", gpus_of}}},
      {"workers",
       {plain("WORKER", "/worker"), plain("CLIENT", "/client"), plain("VM", "/vm"), plain("STATE", "/state"),
        plain("RECORDS", "/records"), plain("SUBMISSIONS", "/submissions"), plain("GPU", "/gpu"),
        plain("DRIVER", "/driver")}},
      {"gpus",
       {plain("GPU", "/gpu"), plain("PCI", "/pci"), plain("CUDA", "/cuda_version"), plain("WORKERS", "/workers"),
        plain("CLIENTS", "/clients"), mebibytes("GPU-MEMORY", "/memory_bytes"), plain("DRIVER", "/driver"),
        plain("UUID", "/uuid")}},
      {"sockets",
       {plain("KIND", "/kind"), plain("MODE", "/mode"), plain("GROUP", "/group"), plain("VM", "/vm"),
        plain("PATH", "/path")}}};
  return kColumns.at(what);
}

std::string format(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

std::string duration(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return seconds < 172'800 ? fmt::format("{} h", seconds / 3600) : fmt::format("{} days", seconds / 86'400);
}

std::string words_of(const Json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count.dump());
  return text.empty() ? "none" : text;
}

std::string names_of(const Json& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text.empty() ? "none" : text;
}

}  // namespace

std::string status_text(const Json& status) {
  const auto& broker = status.at("broker");
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    text += fmt::format("{:<11} {}\n", name, value);
  };
  line("broker", fmt::format("pid {}, version {}, uid {}, up {}", at(broker, "/pid"), at(broker, "/version"),
                             at(broker, "/uid"), duration(broker.value("uptime_s", std::uint64_t{0}))));
  line("socket", at(broker, "/socket"));
  line("config", at(broker, "/config"));
  line("driver", at(broker, "/driver"));
  line("clients", fmt::format("{} of {}", at(status, "/clients/count"), at(status, "/clients/most")));
  if (status.value("/clients/stuck_workers"_json_pointer, 0) != 0)
    line("ALARM", fmt::format("{} worker(s) do not die; the log names them", at(status, "/clients/stuck_workers")));
  line("VMs", fmt::format("{} configured; in quarantine: {}", at(status, "/vms/configured"),
                          names_of(status.at("vms").at("quarantined"))));
  line("processed", fmt::format("{} ({} legacy requests, {} CUDA records)", at(status, "/processed/total"),
                                at(status, "/processed/legacy_requests"), at(status, "/processed/records")));
  line("workers", "ended: " + words_of(status.at("workers").at("ended")));
  return text;
}

std::string list_text(const std::string& what, const Json& list) {
  const auto& columns = columns_of(what);
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& column : columns) rows[0].emplace_back(column.name);
  for (const auto& entry : list) {
    auto& row = rows.emplace_back();
    for (const auto& column : columns) row.push_back(column.text(entry));
  }
  return format(rows);
}

}  // namespace vgpu::admin
