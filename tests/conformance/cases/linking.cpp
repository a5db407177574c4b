// SPDX-License-Identifier: Apache-2.0
// Linking: pieces of device code become one image.
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// Two pieces: a kernel that calls a function and reads a variable, and what it calls and reads.
const char* const kCaller = R"ptx(
.version 7.0
.target sm_70
.address_size 64

.extern .func (.param .b32 result) twice(.param .b32 value);
.extern .global .u32 offset;

// linked(u32* word): *word = twice(*word) + offset
.visible .entry linked(.param .u64 p_word)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd0, [p_word];
  cvta.to.global.u64 %rd1, %rd0;
  ld.global.u32 %r0, [%rd1];
  {
    .param .b32 argument;
    .param .b32 answer;
    st.param.b32 [argument], %r0;
    call (answer), twice, (argument);
    ld.param.b32 %r1, [answer];
  }
  ld.global.u32 %r2, [offset];
  add.u32 %r3, %r1, %r2;
  st.global.u32 [%rd1], %r3;
  ret;
}
)ptx";

const char* const kCallee = R"ptx(
.version 7.0
.target sm_70
.address_size 64

.visible .global .u32 offset = 5;

.visible .func (.param .b32 result) twice(.param .b32 value)
{
  .reg .b32 %r<2>;
  ld.param.b32 %r0, [value];
  add.u32 %r1, %r0, %r0;
  st.param.b32 [result], %r1;
  ret;
}
)ptx";

void* as_option(uintptr_t value) { return reinterpret_cast<void*>(value); }

/// A link in the making, with logs.
class Link {
 public:
  Link() {
    expect_ok(CU(cuLinkCreate_v2, 4, options_, values_, &state_));
    require(state_ != nullptr, "the link has a handle");
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    if (state_ != nullptr) driver().cuLinkDestroy(state_);
  }
  Outcome add(const char* text, const char* name) {
    return CU(cuLinkAddData_v2, state_, CU_JIT_INPUT_PTX, const_cast<char*>(text), std::strlen(text) + 1, name, 0,
              nullptr, nullptr);
  }
  CUlinkState get() const { return state_; }
  std::string errors() const { return error_; }
  uintptr_t error_size() const { return reinterpret_cast<uintptr_t>(values_[3]); }
  void destroy() {
    expect_ok(CU(cuLinkDestroy, state_));
    state_ = nullptr;
  }

 private:
  CUlinkState state_ = nullptr;
  char info_[2048] = {}, error_[2048] = {};
  CUjit_option options_[4] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER,
                              CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values_[4] = {info_, as_option(sizeof info_), error_, as_option(sizeof error_)};
};

/// Loads an image and runs `linked` on a word that holds 4.
uint32_t run_linked(const void* image) {
  const Module module(static_cast<const char*>(image));
  const DeviceMemory word(4);
  word.write_word(4);
  launch(module.function("linked"), {}, {}, nullptr, word.at());
  return word.word();
}

