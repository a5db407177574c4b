// Instructions, one small kernel for each family, against values worked out by the compiler of this test.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

#include "tests/unit/sim/kernel_runner.hpp"

using namespace vgpu::sim;
using test::KernelRunner;
using test::module_text;

namespace {

using Words = std::vector<std::uint64_t>;

/// Runs `body` in one thread: %rd1, %rd2, %rd3 hold three inputs, what it leaves in %rd4 is the result.
std::uint64_t compute(const std::string& body, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
  KernelRunner runner(module_text(
      ".visible .entry k(.param .u64 out, .param .u64 a, .param .u64 b, .param .u64 c) {\n"
      ".reg .b16 %h<8>; .reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .f32 %f<8>; .reg .f64 %d<8>; .reg .pred %p<8>;\n"
      "ld.param.u64 %rd10, [out]; ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; mov.u64 "
      "%rd4, 0;\n"
      "cvt.u32.u64 %r1, %rd1; cvt.u32.u64 %r2, %rd2; cvt.u32.u64 %r3, %rd3; mov.b32 %f1, %r1; mov.b32 %f2, %r2; "
      "mov.b32 %f3, %r3;\n"
      "mov.b64 %d1, %rd1; mov.b64 %d2, %rd2; cvt.u16.u32 %h1, %r1; cvt.u16.u32 %h2, %r2;\n" +
      body + "\nst.global.u64 [%rd10], %rd4; ret; }"));
  const std::uint64_t out = runner.upload(Words(1));
  const exec::Fault fault = runner.run("k", {1, 1, 1}, {1, 1, 1}, {out, a, b, c});
  INFO(fault.text);
  CHECK(fault.code == exec::FaultCode::none);
  return runner.download<std::uint64_t>(out, 1)[0];
}

/// The same for a result in %r4.
std::uint32_t compute32(const std::string& body, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
  return static_cast<std::uint32_t>(compute(body + " cvt.u64.u32 %rd4, %r4;", a, b, c));
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }
float compute_float(const std::string& body, float a = 0, float b = 0, float c = 0) {
  return std::bit_cast<float>(compute32(body + " mov.b32 %r4, %f4;", bits(a), bits(b), bits(c)));
}

constexpr std::uint32_t minus(std::uint32_t value) { return 0 - value; }

}  // namespace

TEST_CASE("integer arithmetic") {
  CHECK(compute32("add.s32 %r4, %r1, %r2;", 5, minus(7)) == minus(2));
  CHECK(compute32("sub.u32 %r4, %r1, 1;", 0) == 0xffffffff);
  CHECK(compute32("mul.lo.s32 %r4, %r1, %r2;", 100000, 100000) == static_cast<std::uint32_t>(10000000000ull));
  CHECK(compute32("mul.hi.s32 %r4, %r1, %r2;", minus(2), 5) == 0xffffffff);
  CHECK(compute32("mul.hi.u32 %r4, %r1, %r2;", 0xffffffff, 0xffffffff) == 0xfffffffe);
  CHECK(compute("mul.wide.s32 %rd4, %r1, %r2;", minus(3), 4) == static_cast<std::uint64_t>(-12));
  CHECK(compute("mad.wide.u32 %rd4, %r1, %r2, %rd3;", 0xffffffff, 2, 1) == 0x1ffffffffull);
  CHECK(compute("mul.hi.u64 %rd4, %rd1, %rd2;", 1ull << 63, 6) == 3);
  CHECK(compute("mad.lo.s64 %rd4, %rd1, %rd2, %rd3;", 3, 4, 5) == 17);
  CHECK(compute32("div.s32 %r4, %r1, %r2;", minus(7), 2) == minus(3));
  CHECK(compute32("rem.s32 %r4, %r1, %r2;", minus(7), 2) == minus(1));
  CHECK(compute32("div.s32 %r4, %r1, %r2;", 0x80000000, minus(1)) == 0x80000000);
  CHECK(compute32("div.u32 %r4, %r1, %r2;", 7, 0) == 0xffffffff);
  CHECK(compute("rem.u64 %rd4, %rd1, %rd2;", 1000000000007ull, 10) == 7);
  CHECK(compute32("min.s32 %r4, %r1, %r2;", minus(1), 1) == minus(1));
  CHECK(compute32("max.u32 %r4, %r1, %r2;", minus(1), 1) == minus(1));
  CHECK(compute32("abs.s32 %r4, %r1;", minus(9)) == 9);
  CHECK(compute32("neg.s32 %r4, %r1;", 9) == minus(9));
  CHECK(compute32("sad.u32 %r4, %r1, %r2, %r3;", 3, 10, 100) == 107);
  CHECK(compute32("add.sat.s32 %r4, %r1, %r2;", 0x7fffffff, 1) == 0x7fffffff);
  CHECK(compute32("dp4a.s32.s32 %r4, %r1, %r2, %r3;", 0x01ff0203, 0x01010101, 10) == 15);
  CHECK(compute32("mul.lo.s16 %h3, %h1, %h2; cvt.s32.s16 %r4, %h3;", 300, 300) ==
        static_cast<std::uint32_t>(static_cast<std::int16_t>(90000)));
}

