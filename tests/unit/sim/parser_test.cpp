// What the parser takes, and how it refuses the rest.
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/sim/kernel_runner.hpp"

using namespace vgpu::sim;
using test::module_text;

namespace {

std::string refusal(const std::string& body) {
  const auto parsed = ptx::parse_ptx(module_text(body));
  return parsed ? "accepted" : parsed.error().text;
}

int code_of(const std::string& text) {
  const auto parsed = ptx::parse_ptx(text);
  return parsed ? 0 : parsed.error().code;
}

using Catch::Matchers::Contains;

std::string kernel(const std::string& body) {
  return ".visible .entry k(.param .u64 a) {\n.reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .pred %p<2>; .reg .f32 %f<4>;\n" +
         body + "\n}\n";
}

}  // namespace

TEST_CASE("an unknown instruction is named") {
  CHECK_THAT(refusal(kernel("wgmma.fence.sync.aligned;")), Contains("wgmma.fence.sync.aligned") && Contains("line 6"));
  CHECK_THAT(refusal(kernel("add.strange.s32 %r1, %r2, %r3;")), Contains("add.strange.s32"));
  CHECK_THAT(refusal(kernel("add.pred %p1, %p1, %p1;")), Contains("add.pred"));
  CHECK_THAT(refusal(kernel("tld4.r.2d.v4.f32.f32 {%f1,%f1,%f1,%f1}, [%rd1, {%f1,%f1}];")), Contains("tld4.r.2d"));
}

TEST_CASE("what is not declared is named") {
  CHECK_THAT(refusal(kernel("mov.u32 %r9, 1;")), Contains("%r9"));
  CHECK_THAT(refusal(kernel("bra nowhere;")), Contains("nowhere"));
  CHECK_THAT(refusal(kernel("call nobody, ();")), Contains("nobody"));
  CHECK_THAT(refusal(kernel("ld.param.u64 %rd1, [b];")), Contains("'b'"));
  CHECK_THAT(refusal(kernel("tex.1d.v4.f32.f32 {%f1,%f1,%f1,%f1}, [b, {%f1}];")), Contains("'b'"));
}

TEST_CASE("versions and targets beyond the device") {
  CHECK(code_of(".version 9.9\n.target sm_90\n") == ptx::unsupported_ptx_version);
  CHECK(code_of(".version 9.0\n.target sm_100\n") == ptx::invalid_ptx);
  CHECK(code_of(".version 6.3\n.target sm_75\n.address_size 64\n") == 0);
  CHECK(code_of("hello") == ptx::invalid_ptx);
  CHECK(code_of("") == ptx::invalid_ptx);
}

TEST_CASE("declarations are bounded") {
  CHECK_THAT(refusal(".global .b8 x[99999999999999];"), Contains("too large"));
  CHECK_THAT(refusal(".global .b8 x[9999999][9999999][9999999];"), Contains("too large"));
  CHECK_THAT(refusal(".shared .b8 x[300000];"), Contains("too large"));
  CHECK_THAT(refusal(kernel(".reg .b32 %x<4000000000>;")), Contains("too many registers"));
  CHECK_THAT(refusal(kernel(".local .b8 x[600000];")), Contains("too large"));
  CHECK_THAT(refusal(".visible .entry k(.param .b8 x[40000]) { ret; }"), Contains("too large"));
  CHECK_THAT(refusal(kernel(std::string(1000, '{'))), Contains("too deeply"));
  CHECK_THAT(refusal(".global .align 3 .b8 x[4];"), Contains("power of two"));
}

TEST_CASE("calls must fit the declaration") {
  const std::string callee = ".func (.param .b32 r) f(.param .b32 x) { ret; }\n";
  CHECK_THAT(refusal(callee + kernel("{ .param .b64 p; .param .b32 q; call (q), f, (p); }")),
             Contains("does not match"));
  CHECK_THAT(refusal(callee + kernel("{ .param .b32 p; .param .b32 q; call (q), f, (p); }")), Contains("accepted"));
}

TEST_CASE("debug sections, files and comments are passed over") {
  CHECK(refusal("// note\n.file 1 \"x.cu\"\n.section .debug_str { .b8 1,2,3 { } }\n/* more */\n" +
                kernel(".loc 1 2 3\nret;")) == "accepted");
}

TEST_CASE("labels belong to their block") {
  CHECK(refusal(kernel("{ again: @%p1 bra again; } { again: @%p1 bra again; } ret;")) == "accepted");
  CHECK_THAT(refusal(kernel("{ inner: ret; } bra inner;")), Contains("inner"));
  CHECK_THAT(refusal(kernel("twice: twice: ret;")), Contains("twice"));
}

TEST_CASE("nothing that is cut off, shuffled or damaged upsets the parser") {
  const std::string whole = module_text(
      ".global .align 4 .b8 text[6] = {104, 101, 108, 108, 111, 0};\n.global .align 8 .u64 at = generic(text);\n"
      ".func (.param .b32 r) f(.param .b32 x) { .reg .b32 %r<3>; ld.param.u32 %r1, [x]; st.param.b32 [r+0], %r1; ret; "
      "}\n" +
      kernel("ld.param.u64 %rd1, [a]; { .param .b32 p; st.param.b32 [p+0], 3; .param .b32 q; call.uni (q), f, (p); "
             "ld.param.b32 %r1, [q+0]; }\n"
             "top: setp.lt.s32 %p1, %r1, 4; @%p1 bra top; mov.f32 %f1, 0f3F800000; st.global.v2.f32 [%rd1+8], {%f1, "
             "%f1}; @!%p1 ret;\n"
             "tbl: .branchtargets top, top; brx.idx %r1, tbl;"));
  REQUIRE(code_of(whole) == 0);
  for (std::size_t size = 0; size < whole.size(); ++size) static_cast<void>(ptx::parse_ptx(whole.substr(0, size)));
  std::mt19937 random(11);
  constexpr std::string_view marks = "{}()[];,.%@!|<>-+0x9\"\n\0a";
  for (int round = 0; round < 5000; ++round) {
    std::string changed = whole;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      const std::size_t at = random() % changed.size();
      if (random() % 3 == 0)
        changed.erase(at, random() % 12);
      else
        changed[at] = marks[random() % marks.size()];
    }
    static_cast<void>(ptx::parse_ptx(changed));
  }
}
