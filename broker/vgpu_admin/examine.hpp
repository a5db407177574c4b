// The doctor's chain, link by link, up to the first that is broken. Each judgement is a function of the facts alone.
#pragma once

#include <vector>

#include "broker/vgpu_admin/facts.hpp"
#include "common/base/finding.hpp"

namespace vgpu::admin {

using base::Finding;
using Findings = std::vector<Finding>;

Findings examine(const Facts& facts);

/// Its steps, in their order.
Findings judge_configuration(const Facts& facts);
Findings judge_broker(const Facts& facts);
Findings judge_sockets(const Facts& facts);
Findings judge_reach(const Facts& facts);
Findings judge_vms(const Facts& facts);
Findings judge_denials(const Facts& facts);
Findings judge_driver(const Facts& facts);
Findings judge_workers(const Facts& facts);
Findings judge_logs(const Facts& facts);

Json to_json(const Findings& findings);

}  // namespace vgpu::admin