TEST_CASE("carries chain") {
  CHECK(compute("add.cc.u32 %r4, %r1, %r2; addc.u32 %r5, 0, 0; mov.b64 %rd4, {%r4, %r5};", 0xffffffff, 1) == 1ull
                                                                                                                 << 32);
  CHECK(compute("sub.cc.u32 %r4, %r1, %r2; subc.u32 %r5, 5, 0; mov.b64 %rd4, {%r4, %r5};", 0, 1) == 0x4ffffffffull);
  CHECK(compute("mad.lo.cc.u32 %r4, %r1, %r2, %r3; madc.hi.u32 %r5, %r1, %r2, 0; mov.b64 %rd4, {%r4, %r5};", 0xffffffff,
                0xffffffff, 0xffffffff) == 0xffffffffull * 0xffffffffull + 0xffffffffull);
}

TEST_CASE("bits") {
  CHECK(compute32("and.b32 %r4, %r1, %r2;", 12, 10) == 8);
  CHECK(compute32("not.b32 %r4, %r1;", 1) == 0xfffffffe);
  CHECK(compute32("shl.b32 %r4, %r1, %r2;", 3, 33) == 0);
  CHECK(compute32("shr.s32 %r4, %r1, %r2;", 0x80000000, 40) == 0xffffffff);
  CHECK(compute32("shr.u32 %r4, %r1, 4;", 0x80000000) == 0x08000000);
  CHECK(compute32("popc.b64 %r4, %rd1;", 0xf0f0f0f0f0f0f0f0) == 32);
  CHECK(compute32("clz.b32 %r4, %r1;", 0) == 32);
  CHECK(compute32("brev.b32 %r4, %r1;", 1) == 0x80000000);
  CHECK(compute32("bfind.u32 %r4, %r1;", 0x1000) == 12);
  CHECK(compute32("bfind.s32 %r4, %r1;", minus(1)) == 0xffffffff);
  CHECK(compute32("bfind.shiftamt.u32 %r4, %r1;", 0x1000) == 19);
  CHECK(compute32("bfe.u32 %r4, %r1, 8, 8;", 0x12345678) == 0x56);
  CHECK(compute32("bfe.s32 %r4, %r1, 4, 4;", 0xf0) == 0xffffffff);
  CHECK(compute32("bfe.s32 %r4, %r1, 28, 8;", 0x80000000) == 0xfffffff8);
  CHECK(compute32("bfi.b32 %r4, %r1, %r2, 8, 8;", 0xab, 0x11223344) == 0x1122ab44);
  CHECK(compute32("lop3.b32 %r4, %r1, %r2, %r3, 0x96;", 1, 3, 7) == (1 ^ 3 ^ 7));
  CHECK(compute32("prmt.b32 %r4, %r1, %r2, 0x7610;", 0x33221100, 0x77665544) == 0x77661100);
  CHECK(compute32("prmt.b32 %r4, %r1, 0, 0x8;", 0x80) == 0x808080ff);
  CHECK(compute32("shf.l.wrap.b32 %r4, %r1, %r2, 8;", 0xaabbccdd, 0x11223344) == 0x223344aa);
  CHECK(compute32("shf.r.clamp.b32 %r4, %r1, %r2, 32;", 0xaabbccdd, 0x11223344) == 0x11223344);
}

