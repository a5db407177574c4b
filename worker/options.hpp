// The worker's command line: written by the broker, not by people.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/shm/window.hpp"

namespace vgpu::worker {

struct Options {
  uint64_t client = 0;
  std::string vm = "host";
  std::string driver = "auto";
  log::Settings log;
  shm::Place place;  // of the channel in the window's memory; size 0: all of it
  bool legacy = false;
  bool help = false;
};

base::Result<Options> parse_options(int argc, char** argv);
const char* usage();

}  // namespace vgpu::worker
