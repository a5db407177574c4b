// SPDX-License-Identifier: Apache-2.0
// A worker in a thread of this process, for the shim in another. It serves on the software GPU, but its launches and
// its question about limits do nothing: what is left is our own time.
#pragma once

#include <cstdint>
#include <memory>

namespace vgpu::worker {
class Session;
}

namespace bench::host {

/// A session on a window of its own that nobody serves, with the same driver.
std::unique_ptr<vgpu::worker::Session> make_session();

/// The shim's connect() starts the worker; this ends it.
void stop();

/// Makes the worker stand still inside the next launch that it gives to the driver, until release(). It goes on by
/// itself after some milliseconds, so that nobody waits for ever: what was measured meanwhile is an outlier.
void hold();
/// True once it stands there.
bool is_standing();
void release();

/// Launches given to the driver since the start.
uint64_t launches();
/// Notes the moment at which launches() gets to `count`.
void watch_for(uint64_t count);
/// That moment, by the clock of now_ns(); 0: not yet.
uint64_t moment();

}  // namespace bench::host