TEST_CASE("floating point") {
  CHECK(compute_float("add.f32 %f4, %f1, %f2;", 1.5f, 2.25f) == 3.75f);
  CHECK(compute_float("fma.rn.f32 %f4, %f1, %f2, %f3;", 1.0000001f, 1.0000001f, -1.0f) ==
        std::fma(1.0000001f, 1.0000001f, -1.0f));
  CHECK(compute_float("div.rn.f32 %f4, %f1, %f2;", 1, 3) == 1.0f / 3.0f);
  CHECK(compute_float("sqrt.rn.f32 %f4, %f1;", 2) == std::sqrt(2.0f));
  CHECK(compute_float("rcp.approx.ftz.f32 %f4, %f1;", 4) == 0.25f);
  CHECK(compute_float("ex2.approx.f32 %f4, %f1;", 3) == 8);
  CHECK(compute_float("lg2.approx.f32 %f4, %f1;", 8) == 3);
  CHECK(compute_float("min.f32 %f4, %f1, %f2;", NAN, 2) == 2);
  CHECK(compute_float("add.rz.f32 %f4, %f1, %f2;", 1, 1e-10f) == 1);
  CHECK(compute_float("add.rp.f32 %f4, %f1, %f2;", 1, 1e-10f) == std::nextafter(1.0f, 2.0f));
  CHECK(compute_float("add.sat.f32 %f4, %f1, %f2;", 1, 1) == 1);
  CHECK(compute_float("mul.ftz.f32 %f4, %f1, %f2;", 1e-30f, 1e-10f) == 0);
  CHECK(compute_float("copysign.f32 %f4, %f1, %f2;", -1, 5) == -5);
  CHECK(compute("add.f64 %d3, %d1, %d2; mov.b64 %rd4, %d3;", std::bit_cast<std::uint64_t>(0.1),
                std::bit_cast<std::uint64_t>(0.2)) == std::bit_cast<std::uint64_t>(0.1 + 0.2));
  CHECK(compute32("add.f16 %h3, %h1, %h2; cvt.u32.u16 %r4, %h3;", 0x3c00, 0x4000) == 0x4200);
}

TEST_CASE("conversions") {
  CHECK(compute32("cvt.rzi.s32.f32 %r4, %f1;", bits(-2.7f)) == minus(2));
  CHECK(compute32("cvt.rni.s32.f32 %r4, %f1;", bits(2.5f)) == 2);
  CHECK(compute32("cvt.rmi.s32.f32 %r4, %f1;", bits(-2.1f)) == minus(3));
  CHECK(compute32("cvt.rzi.s32.f32 %r4, %f1;", bits(1e20f)) == 0x7fffffff);
  CHECK(compute32("cvt.rzi.u32.f32 %r4, %f1;", bits(-5)) == 0);
  CHECK(compute32("cvt.rzi.s32.f32 %r4, %f1;", bits(NAN)) == 0);
  CHECK(compute_float("cvt.rn.f32.s32 %f4, %r1;", std::bit_cast<float>(minus(3))) == -3);
  CHECK(compute_float("cvt.rn.f32.u64 %f4, %rd1;", std::bit_cast<float>(16777217u)) == 16777216.0f);
  CHECK(compute("cvt.f64.f32 %d3, %f1; mov.b64 %rd4, %d3;", bits(1.5f)) == std::bit_cast<std::uint64_t>(1.5));
  CHECK(compute("cvt.s64.s32 %rd4, %r1;", minus(5)) == static_cast<std::uint64_t>(-5));
  CHECK(compute32("cvt.s32.s8 %r4, %r1;", 0x80) == 0xffffff80);
  CHECK(compute32("cvt.sat.u8.s32 %r4, %r1;", 300) == 255);
  CHECK(compute32("cvt.sat.s8.s32 %r4, %r1;", minus(300)) == 0xffffff80);
  CHECK(compute32("cvt.rn.f16.f32 %h3, %f1; cvt.u32.u16 %r4, %h3;", bits(65504.0f)) == 0x7bff);
  CHECK(compute32("cvt.rn.f16.f32 %h3, %f1; cvt.u32.u16 %r4, %h3;", bits(1e-7f)) == 0x0002);
  CHECK(compute32("cvt.rn.bf16.f32 %h3, %f1; cvt.u32.u16 %r4, %h3;", bits(1.0f)) == 0x3f80);
  CHECK(compute_float("cvt.f32.f16 %f4, %h1;", std::bit_cast<float>(0xc000u)) == -2);
}

