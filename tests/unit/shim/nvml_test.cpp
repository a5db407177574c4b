// The exported functions of the guest's NVML, over a worker that is played here: what is asked, how often, and what a
// program gets.
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/api/nvml_functions.gen.hpp"
#include "common/api/nvml_questions.gen.hpp"
#include "common/wire/writer.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/nvml/start.hpp"

using namespace vgpu::nvml;

extern "C" {
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned, nvmlDevice_t*);
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char*, nvmlDevice_t*);
nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t*, nvmlDevice_t*);
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t, char*, unsigned);
nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t, nvmlPciInfo_t*);
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char*, nvmlDevice_t*);
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t, unsigned, unsigned*);
nvmlReturn_t nvmlDeviceGetVbiosVersion(nvmlDevice_t, char*, unsigned);
nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t, nvmlDevice_t, unsigned, unsigned*);
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t, unsigned, unsigned*);
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t, int, nvmlFieldValue_t*);
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t, unsigned*, nvmlProcessInfo_v2_t*);
}

namespace {

using Asked = vgpu::nvml::Question;
using vgpu::wire::Bytes;

/// What the worker was asked, and what it answers: kUuid for every UUID, "N asked of device D" for other texts, the
/// number of questions for numbers.
struct Worker {
  bool is_initialized = true;
  int reachable = vgpu::cuda::CUDA_SUCCESS;
  nvmlReturn_t result = NVML_SUCCESS;
  unsigned questions = 0;
  uint32_t device = 0;
  std::vector<uint8_t> arguments;
  bool has_context = true;
};
Worker g_worker;

std::string uuid_of(uint32_t device) { return "GPU-0000000" + std::to_string(device) + "-0102-0304-0506-0708090a0b0c"; }

void answer(Asked question, uint32_t device, const std::vector<uint8_t>& arguments, vgpu::wire::Writer& out) {
  switch (question) {
    case Asked::nvmlDeviceGetUUID:
      return out.text(uuid_of(device));
    case Asked::nvmlDeviceGetName:
      return out.text("GPU " + std::to_string(device));
    case Asked::nvmlDeviceGetPciInfo_v3: {
      nvmlPciInfo_t pci{"short", 0, 0x10 + device, 2, 0x233510de, 0x18bf10de, "long"};
      return out.raw(&pci, sizeof pci);
    }
    case Asked::nvmlDeviceGetFieldValues: {
      nvmlFieldValue_t value{};
      std::memcpy(&value, arguments.data(), sizeof value);
      value.value = value.fieldId * 10;
      return out.raw(&value, sizeof value);
    }
    default:
      return out.put(g_worker.questions);
  }
}

int query(uint32_t question, uint32_t device, const void* arguments, size_t arguments_size, void* to, size_t* size,
          uint32_t* result) {
  ++g_worker.questions;
  g_worker.device = device;
  const auto* bytes = static_cast<const uint8_t*>(arguments);
  g_worker.arguments.assign(bytes, bytes + arguments_size);
  *result = g_worker.result;
  vgpu::wire::Writer out(std::span<uint8_t>(static_cast<uint8_t*>(to), *size));
  if (g_worker.result == NVML_SUCCESS) answer(static_cast<Asked>(question), device, g_worker.arguments, out);
  *size = out.size();
  return g_worker.reachable;
}

int process(uint32_t, uint32_t* result, uint32_t* has_context, uint64_t* used) {
  *result = g_worker.result;
  *has_context = g_worker.has_context ? 1 : 0;
  *used = 4096;
  return g_worker.reachable;
}

nvmlDevice_t device(unsigned index) {
  nvmlDevice_t handle = nullptr;
  REQUIRE(nvmlDeviceGetHandleByIndex_v2(index, &handle) == NVML_SUCCESS);
  return handle;
}

constexpr unsigned kGraphics = 0, kMemory = 2;

}  // namespace

