// The broker's answers, for people.
#pragma once

#include <string>

#include "broker/vgpu_admin/ask.hpp"

namespace vgpu::admin {

std::string status_text(const Json& status);
/// `what`: "vms", "clients", "workers", "gpus" or "sockets". The first line has the columns' names.
std::string list_text(const std::string& what, const Json& list);

}  // namespace vgpu::admin
