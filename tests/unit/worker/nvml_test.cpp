// NVML's questions on the worker's side, over the software GPU's answers: what is asked for is given, and what a guest
// must not send is refused.
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "common/api/nvml_questions.gen.hpp"
#include "running_worker.hpp"
#include "worker/nvml/questions.hpp"

using namespace vgpu::cuda;
using namespace vgpu::nvml;
using namespace vgpu::worker;
namespace ops = vgpu::api::ops;
using Asked = vgpu::nvml::Question;

namespace {

constexpr uint32_t kMine = 3;
constexpr unsigned kMemoryMiB = 512;

CUresult give_count(int* count) {
  *count = 1;
  return CUDA_SUCCESS;
}
CUresult give_name(char* name, int size, CUdevice) {
  std::snprintf(name, static_cast<size_t>(size), "a GPU");
  return CUDA_SUCCESS;
}
CUresult give_uuid(CUuuid* uuid, CUdevice) {
  for (unsigned i = 0; i < sizeof uuid->bytes; ++i) uuid->bytes[i] = static_cast<char>(0xf0 + i);
  return CUDA_SUCCESS;
}
CUresult give_memory(size_t* bytes, CUdevice) {
  *bytes = size_t{kMemoryMiB} << 20;
  return CUDA_SUCCESS;
}
CUresult give_free_memory(size_t* free, size_t* total) {
  *total = size_t{kMemoryMiB} << 20;
  *free = *total - (3 << 20);
  return CUDA_SUCCESS;
}
CUresult of_first(CUdevice* device) {
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult of_second(CUdevice* device) {
  *device = 1;
  return CUDA_SUCCESS;
}
CUresult of_none(CUdevice*) { return CUDA_ERROR_INVALID_CONTEXT; }
CUresult give_attribute(int* value, CUdevice_attribute number, CUdevice) {
  *value = static_cast<int>(number);
  return CUDA_SUCCESS;
}

DriverLibrary software() {
  DriverLibrary driver = fake::open();
  driver.is_software = true;
  driver.functions.cuDeviceGetCount = &give_count;
  driver.functions.cuDeviceGetName = &give_name;
  driver.functions.cuDeviceGetUuid_v2 = &give_uuid;
  driver.functions.cuDeviceTotalMem_v2 = &give_memory;
  driver.functions.cuMemGetInfo_v2 = &give_free_memory;
  driver.functions.cuCtxGetDevice = &of_first;
  driver.functions.cuDeviceGetAttribute = &give_attribute;
  return driver;
}

struct Answered {
  nvmlReturn_t result;
  std::vector<uint8_t> bytes;

  template <typename T>
  T as(size_t at = 0) const {
    REQUIRE(bytes.size() >= at + sizeof(T));
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  std::string text() const {
    vgpu::wire::Reader reader((vgpu::wire::Bytes(bytes)));
    return std::string(reader.text(255));
  }
};

struct Scene {
  DriverLibrary driver = software();
  nvml::Library library{driver};

  Scene() { REQUIRE(library.open() == NVML_SUCCESS); }

  Answered ask(Asked what, const std::vector<uint8_t>& arguments = {}) {
    const nvml::Question* question = nvml::find_question(static_cast<uint32_t>(what));
    REQUIRE(question != nullptr);
    nvmlDevice_t device = nullptr;
    REQUIRE((!question->is_of_device || library.device(0, device)));
    uint8_t room[512];
    vgpu::wire::Writer out{std::span<uint8_t>(room)};
    vgpu::wire::Reader in((vgpu::wire::Bytes(arguments)));
    const nvmlReturn_t result = question->ask(library, device, in, out);
    return {result, {room, room + out.size()}};
  }
};

template <typename T>
std::vector<uint8_t> bytes_of(const T& value) {
  std::vector<uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

TEST_CASE("NVML of the software GPU says what its CUDA says") {
  Scene scene;
  CHECK(scene.ask(Asked::nvmlDeviceGetName).text() == "a GPU");
  CHECK(scene.ask(Asked::nvmlDeviceGetUUID).text() == "GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff");
  const auto pci = scene.ask(Asked::nvmlDeviceGetPciInfo_v3).as<nvmlPciInfo_t>();
  CHECK(std::string(pci.busIdLegacy) == "0032:21:22.0");  // attributes 50, 33, 34
  CHECK(std::string(pci.busId) == "00000032:21:22.0");
  const auto capability = scene.ask(Asked::nvmlDeviceGetCudaComputeCapability);
  CHECK(capability.as<int>() == 75);
  CHECK(capability.as<int>(sizeof(int)) == 76);
}

TEST_CASE("memory is what the driver says, once a context of it is current") {
  Scene scene;
  const auto memory = scene.ask(Asked::nvmlDeviceGetMemoryInfo).as<nvmlMemory_t>();
  CHECK(memory.total == uint64_t{kMemoryMiB} << 20);
  CHECK(memory.used == 3 << 20);
  CHECK(memory.free == memory.total - memory.used);
  for (const auto current : {&of_none, &of_second}) {
    scene.driver.functions.cuCtxGetDevice = current;
    CHECK(scene.ask(Asked::nvmlDeviceGetMemoryInfo).as<nvmlMemory_t>().used == 0);
  }
}

TEST_CASE("a structure's version is checked before the driver sees it") {
  Scene scene;
  nvmlMemory_v2_t memory{.version = versioned<nvmlMemory_v2_t>(2)};
  CHECK(scene.ask(Asked::nvmlDeviceGetMemoryInfo_v2, bytes_of(memory)).as<nvmlMemory_v2_t>().total != 0);
  memory.version = versioned<nvmlMemory_v2_t>(3);
  CHECK(scene.ask(Asked::nvmlDeviceGetMemoryInfo_v2, bytes_of(memory)).result == NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
}

TEST_CASE("arguments of the wrong length are no question") {
  Scene scene;
  CHECK(scene.ask(Asked::nvmlDeviceGetClockInfo).result == nvml::kMalformed);
  CHECK(scene.ask(Asked::nvmlDeviceGetClockInfo, {0, 0, 0, 0, 0}).result == nvml::kMalformed);
  CHECK(scene.ask(Asked::nvmlDeviceGetName, {0}).result == nvml::kMalformed);
  CHECK(scene.ask(Asked::nvmlDeviceGetClockInfo, {0, 0, 0, 0}).result == NVML_SUCCESS);
}

TEST_CASE("what the library lacks is not supported") {
  Scene scene;
  CHECK(scene.ask(Asked::nvmlDeviceGetPowerUsage).result == NVML_ERROR_NOT_SUPPORTED);
  CHECK(scene.ask(Asked::nvmlDeviceGetP2PStatus, std::vector<uint8_t>(8)).result == NVML_ERROR_NOT_SUPPORTED);
}

TEST_CASE("devices are numbered within what the client may use") {
  Scene scene;
  nvmlDevice_t device = nullptr;
  CHECK(scene.library.device_count() == 1);
  CHECK(scene.library.device(0, device));
  CHECK_FALSE(scene.library.device(1, device));
  CHECK_FALSE(scene.library.device(~0u, device));
}

TEST_CASE("a host without NVML has what CUDA knows") {
  if (::dlopen("libnvidia-ml.so.1", RTLD_NOW) != nullptr) {
    WARN("this machine has an NVML of its own: not tried");
    return;
  }
  RunningWorker worker;  // its driver is not the software GPU
  const auto opened = worker.call(kMine, ops::NvmlOpen{});
  CHECK(opened.result == CUDA_SUCCESS);
  ops::NvmlOpenReply reply;
  vgpu::wire::Reader reader((vgpu::wire::Bytes(opened.data)));
  REQUIRE(reply.decode(reader));
  CHECK(reply.result == NVML_SUCCESS);
  CHECK(worker.call(kMine, ops::NvmlQuery{1, 0, {}}).result == CUDA_SUCCESS);
  CHECK(worker.call(kMine, ops::NvmlProcess{0}).result == CUDA_SUCCESS);
}
