#include "worker/options.hpp"

#include <fmt/format.h>
#include <getopt.h>

#include <cstdlib>

namespace vgpu::worker {

const char* usage() {
  return "usage: vgpu-worker --client N --vm NAME --driver auto|nvidia|sim|PATH [--log-level LEVEL]\n"
         "       vgpu-worker --legacy --vm NAME --driver auto|nvidia|sim|PATH [--log-level LEVEL]\n"
         "\n"
         "Serves one client process of the vGPU broker. It is started by vgpu-broker, which hands it its descriptors:\n"
         "3 the window, 4 the doorbell, 5 the grant segment, 6 the control socket. It is of no use alone.\n"
         "With --legacy it serves a VM's legacy requests instead, and has only 3, its control socket.\n"
         "\n"
         "  --client N         the broker's number of the client, for logs\n"
         "  --vm NAME          the VM the client belongs to, for logs\n"
         "  --driver DRIVER    auto: libcuda.so.1, or the software GPU where no NVIDIA device exists; nvidia; sim; or "
         "a path\n"
         "  --window-offset N, --window-size N, --window-capacity N\n"
         "                     where the client's channel lies in the window's memory, and what it may grow to, in "
         "bytes\n"
         "                     (default: all of it)\n"
         "  --log-level LEVEL  trace, debug, info, warning or error (default info)\n"
         "  --log-format F     text or json (default text)\n"
         "  --log-file PATH    (default: standard error)\n"
         "  --help, --version\n"
         "\n"
         "Exit codes: 0 the client ended; 64 wrong arguments or descriptors; 65 the client broke the protocol; 66 its "
         "GPU work\n"
         "failed for good; 67 no driver or no device; 68 internal error.\n";
}

base::Result<Options> parse_options(int argc, char** argv) {
  static const option kLong[] = {{"client", required_argument, nullptr, 'c'},
                                 {"vm", required_argument, nullptr, 'v'},
                                 {"driver", required_argument, nullptr, 'd'},
                                 {"log-level", required_argument, nullptr, 'l'},
                                 {"log-format", required_argument, nullptr, 'f'},
                                 {"log-file", required_argument, nullptr, 'w'},
                                 {"window-offset", required_argument, nullptr, 'o'},
                                 {"window-size", required_argument, nullptr, 's'},
                                 {"window-capacity", required_argument, nullptr, 'm'},
                                 {"legacy", no_argument, nullptr, 'g'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {nullptr, 0, nullptr, 0}};
  Options options;
  opterr = 0;
  for (int found = 0; (found = ::getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (found) {
      case 'c':
        options.client = std::strtoull(optarg, nullptr, 10);
        break;
      case 'v':
        options.vm = optarg;
        break;
      case 'o':
        options.place.offset = std::strtoull(optarg, nullptr, 10);
        break;
      case 's':
        options.place.size = std::strtoull(optarg, nullptr, 10);
        break;
      case 'm':
        options.place.capacity = std::strtoull(optarg, nullptr, 10);
        break;
      case 'd':
        options.driver = optarg;
        break;
      case 'g':
        options.legacy = true;
        break;
      case 'h':
        options.help = true;
        break;
      case 'l':
        if (!log::parse_level(optarg, options.log.level))
          return base::Error{0, fmt::format("--log-level {}: not one of trace, debug, info, warning, error", optarg)};
        break;
      case 'f':
        if (!log::parse_format(optarg, options.log.format))
          return base::Error{0, fmt::format("--log-format {}: not one of text, json", optarg)};
        break;
      case 'w':
        options.log.file = optarg;
        break;
      default:
        return base::Error{0, fmt::format("unknown option {}; see --help", argv[optind - 1])};
    }
  }
  if (optind < argc) return base::Error{0, fmt::format("unexpected argument {}; see --help", argv[optind])};
  return options;
}

}  // namespace vgpu::worker
