// nvmlDeviceGetHandleBy*: every way to name a device leads to its index.
#include <strings.h>

#include <cstdio>
#include <cstring>

#include "common/api/nvml_questions.gen.hpp"
#include "shim/client/pci_address.hpp"
#include "shim/nvml/calls.gen.hpp"
#include "shim/nvml/devices.hpp"
#include "shim/nvml/question.hpp"
#include "shim/nvml/start.hpp"

namespace vgpu::shim::nvml::calls {
namespace {

using Number = ::vgpu::nvml::Question;

/// The first device that `is_it` recognises; NVML_ERROR_NOT_FOUND, or why one could not be asked.
template <typename IsIt>
nvmlReturn_t find_device(nvmlDevice_t* device, IsIt is_it) {
  nvmlReturn_t failed = NVML_ERROR_NOT_FOUND;
  for (unsigned index = 0; handle_of(index) != nullptr; ++index) {
    bool found = false;
    const nvmlReturn_t asked = is_it(handle_of(index), found);
    if (found) {
      *device = handle_of(index);
      return NVML_SUCCESS;
    }
    if (asked != NVML_SUCCESS && asked != NVML_ERROR_NOT_SUPPORTED) failed = asked;
  }
  return failed;
}

template <typename Text>
nvmlReturn_t ask_text(Number number, nvmlDevice_t device, Text& text) {
  nvml::Question question(static_cast<uint32_t>(number));
  question.ask_of(device);
  if (question.ask(Answered::once) == NVML_SUCCESS) question.take_text(text, sizeof text);
  return question.result();
}

/// By a text that the device has; letters' case does not matter, as natively.
nvmlReturn_t find_by_text(Number number, const char* wanted, nvmlDevice_t* device) {
  if (wanted == nullptr || device == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  return find_device(device, [&](nvmlDevice_t candidate, bool& found) {
    char text[128] = {};
    const nvmlReturn_t asked = ask_text(number, candidate, text);
    found = asked == NVML_SUCCESS && ::strcasecmp(text, wanted) == 0;
    return asked;
  });
}

nvmlReturn_t ask_pci(nvmlDevice_t device, nvmlPciInfo_t& pci) {
  nvml::Question question(static_cast<uint32_t>(Number::nvmlDeviceGetPciInfo_v3));
  question.ask_of(device);
  if (question.ask(Answered::once) == NVML_SUCCESS) question.take(&pci);
  return question.result();
}

// What earlier versions of the structure had: the short bus id and so many numbers behind it.
constexpr size_t kFirstPci = 16 + 4 * sizeof(unsigned);
constexpr size_t kSecondPci = 16 + 5 * sizeof(unsigned);

nvmlReturn_t give_pci(nvmlDevice_t device, nvmlPciInfo_t* pci, size_t size) {
  if (pci == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  nvmlPciInfo_t known{};
  const nvmlReturn_t result = ask_pci(device, known);
  if (result == NVML_SUCCESS) std::memcpy(pci, &known, size);
  return result;
}

}  // namespace

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t* device) {
  if (device == nullptr || handle_of(index) == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *device = handle_of(index);
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByIndex(index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char* pciBusId, nvmlDevice_t* device) {
  PciAddress wanted;
  if (pciBusId == nullptr || device == nullptr || !parse_address(pciBusId, wanted)) return NVML_ERROR_INVALID_ARGUMENT;
  return find_device(device, [&](nvmlDevice_t candidate, bool& found) {
    nvmlPciInfo_t pci{};
    const nvmlReturn_t asked = ask_pci(candidate, pci);
    const PciAddress at{static_cast<int>(pci.domain), static_cast<int>(pci.bus), static_cast<int>(pci.device)};
    found = asked == NVML_SUCCESS && at == wanted;
    return asked;
  });
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char* pciBusId, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByPciBusId(pciBusId, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  return find_by_text(Number::nvmlDeviceGetUUID, uuid, device);
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_v1_t* uuid, nvmlDevice_t* device) {
  constexpr unsigned kText = 1, kBytes = 2;
  if (uuid == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  if (uuid->version != versioned<nvmlUUID_v1_t>(1)) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  if (uuid->type != kText && uuid->type != kBytes) return NVML_ERROR_INVALID_ARGUMENT;
  char text[kUuidText + 1] = "GPU-";
  if (uuid->type == kText) {
    std::memcpy(text, uuid->value, sizeof uuid->value);
    return nvmlDeviceGetHandleByUUID(text, device);
  }
  int at = 4;
  for (int i = 0; i < 16; ++i)
    at += std::snprintf(text + at, sizeof text - static_cast<size_t>(at), "%s%02x",
                        i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", static_cast<unsigned char>(uuid->value[i]));
  return nvmlDeviceGetHandleByUUID(text, device);
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char* serial, nvmlDevice_t* device) {
  return find_by_text(Number::nvmlDeviceGetSerial, serial, device);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t* pci) { return give_pci(device, pci, kFirstPci); }
nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t* pci) {
  return give_pci(device, pci, kSecondPci);
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned link, nvmlPciInfo_t* pci) {
  nvml::Question question(static_cast<uint32_t>(Number::nvmlDeviceGetNvLinkRemotePciInfo_v2));
  question.ask_of(device);
  question.need(pci);
  question.put(link);
  nvmlPciInfo_t known{};
  if (question.ask(Answered::once) != NVML_SUCCESS) return question.result();
  question.take(&known);
  std::memcpy(pci, &known, kSecondPci);
  return question.result();
}

}  // namespace vgpu::shim::nvml::calls