TEST_CASE("comparisons and selections") {
  CHECK(compute32("setp.lt.s32 %p1, %r1, %r2; selp.b32 %r4, 1, 0, %p1;", minus(1), 1) == 1);
  CHECK(compute32("setp.lt.u32 %p1, %r1, %r2; selp.b32 %r4, 1, 0, %p1;", minus(1), 1) == 0);
  CHECK(compute32("setp.neu.f32 %p1, %f1, %f2; selp.b32 %r4, 1, 0, %p1;", bits(NAN), 0) == 1);
  CHECK(compute32("setp.ne.f32 %p1, %f1, %f2; selp.b32 %r4, 1, 0, %p1;", bits(NAN), 0) == 0);
  CHECK(compute32("setp.eq.s32 %p2, 1, 1; setp.gt.and.s32 %p1|%p3, %r1, 5, %p2; selp.b32 %r4, 1, 0, %p3;", 3) == 1);
  CHECK(compute32("setp.eq.s32 %p2, 1, 1; setp.gt.or.s32 %p1, %r1, 5, !%p2; selp.b32 %r4, 1, 0, %p1;", 3) == 0);
  CHECK(compute32("set.gt.u32.s32 %r4, %r1, 2;", 3) == 0xffffffff);
  CHECK(compute32("slct.b32.s32 %r4, 10, 20, %r1;", minus(1)) == 20);
  CHECK(compute32("mov.u32 %r4, 1; setp.eq.s32 %p1, %r1, 0; @%p1 mov.u32 %r4, 2; @!%p1 mov.u32 %r4, 3;", 0) == 2);
}

TEST_CASE("moves pack and unpack") {
  CHECK(compute("mov.b64 %rd4, {%r2, %r1};", 1, 2) == (1ull << 32 | 2));
  CHECK(compute32("mov.b64 {%r5, %r4}, %rd1;", 7ull << 32) == 7);
  CHECK(compute32("mov.b32 {%h3, %h4}, %r1; mov.b32 %r4, {%h4, %h3};", 0x11112222) == 0x22221111);
}

TEST_CASE("local memory and generic addresses") {
  CHECK(compute32(".local .align 16 .b8 depot[32]; mov.u64 %rd5, depot; cvta.local.u64 %rd6, %rd5; st.local.v2.u32 "
                  "[%rd5+8], {%r1, %r2}; ld.u32 %r4, [%rd6+12];",
                  3, 4) == 4);
  CHECK(compute32(".shared .align 4 .b8 box[16]; mov.u64 %rd5, box; cvta.shared.u64 %rd6, %rd5; st.shared.u32 [box+4], "
                  "%r1; ld.u32 %r4, [%rd6+4];",
                  9) == 9);
}

