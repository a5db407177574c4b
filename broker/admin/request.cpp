#include "broker/admin/request.hpp"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace vgpu::broker::admin {
namespace {

using base::Error;
using nlohmann::json;

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"status", Verb::status},   {"list", Verb::list},     {"kill", Verb::kill},        {"quarantine", Verb::quarantine},
    {"release", Verb::release}, {"reload", Verb::reload}, {"settings", Verb::settings}};

constexpr std::pair<std::string_view, Subject> kSubjects[] = {{"vms", Subject::vms},
                                                              {"clients", Subject::clients},
                                                              {"workers", Subject::workers},
                                                              {"gpus", Subject::gpus},
                                                              {"sockets", Subject::sockets}};

constexpr std::size_t kLongestName = 64;

Error invalid(const std::string& what) { return {EINVAL, what}; }

template <typename Value, std::size_t N>
std::optional<Value> find(const std::pair<std::string_view, Value> (&table)[N], const json& word) {
  if (!word.is_string()) return std::nullopt;
  for (const auto& [name, value] : table)
    if (name == word.get_ref<const std::string&>()) return value;
  return std::nullopt;
}

template <typename Value, std::size_t N>
std::string names_of(const std::pair<std::string_view, Value> (&table)[N]) {
  std::string names;
  for (const auto& [name, value] : table) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= kLongestName &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

/// Empty, or what is wrong with the value.
std::string take(const std::string& key, const json& value, Request& request) {
  if (key == "request") return {};
  if (key == "what" && request.verb == Verb::list) {
    const auto subject = find(kSubjects, value);
    request.subject = subject.value_or(Subject::vms);
    return subject ? "" : "\"what\" must be one of " + names_of(kSubjects);
  }
  if (key == "client" && request.verb == Verb::kill) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() == 0) return "\"client\" must be a client's number";
    request.client = value.get<std::uint64_t>();
    return {};
  }
  const bool takes_vm = request.verb == Verb::kill || request.verb == Verb::quarantine || request.verb == Verb::release;
  if (key == "vm" && takes_vm) {
    if (!value.is_string() || !is_name(value.get_ref<const std::string&>())) return "\"vm\" must be a VM's name";
    request.vm = value.get<std::string>();
    return {};
  }
  return "a key that this request does not have";
}

/// Empty, or what is missing or too much.
std::string check_whole(const json& object, const Request& request) {
  const bool has_vm = object.contains("vm"), has_client = object.contains("client");
  if (request.verb == Verb::list && !object.contains("what")) return "\"what\" must be one of " + names_of(kSubjects);
  if (request.verb == Verb::kill && has_vm == has_client) return "kill needs either \"client\" or \"vm\"";
  if ((request.verb == Verb::quarantine || request.verb == Verb::release) && !has_vm) return "\"vm\" is missing";
  return {};
}

}  // namespace

base::Result<Request> parse_request(std::string_view line) {
  if (line.size() > kLongestRequest) return invalid("the request has more than 4096 bytes");
  const auto object = json::parse(line, nullptr, false);
  if (!object.is_object()) return invalid("the request is not one JSON object on a line");
  const auto name = object.find("request");
  const auto verb = name == object.end() ? std::nullopt : find(kVerbs, *name);
  if (!verb) return invalid("\"request\" must be one of " + names_of(kVerbs));
  Request request;
  request.verb = *verb;
  for (const auto& [key, value] : object.items())
    if (const auto problem = take(key, value, request); !problem.empty()) return invalid(problem);
  if (const auto problem = check_whole(object, request); !problem.empty()) return invalid(problem);
  return request;
}

}  // namespace vgpu::broker::admin
