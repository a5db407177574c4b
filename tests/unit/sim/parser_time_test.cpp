// The parser's time is in proportion to the text, whatever the text is.
#include <time.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/sim/kernel_runner.hpp"

using namespace vgpu::sim;
using test::module_text;

namespace {

/// Milliseconds of this thread's processor time that parsing takes.
double time_of(const std::string& text) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
  };
  const double begun = now();
  static_cast<void>(ptx::parse_ptx(text));
  return now() - begun;
}

std::string repeated(const std::string& text, unsigned count) {
  std::string out;
  for (unsigned i = 0; i < count; ++i) out += text;
  return out;
}

std::string numbered(const std::string& before, const std::string& after, unsigned count) {
  std::string out;
  for (unsigned i = 0; i < count; ++i) out += before + std::to_string(i) + after;
  return out;
}

std::string kernel(const std::string& body) {
  return module_text(".entry k() { .reg .b32 %r<4>; .reg .pred %p<2>;\n" + body + "\n}\n");
}

using Pattern = std::function<std::string(unsigned)>;

const std::vector<std::pair<const char*, Pattern>> kPatterns = {
    {"registers", [](unsigned n) { return kernel(numbered(".reg .b32 a", ";", n)); }},
    {"labels", [](unsigned n) { return kernel(numbered("l", ": ret;", n)); }},
    {"branches out of many blocks",
     [](unsigned n) { return kernel(repeated("{", 60) + repeated("bra out;", n) + repeated("}", 60) + "out: ret;"); }},
    {"blocks one after the other", [](unsigned n) { return kernel(repeated("{ bra out; }", n) + "out: ret;"); }},
    {"a branch table", [](unsigned n) { return kernel("t: .branchtargets x" + repeated(",x", n) + "; x: ret;"); }},
    {"functions", [](unsigned n) { return module_text(numbered(".func f", "() { ret; }", n)); }},
    {"variables", [](unsigned n) { return module_text(numbered(".global .b32 v", ";", n)); }},
    {"shared variables",
     [](unsigned n) {
       return module_text(".func f() {" + numbered(".shared .b8 v", ";", n) + "}" + ".entry k() { ret; }");
     }},
    {"kernels with shared variables",
     [](unsigned n) { return module_text(numbered(".entry k", "() { .shared .b8 v; ret; }", n)); }},
    {"braces of an initialiser", [](unsigned n) { return module_text(".global .b8 v[4] = " + repeated("{", n)); }},
    {"values of an initialiser",
     [](unsigned n) { return module_text(".global .b8 v[] = {0" + repeated(",0", n) + "};"); }},
    {"constants", [](unsigned n) { return kernel(numbered("mov.u32 %r1, ", ";", n)); }},
    {"a long name", [](unsigned n) { return kernel("mov.u32 %r1, " + repeated("x.y1", n) + ";"); }},
    {"a long instruction", [](unsigned n) { return kernel("add" + repeated(".ftz", n) + " %r1, %r1, %r1;"); }},
    {"comments", [](unsigned n) { return module_text(repeated("/* * / */ // x\n", n)); }},
    {"targets", [](unsigned n) { return ".version 9.0\n.target sm_90" + repeated(",texmode_unified", n) + "\n"; }},
    {"sections", [](unsigned n) { return module_text(".section .s {" + repeated("{ .b8 1 ", n)); }},
};

}  // namespace

TEST_CASE("four times the text takes about four times as long") {
  for (const auto& [what, pattern] : kPatterns) {
    INFO(what);
    constexpr unsigned kCount = 4000;
    const double once = time_of(pattern(kCount));
    CHECK(time_of(pattern(4 * kCount)) < 10 * once + 100);
  }
}
