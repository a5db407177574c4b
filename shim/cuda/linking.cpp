// cuLink*: the driver on the host links; what the program lends for the life of a link (log buffers, the finished
// image) is kept here.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "common/wire/image_size.hpp"
#include "shim/client/code_loading.hpp"
#include "shim/client/images.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// How much of an input's name travels; it only shows up in logs.
constexpr size_t kMostOfName = 256;

struct Link {
  explicit Link(uint64_t as) : number(as) {}
  const uint64_t number;  // as it travels
  std::mutex mutex;       // guards what follows: the driver allows one call at a time, and programs may err
  JitOptions options;     // with the program's buffers, which live as long as the link
  std::vector<uint8_t> image;
};
using LinkPtr = std::shared_ptr<Link>;

constinit std::mutex g_mutex;  // guards the map and the number
constinit uint64_t g_next = 1;
/// Never destroyed: calls may come after static destructors.
std::map<CUlinkState, LinkPtr>& links() {
  static auto* const all = new std::map<CUlinkState, LinkPtr>;
  return *all;
}

LinkPtr find(CUlinkState state) {
  const std::lock_guard lock(g_mutex);
  const auto found = links().find(state);
  return found != links().end() ? found->second : nullptr;
}

/// An input takes options for the compiler only.
bool is_for_the_whole_link(CUjit_option option) {
  switch (option) {
    case CU_JIT_WALL_TIME:
    case CU_JIT_INFO_LOG_BUFFER:
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
    case CU_JIT_ERROR_LOG_BUFFER:
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
    case CU_JIT_TARGET_FROM_CUCONTEXT:
    case CU_JIT_TARGET:
      return true;
    default:
      return false;
  }
}

struct Options {
  unsigned count;
  CUjit_option* names;
  void** values;
};

template <typename TakeInput>
CUresult add(CUlinkState state, CUjitInputType type, std::string_view name, const Options& options, TakeInput take) {
  using Op = api::ops::LinkAdd;
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  const LinkPtr link = find(state);
  if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (type >= CU_JIT_NUM_INPUT_TYPES) return CUDA_ERROR_INVALID_VALUE;
  JitOptions own;
  if (const CUresult read = own.read(options.count, options.names, options.values); read != CUDA_SUCCESS) return read;
  if (options.count != 0 && std::any_of(options.names, options.names + options.count, is_for_the_whole_link))
    return CUDA_ERROR_INVALID_VALUE;
  TravellingImage input;
  if (const CUresult taken = take(input); taken != CUDA_SUCCESS) return taken;

  const std::lock_guard lock(link->mutex);
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::LinkAddReply reply;
  return send_with_logs(request,
                        Op{.link = link->number,
                           .type = type,
                           .offset = input.offset(),
                           .size = input.size(),
                           .options = own.encoded(),
                           .name = name.substr(0, kMostOfName)},
                        link->options, reply);
}

/// A fat binary is often handed over as the program's data have it: what it leads to travels.
CUresult take_data(TravellingImage& input, CUjitInputType type, const void* data, size_t size) {
  if (data == nullptr || size == 0) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_JIT_INPUT_FATBINARY && size >= sizeof(uint64_t)) {
    const void* inside = unwrap_image(data);
    if (inside == nullptr) return CUDA_ERROR_INVALID_IMAGE;
    if (inside != data) return input.take_bare(inside);
  }
  return input.take_bytes(data, size);
}

CUresult fetch_image(Link& link, size_t size) {
  HeapRange range = HeapRange::take(size);
  if (!range) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = call(api::ops::LinkImage{link.number, range.offset(), size});
  // A zero behind it: what was linked may be text.
  if (result == CUDA_SUCCESS) {
    link.image.assign(range.data(), range.data() + size);
    link.image.push_back(0);
  }
  return result;
}

}  // namespace

CUresult cuLinkCreate_v2(unsigned numOptions, CUjit_option* options, void** optionValues, CUlinkState* stateOut) {
  using Op = api::ops::LinkCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (stateOut == nullptr) return CUDA_ERROR_INVALID_VALUE;
  LinkPtr link;
  {
    const std::lock_guard lock(g_mutex);
    link = std::make_shared<Link>(g_next++);
  }
  JitOptions& own = link->options;
  if (const CUresult read = own.read(numOptions, options, optionValues); read != CUDA_SUCCESS) return read;
  Op{link->number, own.info_log_size(), own.error_log_size(), own.encoded()}.encode(request.body());
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  *stateOut = reinterpret_cast<CUlinkState>(link.get());
  const std::lock_guard lock(g_mutex);
  links()[*stateOut] = std::move(link);
  return CUDA_SUCCESS;
}
CUresult cuLinkCreate(unsigned numOptions, CUjit_option* options, void** optionValues, CUlinkState* stateOut) {
  return cuLinkCreate_v2(numOptions, options, optionValues, stateOut);
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name,
                          unsigned numOptions, CUjit_option* options, void** optionValues) {
  return add(state, type, name != nullptr ? name : "", {numOptions, options, optionValues},
             [&](TravellingImage& input) { return take_data(input, type, data, size); });
}
CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name,
                       unsigned numOptions, CUjit_option* options, void** optionValues) {
  return cuLinkAddData_v2(state, type, data, size, name, numOptions, options, optionValues);
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned numOptions,
                          CUjit_option* options, void** optionValues) {
  return add(state, type, path != nullptr ? path : "", {numOptions, options, optionValues},
             [&](TravellingImage& input) { return input.take_file_bytes(path); });
}
CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char* path, unsigned numOptions,
                       CUjit_option* options, void** optionValues) {
  return cuLinkAddFile_v2(state, type, path, numOptions, options, optionValues);
}

CUresult cuLinkComplete(CUlinkState state, void** cubinOut, size_t* sizeOut) {
  using Op = api::ops::LinkComplete;
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  const LinkPtr link = find(state);
  if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (cubinOut == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(link->mutex);
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::LinkCompleteReply reply;
  CUresult result = send_with_logs(request, Op{.link = link->number}, link->options, reply);
  if (result == CUDA_SUCCESS) result = fetch_image(*link, reply.size);
  if (result != CUDA_SUCCESS) return result;
  *cubinOut = link->image.data();
  if (sizeOut != nullptr) *sizeOut = reply.size;
  return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  LinkPtr link;
  {
    const std::lock_guard lock(g_mutex);
    const auto found = links().find(state);
    if (found == links().end()) return CUDA_ERROR_INVALID_HANDLE;
    link = std::move(found->second);
    links().erase(found);
  }
  return call(api::ops::LinkDestroy{link->number});
}

}  // namespace vgpu::shim::calls