// In place of shim/nvml/start.cpp.
namespace vgpu::shim::nvml {

const Bridge& bridge() {
  static const Bridge bridge{sizeof(Bridge), kBridgeVersion, nullptr, &query, &process, nullptr};
  return bridge;
}
bool is_initialized() { return g_worker.is_initialized; }
unsigned device_count() { return 2; }
nvmlReturn_t initialize(unsigned) { return NVML_SUCCESS; }
nvmlReturn_t shutdown() { return NVML_SUCCESS; }
nvmlReturn_t result_of(int) { return NVML_ERROR_GPU_IS_LOST; }
nvmlReturn_t not_supported(const char*, Once&) { return NVML_ERROR_NOT_SUPPORTED; }

}  // namespace vgpu::shim::nvml

TEST_CASE("a fact is asked once for each device and its arguments") {
  g_worker = {};
  unsigned first = 0, again = 0;
  REQUIRE(nvmlDeviceGetMaxClockInfo(device(0), kGraphics, &first) == NVML_SUCCESS);
  REQUIRE(nvmlDeviceGetMaxClockInfo(device(0), kGraphics, &again) == NVML_SUCCESS);
  CHECK(g_worker.questions == 1);
  CHECK(first == again);
  REQUIRE(nvmlDeviceGetMaxClockInfo(device(0), kMemory, &again) == NVML_SUCCESS);
  REQUIRE(nvmlDeviceGetMaxClockInfo(device(1), kGraphics, &again) == NVML_SUCCESS);
  CHECK(g_worker.questions == 3);
  CHECK(g_worker.device == 1);
}

TEST_CASE("what changes is asked each time") {
  g_worker = {};
  unsigned value = 0;
  for (unsigned i = 1; i <= 3; ++i) {
    REQUIRE(nvmlDeviceGetTemperature(device(0), 0, &value) == NVML_SUCCESS);
    CHECK(value == i);
  }
}

TEST_CASE("a failure that may pass is no fact") {
  g_worker = {};
  char text[32] = "";
  g_worker.result = NVML_ERROR_UNKNOWN;
  CHECK(nvmlDeviceGetName(device(0), text, sizeof text) == NVML_ERROR_UNKNOWN);
  g_worker.result = NVML_SUCCESS;
  CHECK(nvmlDeviceGetName(device(0), text, sizeof text) == NVML_SUCCESS);
  CHECK(std::string(text) == "GPU 0");
  // That a board lacks something does not pass.
  g_worker.result = NVML_ERROR_NOT_SUPPORTED;
  CHECK(nvmlDeviceGetVbiosVersion(device(0), text, sizeof text) == NVML_ERROR_NOT_SUPPORTED);
  g_worker.result = NVML_SUCCESS;
  CHECK(nvmlDeviceGetVbiosVersion(device(0), text, sizeof text) == NVML_ERROR_NOT_SUPPORTED);
}

TEST_CASE("a text needs room for its end") {
  g_worker = {};
  char text[8] = "xxxxxxx";
  CHECK(nvmlDeviceGetName(device(1), text, 5) == NVML_ERROR_INSUFFICIENT_SIZE);
  CHECK(text[0] == 'x');
  CHECK(nvmlDeviceGetName(device(1), text, 6) == NVML_SUCCESS);
  CHECK(std::string(text) == "GPU 1");
  CHECK(text[6] == 'x');
}

TEST_CASE("the first thing that is wrong is the answer") {
  g_worker = {};
  unsigned value = 0;
  const nvmlDevice_t known = device(0);
  CHECK(nvmlDeviceGetTemperature(nullptr, 0, &value) == NVML_ERROR_INVALID_ARGUMENT);
  CHECK(nvmlDeviceGetTemperature(known, 0, nullptr) == NVML_ERROR_INVALID_ARGUMENT);
  CHECK(nvmlDeviceGetP2PStatus(known, reinterpret_cast<nvmlDevice_t>(&value), 0, &value) ==
        NVML_ERROR_INVALID_ARGUMENT);
  g_worker.is_initialized = false;
  CHECK(nvmlDeviceGetTemperature(nullptr, 0, nullptr) == NVML_ERROR_UNINITIALIZED);
  CHECK(nvmlDeviceGetHandleByUUID(nullptr, nullptr) == NVML_ERROR_UNINITIALIZED);
  CHECK(g_worker.questions == 0);
}

