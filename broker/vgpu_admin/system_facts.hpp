// What the host says: security modules and their refusals, NVIDIA's device files, libraries.
#pragma once

#include <ctime>

#include "broker/vgpu_admin/facts.hpp"

namespace vgpu::admin {

struct SystemQuestions {
  std::string root;    // put in front of every path; empty: the host's own
  std::string driver;  // as configured
  std::string worker;  // path of the worker program
  uid_t broker_uid = 0;
  std::time_t now = 0;
};

SystemFacts gather_system(const SystemQuestions& questions);

/// Those lines of a log that tell of a refusal which concerns us, not older than a quarter of an hour.
std::vector<std::string> find_denials(const std::string& log, std::time_t now);

}  // namespace vgpu::admin
