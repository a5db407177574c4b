// One question of nvml.table: what generated entries are made of.
#pragma once

#include <cstdint>

#include "common/api/nvml_types.hpp"
#include "common/wire/reader.hpp"
#include "common/wire/writer.hpp"

namespace vgpu::shim::nvml {

using namespace ::vgpu::nvml;

enum class Answered : uint8_t { once, anew };

/// Lives on the stack of one call. The first thing that is wrong is the result; after it nothing is asked.
class Question {
 public:
  explicit Question(uint32_t number);
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  /// The device whose question it is; put_device() is for a second one.
  void ask_of(nvmlDevice_t device);
  void put_device(nvmlDevice_t device);
  template <typename T>
  void put(T value) {
    arguments_.put(value);
  }
  void put_raw(const void* from, size_t size) { arguments_.raw(from, size); }
  void need(const void* pointer) {
    if (pointer == nullptr) refuse(NVML_ERROR_INVALID_ARGUMENT);
  }
  /// A structure that says which version it has.
  template <typename T>
  void put_versioned(const T* structure, unsigned version) {
    need(structure);
    if (structure != nullptr && structure->version != versioned<T>(version))
      refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if (result_ == NVML_SUCCESS) arguments_.raw(structure, sizeof *structure);
  }

  nvmlReturn_t ask(Answered how);

  // After success: what was answered, in order.
  template <typename T>
  void take(T* to) {
    T value{};
    answer_.raw(&value, sizeof value);
    if (answer_.failed()) return refuse(NVML_ERROR_UNKNOWN);
    *to = value;
  }
  void take_text(char* to, unsigned size);

  nvmlReturn_t result() const { return result_; }

 private:
  static constexpr size_t kMostArguments = 256;
  static constexpr size_t kMostAnswer = 512;

  void refuse(nvmlReturn_t why) {
    if (result_ == NVML_SUCCESS) result_ = why;
  }

  const uint32_t number_;
  uint32_t device_ = 0;
  nvmlReturn_t result_ = NVML_SUCCESS;
  uint8_t sent_[kMostArguments];
  uint8_t received_[kMostAnswer];
  wire::Writer arguments_;
  wire::Reader answer_;
};

}  // namespace vgpu::shim::nvml
