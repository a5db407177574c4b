// Values of the configuration file: each parser returns an empty string, or what is wrong with the value.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "broker/toml.hpp"

namespace vgpu::broker {

std::string parse_text(const toml::node& node, std::string& out);
std::string parse_path(const toml::node& node, std::string& out);
std::string parse_path_or_none(const toml::node& node, std::string& out);
std::string parse_count(const toml::node& node, std::uint64_t least, std::uint64_t most, std::uint64_t& out);
std::string parse_milliseconds(const toml::node& node, std::chrono::milliseconds& out);
std::string parse_mode(const toml::node& node, unsigned& out);
std::string parse_size(const toml::node& node, std::uint64_t& out);
/// `out`: the place among the choices.
std::string parse_choice(const toml::node& node, std::initializer_list<const char*> choices, std::size_t& out);

std::string check_driver(const std::string& driver);
std::string check_level(const std::string& name);
std::string check_format(const std::string& name);
std::string check_log_file(const std::string& path);
/// Letters, digits, "-", "_" and ".", at most that many.
bool is_plain_name(std::string_view name, std::size_t most);

}  // namespace vgpu::broker
