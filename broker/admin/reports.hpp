// What the broker tells administrators about its VMs, clients, workers, GPUs, sockets and settings.
#pragma once

#include "broker/admin/office.hpp"

namespace vgpu::broker::admin {

Json describe_processed(const Processed& processed);
Json describe_ends(const WorkerEnds& ends);
/// Everything that the configuration file can say; it holds no secrets.
Json describe_settings(const Config& config);

/// VMs that are reached through a device, then users and whatever else has clients, counts or a quarantine.
Json list_vms(const Vms& vms, const Clients& clients);
Json list_clients(const Clients& clients);
Json list_workers(const Vms& vms, const Clients& clients);
/// As the workers that run now have said: of a GPU without workers nothing is known.
Json list_gpus(const Clients& clients);
SocketReport report_socket(const doors::Entrance& entrance, const Config& config);
Json list_sockets(const std::vector<SocketReport>& sockets);

}  // namespace vgpu::broker::admin