CASE(link, two_pieces) {
  const Context context;
  Link link;
  expect_ok(link.add(kCaller, "caller"));
  expect_ok(link.add(kCallee, "callee"));
  void* image = nullptr;
  size_t size = 0;
  expect_ok(CU(cuLinkComplete, link.get(), &image, &size));
  require(image != nullptr && size != 0, "there is an image");
  observe(std::to_string(size) + " bytes");
  expect_equal(run_linked(image), 13U, "what the linked kernel makes of 4");
}
CASE(link, in_the_other_order) {
  const Context context;
  Link link;
  expect_ok(link.add(kCallee, "callee"));
  expect_ok(link.add(kCaller, "caller"));
  void* image = nullptr;
  expect_ok(CU(cuLinkComplete, link.get(), &image, nullptr));
  expect_equal(run_linked(image), 13U, "what the linked kernel makes of 4");
}
CASE(link, module_outlives_the_link) {
  const Context context;
  Link link;
  expect_ok(link.add(kCaller, "caller"));
  expect_ok(link.add(kCallee, nullptr));
  void* image = nullptr;
  expect_ok(CU(cuLinkComplete, link.get(), &image, nullptr));
  const Module module(static_cast<const char*>(image));
  link.destroy();
  const DeviceMemory word(4);
  word.write_word(10);
  launch(module.function("linked"), {}, {}, nullptr, word.at());
  expect_equal(word.word(), 25U, "the word");
}
CASE(link, one_piece_and_no_options) {
  const Context context;
  CUlinkState state = nullptr;
  expect_ok(CU(cuLinkCreate_v2, 0, nullptr, nullptr, &state));
  expect_ok(CU(cuLinkAddData_v2, state, CU_JIT_INPUT_PTX, const_cast<char*>(kNoop), std::strlen(kNoop) + 1, "noop", 0,
               nullptr, nullptr));
  void* image = nullptr;
  expect_ok(CU(cuLinkComplete, state, &image, nullptr));
  const Module module(static_cast<const char*>(image));
  launch(module.function("noop"), {}, {}, nullptr);
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuLinkDestroy, state));
}
CASE(link, from_a_file) {
  const Context context;
  const std::string path = "/tmp/vgpu-conformance-link-" + std::to_string(getpid()) + ".ptx";
  std::ofstream(path) << kCallee;
  Link link;
  const Outcome added = CU(cuLinkAddFile_v2, link.get(), CU_JIT_INPUT_PTX, path.c_str(), 0, nullptr, nullptr);
  unlink(path.c_str());
  expect_ok(added);
  expect_ok(link.add(kCaller, "caller"));
  void* image = nullptr;
  expect_ok(CU(cuLinkComplete, link.get(), &image, nullptr));
  expect_equal(run_linked(image), 13U, "what the linked kernel makes of 4");
}
CASE(link, first_versions) {
  const Context context;
  CUlinkState state = nullptr;
  expect_ok(CU(cuLinkCreate, 0, nullptr, nullptr, &state));
  for (const char* text : {kCaller, kCallee})
    expect_ok(CU(cuLinkAddData, state, CU_JIT_INPUT_PTX, const_cast<char*>(text), std::strlen(text) + 1, "piece", 0,
                 nullptr, nullptr));
  void* image = nullptr;
  expect_ok(CU(cuLinkComplete, state, &image, nullptr));
  expect_equal(run_linked(image), 13U, "what the linked kernel makes of 4");
  expect_ok(CU(cuLinkDestroy, state));
}

CASE(link_error, invalid_ptx) {
  const Context context;
  Link link;
  expect(link.add(kInvalidPtx, "broken"), CUDA_ERROR_INVALID_PTX);
  require(!link.errors().empty(), "the log says what is wrong");
  require(link.error_size() > 0 && link.error_size() <= 2048, "the size is that of what was written");
}
CASE(link_error, nothing_defines_it) {
  const Context context;
  Link link;
  expect_ok(link.add(kCaller, "caller"));
  void* image = nullptr;
  const Outcome outcome = CU(cuLinkComplete, link.get(), &image, nullptr);
  require(outcome.code != CUDA_SUCCESS, "the link is refused");
  observe(describe(outcome.code));
  require(link.errors().find("twice") != std::string::npos || link.errors().find("offset") != std::string::npos,
          "the log names what is missing: " + link.errors());
}
CASE(link_error, missing_file) {
  const Context context;
  Link link;
  expect(CU(cuLinkAddFile_v2, link.get(), CU_JIT_INPUT_PTX, "/nonexistent/piece.ptx", 0, nullptr, nullptr),
         CUDA_ERROR_FILE_NOT_FOUND);
}
CASE(link_error, arguments) {
  const Context context;
  expect(CU(cuLinkCreate_v2, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  Link link;
  expect_one_of(
      CU(cuLinkAddData_v2, link.get(), CU_JIT_NUM_INPUT_TYPES, const_cast<char*>(kNoop), 8, "", 0, nullptr, nullptr),
      {CUDA_ERROR_INVALID_VALUE});
  expect_one_of(CU(cuLinkAddData_v2, link.get(), CU_JIT_INPUT_PTX, nullptr, 8, "", 0, nullptr, nullptr),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_IMAGE});
}

}  // namespace
}  // namespace conformance
