// From nothing to a worker that answers: connect, map, wait, ask. And what becomes of it in a forked child.
#pragma once

#include "common/api/cuda_types.hpp"
#include "shim/client/channel.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// The newest driver version that the shim's table knows; a newer host shows itself as this one.
inline constexpr int kNewestDriverVersion = 13000;

/// What cuInit does. Fails quietly the second time: one line on standard error is enough.
CUresult initialize();
/// CUDA_SUCCESS once cuInit has succeeded; CUDA_ERROR_NOT_INITIALIZED before, and in a forked child.
CUresult initialized();
/// What cuDriverGetVersion answers; opens the channel if need be, since programs ask before cuInit.
int driver_version();
/// The process's channel for those who need no CUDA: opens it if need be, as driver_version() does, and does not make
/// it the program's. In a forked child it is one of its own, although CUDA is lost there.
CUresult connected_channel(Channel*& channel);
int device_count();
bool is_device(CUdevice device);

}  // namespace vgpu::shim
