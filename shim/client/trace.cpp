#include "shim/client/trace.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>

#include "common/api/ops.gen.hpp"
#include "shim/client/diagnostics.hpp"

namespace vgpu::shim::trace {
namespace {

// -1: not wanted.
int open_output() {
  const char* where = ::secure_getenv("VGPU_TRACE");
  if (where == nullptr || where[0] == '\0' || (where[0] == '0' && where[1] == '\0')) return -1;
  if (where[0] != '/') return STDERR_FILENO;
  const int file = ::open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) say("VGPU_TRACE=%s cannot be opened (error %d): nothing is traced", where, errno);
  return file;
}

int output() {
  static const int file = open_output();
  return file;
}

const char* name_of(uint16_t op) { return api::op_name(static_cast<api::Op>(op)); }

}  // namespace

bool is_wanted() { return output() >= 0; }

void tell(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(output(), "", format, arguments);
  va_end(arguments);
}

void posted(uint64_t client, uint64_t number, uint16_t op) {
  tell("[vgpu-trace] %llu:%llu %s posted", static_cast<unsigned long long>(client),
       static_cast<unsigned long long>(number), name_of(op));
}

void answered(uint64_t client, uint64_t number, uint16_t op, cuda::CUresult result, uint64_t nanoseconds) {
  tell("[vgpu-trace] %llu:%llu %s result %d, %.1f us until the answer", static_cast<unsigned long long>(client),
       static_cast<unsigned long long>(number), name_of(op), static_cast<int>(result),
       static_cast<double>(nanoseconds) / 1000);
}

}  // namespace vgpu::shim::trace
