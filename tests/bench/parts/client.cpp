// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/parts/client.hpp"

#include "bench_kernels.gen.h"
#include "shim/client/channel.hpp"
#include "shim/client/thread_state.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace bench {
namespace {

using namespace vgpu::cuda;
namespace calls = vgpu::shim::calls;

constexpr uint8_t kParameters[kParameterBytes] = {};

}  // namespace

Client& Client::instance() {
  static auto* const one = new Client;  // lives as long as the shim's channel
  return *one;
}

Client::Client() {
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  require(calls::cuInit(0) == CUDA_SUCCESS, "cuInit fails");
  require(calls::cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS, "there is no context");
  require(calls::cuCtxSetCurrent(context) == CUDA_SUCCESS, "the context cannot be used");
  require(calls::cuModuleLoadData(&module, bench_kernels) == CUDA_SUCCESS, "the kernels cannot be loaded");
  require(calls::cuModuleGetFunction(&function_, module, "nothing") == CUDA_SUCCESS, "the kernel is not there");
  require(calls::cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS, "there is no stream");
  context_handle_ = reinterpret_cast<uint64_t>(context);
  slot_ = vgpu::shim::slot_of(vgpu::shim::this_thread());
  require(launch() == CUDA_SUCCESS, "a launch fails");
  synchronise();
}

CUresult Client::launch_with_threads(unsigned threads) const {
  return calls::cuLaunchKernel(function_, 1, 1, 1, threads, 1, 1, 0, stream_, parameters_, nullptr);
}

void Client::synchronise() const {
  require(calls::cuStreamSynchronize(stream_) == CUDA_SUCCESS, "cuStreamSynchronize fails");
}

CUresult Client::ask_limit() const {
  size_t limit = 0;
  return calls::cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE);
}

vgpu::api::ops::Launch Client::record() const {
  vgpu::api::ops::Launch record;
  record.what.value = reinterpret_cast<uint64_t>(function_);
  record.grid_x = record.grid_y = record.grid_z = 1;
  record.block_x = 32;
  record.block_y = record.block_z = 1;
  record.on.value = reinterpret_cast<uint64_t>(stream_);
  record.parameters = kParameters;
  return record;
}

void Client::post_record() const {
  uint8_t body[256];
  vgpu::wire::Writer writer{std::span<uint8_t>(body)};
  record().encode(writer);
  const CUresult sent = vgpu::shim::open_channel()->post(slot_, static_cast<uint16_t>(vgpu::api::Op::launch),
                                                         context_handle_, writer.written(), {});
  require(sent == CUDA_SUCCESS, "a record cannot be appended");
}

}  // namespace bench