TEST_CASE("device functions, recursion and pointers to functions") {
  const char* text = R"(
.func (.param .b32 r) fib(.param .b32 n)
{
  .reg .pred %p<2>; .reg .b32 %r<8>;
  ld.param.u32 %r1, [n];
  mov.u32 %r6, %r1;
  setp.lt.u32 %p1, %r1, 2;
  @%p1 bra done;
  add.s32 %r2, %r1, -1;
  { .param .b32 p; st.param.b32 [p], %r2; .param .b32 q; call.uni (q), fib, (p); ld.param.b32 %r3, [q]; }
  add.s32 %r4, %r1, -2;
  { .param .b32 p; st.param.b32 [p], %r4; .param .b32 q; call.uni (q), fib, (p); ld.param.b32 %r5, [q]; }
  add.s32 %r6, %r3, %r5;
done:
  st.param.b32 [r], %r6;
  ret;
}
.func (.param .b32 r) twice(.param .b32 n) { .reg .b32 %r<3>; ld.param.u32 %r1, [n]; shl.b32 %r2, %r1, 1; st.param.b32 [r], %r2; ret; }
.global .align 8 .u64 table[2] = {fib, twice};
.visible .entry k(.param .u64 out)
{
  .reg .b32 %r<6>; .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 1;
  mul.wide.u32 %rd2, %r2, 8;
  mov.u64 %rd3, table;
  add.s64 %rd4, %rd3, %rd2;
  ld.global.u64 %rd5, [%rd4];
  { .param .b32 p; st.param.b32 [p], %r1; .param .b32 q;
    proto : .callprototype (.param .b32 _) _ (.param .b32 _);
    call (q), %rd5, (p), proto; ld.param.b32 %r3, [q]; }
  mul.wide.u32 %rd6, %r1, 4;
  add.s64 %rd7, %rd1, %rd6;
  st.global.u32 [%rd7], %r3;
  ret;
})";
  KernelRunner runner(module_text(text));
  const std::uint64_t out = runner.upload(std::vector<std::uint32_t>(16));
  const exec::Fault fault = runner.run("k", {1, 1, 1}, {16, 1, 1}, {out});
  INFO(fault.text);
  REQUIRE(fault.code == exec::FaultCode::none);
  const auto found = runner.download<std::uint32_t>(out, 16);
  const std::uint32_t fib[16] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610};
  for (std::uint32_t i = 0; i < 16; ++i) CHECK(found[i] == (i % 2 == 0 ? fib[i] : 2 * i));
}

TEST_CASE("lanes exchange values, also when they come one by one") {
  const char* text = R"(
.visible .entry k(.param .u64 out)
{
  .reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r9, %r1, 1;
  setp.eq.u32 %p1, %r9, 0;
  mov.u32 %r10, 100;
  @%p1 bra meet;
  mov.u32 %r10, 200;
meet:
  shfl.sync.bfly.b32 %r2|%p2, %r1, 1, 31, -1;
  shfl.sync.down.b32 %r3, %r1, 4, 31, -1;
  vote.sync.ballot.b32 %r4, %p1, -1;
  shfl.sync.idx.b32 %r5, %r10, 7, 31, -1;
  redux.sync.add.s32 %r6, %r1, -1;
  match.any.sync.b32 %r7, %r9, -1;
  add.u32 %r8, %r2, %r3;
  add.u32 %r8, %r8, %r4;
  add.u32 %r8, %r8, %r5;
  add.u32 %r8, %r8, %r6;
  add.u32 %r8, %r8, %r7;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r8;
  ret;
})";
  KernelRunner runner(module_text(text));
  const std::uint64_t out = runner.upload(std::vector<std::uint32_t>(32));
  REQUIRE(runner.run("k", {1, 1, 1}, {32, 1, 1}, {out}).code == exec::FaultCode::none);
  const auto found = runner.download<std::uint32_t>(out, 32);
  for (std::uint32_t i = 0; i < 32; ++i) {
    const std::uint32_t match = i % 2 == 0 ? 0x55555555 : 0xaaaaaaaa;
    CHECK(found[i] == (i ^ 1) + (i + 4 < 32 ? i + 4 : i) + 0x55555555 + 200 + 496 + match);
  }
}

