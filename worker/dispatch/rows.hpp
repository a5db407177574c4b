// One row per operation, generated from the tables: how it is run, and how it behaves in the driver.
#pragma once

#include <array>
#include <cstdint>

#include "common/wire/reader.hpp"
#include "worker/dispatch/call.hpp"

namespace vgpu::worker {

class Session;

/// Whether the driver waits inside the call for running work (measured; docs/design/004-dispatch.md).
enum class Blocks : uint8_t {
  no,
  context,  ///< of the current context, and of others on its device that share its memory; of all if none is current
  reach,    ///< the same, and where devices reach into each other's memory, of all contexts
  process,  ///< of all contexts
};

struct Row {
  const char* name = nullptr;
  void (*run)(Session& session, wire::Reader& in, Call& call) = nullptr;
  Blocks blocks = Blocks::no;
  bool posted = false;  ///< may be posted
  bool needs_context = false;
  bool surfaces = false;  ///< tells deferred errors: a call that waits or asks, never one that makes something
};

/// The row of an operation number; null if there is none.
const Row* find_row(uint16_t number);

}  // namespace vgpu::worker