TEST_CASE("a second device travels as its index") {
  g_worker = {};
  unsigned status = 0;
  REQUIRE(nvmlDeviceGetP2PStatus(device(1), device(0), 7, &status) == NVML_SUCCESS);
  CHECK(g_worker.device == 1);
  CHECK(g_worker.arguments == std::vector<uint8_t>{0, 0, 0, 0, 7, 0, 0, 0});
}

TEST_CASE("devices are found by every name they have") {
  g_worker = {};
  nvmlDevice_t found = nullptr;
  CHECK(nvmlDeviceGetHandleByUUID(uuid_of(1).c_str(), &found) == NVML_SUCCESS);
  CHECK(found == device(1));
  CHECK(nvmlDeviceGetHandleByUUID("GPU-7", &found) == NVML_ERROR_NOT_FOUND);
  nvmlUUID_v1_t uuid{versioned<nvmlUUID_v1_t>(1), 2, {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  CHECK(nvmlDeviceGetHandleByUUIDV(&uuid, &found) == NVML_SUCCESS);
  CHECK(found == device(0));
  for (const char* name : {"0000:11:02.0", "00000000:11:02.0", "11:02.0"}) {
    CHECK(nvmlDeviceGetHandleByPciBusId_v2(name, &found) == NVML_SUCCESS);
    CHECK(found == device(1));
  }
  CHECK(nvmlDeviceGetHandleByPciBusId_v2("0000:12:02.0", &found) == NVML_ERROR_NOT_FOUND);
  CHECK(nvmlDeviceGetHandleByPciBusId_v2("0000:11:02.0 and more", &found) == NVML_ERROR_INVALID_ARGUMENT);
}

TEST_CASE("an earlier structure is not written beyond its end") {
  g_worker = {};
  nvmlPciInfo_t pci{};
  std::memset(&pci, 0x5a, sizeof pci);
  REQUIRE(nvmlDeviceGetPciInfo_v2(device(0), &pci) == NVML_SUCCESS);
  CHECK(pci.bus == 0x10);
  CHECK(pci.pciSubSystemId == 0x18bf10de);
  CHECK(pci.busId[0] == 0x5a);
}

TEST_CASE("each field value has a result of its own") {
  g_worker = {};
  nvmlFieldValue_t values[2] = {{.fieldId = 3}, {.fieldId = 4}};
  REQUIRE(nvmlDeviceGetFieldValues(device(0), 2, values) == NVML_SUCCESS);
  CHECK(values[0].value == 30);
  CHECK(values[1].value == 40);
  g_worker.result = NVML_ERROR_NOT_SUPPORTED;
  REQUIRE(nvmlDeviceGetFieldValues(device(0), 1, values) == NVML_SUCCESS);
  CHECK(values[0].nvmlReturn == NVML_ERROR_NOT_SUPPORTED);
}

TEST_CASE("a process sees itself, and nobody else") {
  g_worker = {};
  unsigned count = 0;
  nvmlProcessInfo_v2_t infos[4] = {};
  CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, nullptr) == NVML_ERROR_INSUFFICIENT_SIZE);
  CHECK(count == 1);
  count = 4;
  CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, infos) == NVML_SUCCESS);
  CHECK(count == 1);
  CHECK(infos[0].usedGpuMemory == 4096);
  g_worker.has_context = false;
  CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, infos) == NVML_SUCCESS);
  CHECK(count == 0);
}

TEST_CASE("a worker that is gone is a GPU that is lost") {
  g_worker = {};
  unsigned value = 0;
  char text[16];
  REQUIRE(nvmlDeviceGetName(device(0), text, sizeof text) == NVML_SUCCESS);
  g_worker.reachable = vgpu::cuda::CUDA_ERROR_LAUNCH_FAILED;
  CHECK(nvmlDeviceGetTemperature(device(0), 0, &value) == NVML_ERROR_GPU_IS_LOST);
  CHECK(nvmlDeviceGetName(device(0), text, sizeof text) == NVML_SUCCESS);
}