TEST_CASE("barriers order shared memory across warps") {
  const char* text = R"(
.extern .shared .align 4 .b8 box[];
.visible .entry k(.param .u64 out)
{
  .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, box;
  shl.b32 %r3, %r1, 2;
  add.u32 %r4, %r2, %r3;
  st.shared.u32 [%r4], %r1;
  bar.sync 0;
  mov.u32 %r5, %ntid.x;
  sub.u32 %r5, %r5, %r1;
  shl.b32 %r5, %r5, 2;
  add.u32 %r5, %r5, %r2;
  ld.shared.u32 %r6, [%r5+-4];
  setp.ge.u32 %p1, %r1, 50;
  bar.red.popc.u32 %r7, 1, %p1;
  add.u32 %r6, %r6, %r7;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r6;
  ret;
})";
  KernelRunner runner(module_text(text));
  const std::uint64_t out = runner.upload(std::vector<std::uint32_t>(100));
  const exec::Fault fault = runner.run("k", {1, 1, 1}, {100, 1, 1}, {out}, 400);
  INFO(fault.text);
  REQUIRE(fault.code == exec::FaultCode::none);
  const auto found = runner.download<std::uint32_t>(out, 100);
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(found[i] == 99 - i + 50);
}

TEST_CASE("a lane may wait for another one of its warp") {
  // Lane 0 spins until lane 1 has stored, and stands earlier in the text.
  const char* text = R"(
.visible .entry k(.param .u64 word)
{
  .reg .b32 %r<3>; .reg .b64 %rd<2>; .reg .pred %p<3>;
  ld.param.u64 %rd1, [word];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra store;
spin:
  ld.volatile.global.u32 %r2, [%rd1];
  setp.eq.u32 %p2, %r2, 0;
  @%p2 bra spin;
  ret;
store:
  st.volatile.global.u32 [%rd1], 1;
  ret;
})";
  KernelRunner runner(module_text(text));
  const std::uint64_t word = runner.upload(std::vector<std::uint32_t>(1));
  CHECK(runner.run("k", {1, 1, 1}, {2, 1, 1}, {word}).code == exec::FaultCode::none);
}

TEST_CASE("atomics count every thread") {
  const char* text = R"(
.visible .entry k(.param .u64 at)
{
  .reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .f32 %f<3>; .reg .f64 %d<3>;
  ld.param.u64 %rd1, [at];
  mov.u32 %r1, %tid.x;
  atom.global.add.u32 %r2, [%rd1], 1;
  red.global.max.u32 [%rd1+4], %r1;
  atom.global.inc.u32 %r3, [%rd1+8], 6;
  atom.global.add.f32 %f1, [%rd1+12], 0f3F800000;
  red.global.add.f64 [%rd1+16], 0d3FE0000000000000;
  atom.global.cas.b32 %r4, [%rd1+24], 0, 5;
  atom.global.xor.b32 %r5, [%rd1+28], %r1;
  ret;
})";
  KernelRunner runner(module_text(text));
  const std::uint64_t at = runner.upload(std::vector<std::uint32_t>(8));
  REQUIRE(runner.run("k", {4, 1, 1}, {64, 1, 1}, {at}).code == exec::FaultCode::none);
  const auto found = runner.download<std::uint32_t>(at, 8);
  CHECK(found[0] == 256);
  CHECK(found[1] == 63);
  CHECK(found[2] == 256 % 7);
  CHECK(found[3] == bits(256));
  CHECK(runner.download<double>(at + 16, 1)[0] == 128);
  CHECK(found[6] == 5);
  CHECK(found[7] == 0);
}

