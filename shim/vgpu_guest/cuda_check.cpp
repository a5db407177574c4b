#include "shim/vgpu_guest/cuda_check.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/deadline.hpp"

namespace vgpu::guest {
namespace {

using namespace vgpu::cuda;

// ---- in the child: every fact is a line "@key value"; everything else on the pipe was said by the library ----

constexpr size_t kCopySize = 16u << 20;
constexpr std::chrono::milliseconds kMeasure{500};

struct Failure {
  const char* call;
  CUresult result;
};

class Driver {
 public:
  explicit Driver(void* library) : library_(library) {}

  /// Calls `name` of the library; throws Failure unless it succeeds.
  template <typename... Args>
  void call(const char* name, Args... args) {
    void* symbol = ::dlsym(library_, name);
    if (symbol == nullptr) throw Failure{name, CUDA_ERROR_NOT_FOUND};
    const auto function = reinterpret_cast<CUresult (*)(Args...)>(symbol);
    if (const CUresult result = function(args...); result != CUDA_SUCCESS) throw Failure{name, result};
  }

 private:
  void* library_;
};

void tell(const char* key, const std::string& value) { std::printf("@%s %s\n", key, value.c_str()); }

std::string file_of(void* library) {
  Dl_info info{};
  void* symbol = ::dlsym(library, "cuInit");
  return symbol != nullptr && ::dladdr(symbol, &info) != 0 ? info.dli_fname : "unknown";
}

template <typename Copy>
double megabytes_a_second(Copy copy) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  size_t bytes = 0;
  do {
    copy();
    bytes += kCopySize;
  } while (Clock::now() - begin < kMeasure);
  return static_cast<double>(bytes) / 1e6 / std::chrono::duration<double>(Clock::now() - begin).count();
}

void copy_and_compare(Driver& driver) {
  std::vector<unsigned char> sent(kCopySize);
  std::vector<unsigned char> received(kCopySize);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<unsigned char>(i * 2654435761u >> 13);
  CUdeviceptr memory = 0;
  driver.call("cuMemAlloc_v2", &memory, kCopySize);
  const auto send = [&] { driver.call("cuMemcpyHtoD_v2", memory, static_cast<const void*>(sent.data()), kCopySize); };
  const auto receive = [&] { driver.call("cuMemcpyDtoH_v2", static_cast<void*>(received.data()), memory, kCopySize); };
  send();
  receive();
  if (sent != received) throw Failure{"the comparison of what was copied there and back", CUDA_ERROR_UNKNOWN};
  tell("to", std::to_string(megabytes_a_second(send)));
  tell("from", std::to_string(megabytes_a_second(receive)));
  driver.call("cuMemFree_v2", memory);
}

void use_driver(Driver driver) {
  int version = 0;
  CUdevice device = 0;
  CUcontext context = nullptr;
  char name[256] = {};
  driver.call("cuInit", 0u);
  driver.call("cuDriverGetVersion", &version);
  driver.call("cuDeviceGet", &device, 0);
  driver.call("cuDeviceGetName", &name[0], static_cast<int>(sizeof name - 1), device);
  tell("version", std::to_string(version));
  tell("driver", name);
  driver.call("cuDevicePrimaryCtxRetain", &context, device);
  driver.call("cuCtxSetCurrent", context);
  tell("context", "1");
  copy_and_compare(driver);
  driver.call("cuDevicePrimaryCtxRelease_v2", device);
  tell("copies", "1");
}

[[noreturn]] void run_child(int pipe, const std::string& socket) {
  ::dup2(pipe, STDOUT_FILENO);
  ::dup2(pipe, STDERR_FILENO);
  ::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (!socket.empty()) ::setenv("VGPU_SOCKET", socket.c_str(), 1);
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    std::_Exit(0);
  }
  tell("library", file_of(library));
  try {
    use_driver(Driver(library));
  } catch (const Failure& failure) {
    tell("error", std::to_string(failure.result));
    tell("failed", failure.call);
  } catch (const std::exception& failure) {
    tell("failed", failure.what());
  }
  std::fflush(stdout);
  std::_Exit(0);
}

// ---- in the parent ----

std::string read_all(int pipe, std::chrono::milliseconds longest, bool& is_over_time) {
  const auto deadline = control::Deadline::after(longest);
  std::string text;
  for (;;) {
    pollfd entry{pipe, POLLIN, 0};
    const int ready = ::poll(&entry, 1, deadline.remaining_ms());
    if (ready == 0 && deadline.passed()) return is_over_time = true, text;
    if (ready <= 0) continue;
    char part[4096];
    const ssize_t count = ::read(pipe, part, sizeof part);
    if (count == 0 || (count < 0 && errno != EINTR)) return text;
    if (count > 0) text.append(part, static_cast<size_t>(count));
  }
}

void take_fact(CudaCheck& check, const std::string& key, const std::string& value) {
  using Reached = CudaCheck::Reached;
  if (key == "library") check.library = value, check.reached = Reached::library;
  if (key == "version") check.driver_version = std::atoi(value.c_str());
  if (key == "driver") check.device_name = value, check.reached = Reached::driver;
  if (key == "context") check.reached = Reached::context;
  if (key == "copies") check.reached = Reached::copies;
  if (key == "to") check.to_device_mb_s = std::atof(value.c_str());
  if (key == "from") check.from_device_mb_s = std::atof(value.c_str());
  if (key == "error") check.error = std::atoi(value.c_str());
  if (key == "failed") check.failed = value;
}

CudaCheck read_facts(const std::string& text) {
  CudaCheck check;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' ');
    if (line[0] == '@' && space != std::string::npos)
      take_fact(check, line.substr(1, space - 1), line.substr(space + 1));
    else if (!line.empty())
      check.said += (check.said.empty() ? "" : "; ") + line;
  }
  return check;
}

}  // namespace

CudaCheck check_cuda(const std::string& socket, std::chrono::milliseconds longest) {
  CudaCheck check;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return check.failed = std::strerror(errno), check;
  const base::UniqueFd reader(ends[0]);
  base::UniqueFd writer(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return check.failed = std::strerror(errno), check;
  if (child == 0) run_child(writer.get(), socket);
  writer.reset();
  bool is_over_time = false;
  check = read_facts(read_all(reader.get(), longest, is_over_time));
  check.is_over_time = is_over_time;
  ::kill(child, SIGKILL);  // its work is done, or its time is over
  ::waitpid(child, nullptr, 0);
  return check;
}

}  // namespace vgpu::guest