TEST_CASE("faults have CUDA's numbers") {
  const auto fault_of = [](const std::string& body) {
    KernelRunner runner(
        module_text(".visible .entry k(.param .u64 at) { .reg .b32 %r<3>; .reg .b64 %rd<3>; .shared .align 4 .b8 s[8]; "
                    "ld.param.u64 %rd1, [at];\n" +
                    body + " ret; }"));
    const std::uint64_t at = runner.upload(std::vector<std::uint32_t>(4));
    return runner.run("k", {1, 1, 1}, {1, 1, 1}, {at}).code;
  };
  CHECK(fault_of("ld.global.u32 %r1, [%rd1+12];") == exec::FaultCode::none);
  CHECK(fault_of("ld.global.u32 %r1, [%rd1+16];") == exec::FaultCode::illegal_address);
  CHECK(fault_of("ld.global.u32 %r1, [0];") == exec::FaultCode::illegal_address);
  CHECK(fault_of("ld.global.u32 %r1, [%rd1+2];") == exec::FaultCode::misaligned);
  CHECK(fault_of("st.shared.u32 [s+4096], %r1;") == exec::FaultCode::illegal_address);
  CHECK(fault_of("st.local.u32 [%rd1], %r1;") == exec::FaultCode::illegal_address);
  CHECK(fault_of("trap;") == exec::FaultCode::launch_failed);
}

TEST_CASE("an endless kernel, an endless recursion and a barrier that never completes end") {
  KernelRunner endless(module_text(".visible .entry k() { again: bra again; }"));
  std::thread stopper([&] { endless.cancelled = true; });
  CHECK(endless.run("k", {1, 1, 1}, {32, 1, 1}, {}).code == exec::FaultCode::none);
  stopper.join();
  KernelRunner recursion(module_text(".func f() { call f; ret; }\n.visible .entry k() { call f; ret; }"));
  CHECK(recursion.run("k", {1, 1, 1}, {1, 1, 1}, {}).code == exec::FaultCode::stack);
  KernelRunner waiting(module_text(".visible .entry k() { bar.sync 0, 64; ret; }"));
  CHECK(waiting.run("k", {1, 1, 1}, {32, 1, 1}, {}).code == exec::FaultCode::launch_failed);
}

TEST_CASE("cooperative blocks wait for one another") {
  const char* text = R"(
.visible .entry k(.param .u64 count)
{
  .reg .b32 %r<4>; .reg .b64 %rd<2>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [count];
  mov.u32 %r1, %nctaid.x;
  red.global.add.u32 [%rd1], 1;
wait:
  ld.volatile.global.u32 %r2, [%rd1];
  setp.lt.u32 %p1, %r2, %r1;
  @%p1 bra wait;
  ret;
})";
  KernelRunner runner(module_text(text));
  runner.all_resident = true;
  const std::uint64_t count = runner.upload(std::vector<std::uint32_t>(1));
  CHECK(runner.run("k", {40, 1, 1}, {1, 1, 1}, {count}).code == exec::FaultCode::none);
}

TEST_CASE("all blocks and threads of a grid run, whatever the seed") {
  const char* text = R"(
.visible .entry k(.param .u64 out)
{
  .reg .b32 %r<10>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %ctaid.y; mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  mov.u32 %r5, %ntid.x; mov.u32 %r6, %tid.x;
  mad.lo.u32 %r7, %r4, %r5, %r6;
  mul.wide.u32 %rd2, %r7, 4;
  add.s64 %rd3, %rd1, %rd2;
  red.global.add.u32 [%rd3], 1;
  ret;
})";
  for (const std::uint64_t seed : {0u, 5u, 12345u}) {
    KernelRunner runner(module_text(text));
    runner.seed = seed;
    const std::uint64_t out = runner.upload(std::vector<std::uint32_t>(7 * 3 * 33));
    REQUIRE(runner.run("k", {7, 3, 1}, {33, 1, 1}, {out}).code == exec::FaultCode::none);
    CHECK(runner.download<std::uint32_t>(out, 7 * 3 * 33) == std::vector<std::uint32_t>(7 * 3 * 33, 1));
  }
}
