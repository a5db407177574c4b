#include "common/control/exit_class.hpp"

#include <catch2/catch.hpp>
#include <csignal>

using namespace vgpu::control;

TEST_CASE("every exit code has its class, unknown ones are internal") {
  const auto kind = [](int code) { return classify_exit(CLD_EXITED, code, KillReason::not_killed).kind; };
  CHECK(kind(0) == ExitClass::clean);
  CHECK(kind(64) == ExitClass::usage);
  CHECK(kind(65) == ExitClass::protocol_violation);
  CHECK(kind(66) == ExitClass::gpu_fault);
  CHECK(kind(67) == ExitClass::no_driver);
  CHECK(kind(68) == ExitClass::internal);
  CHECK(kind(1) == ExitClass::internal);
}

TEST_CASE("a SIGKILL is the broker's only if it sent one; a crash before it keeps its name") {
  CHECK(classify_exit(CLD_KILLED, SIGKILL, KillReason::client_gone).kind == ExitClass::client_gone);
  CHECK(classify_exit(CLD_KILLED, SIGKILL, KillReason::revoked).kind == ExitClass::revoked);
  CHECK(classify_exit(CLD_KILLED, SIGKILL, KillReason::not_killed).kind == ExitClass::killed_by_signal);
  CHECK(classify_exit(CLD_DUMPED, SIGSEGV, KillReason::client_gone).kind == ExitClass::killed_by_signal);
  CHECK(classify_exit(CLD_EXITED, 66, KillReason::client_gone).kind == ExitClass::gpu_fault);
}

TEST_CASE("the word in the control page carries class and detail") {
  const auto exit = classify_exit(CLD_KILLED, SIGSEGV, KillReason::not_killed);
  const auto back = from_word(to_word(exit));
  CHECK(back.kind == exit.kind);
  CHECK(back.detail == SIGSEGV);
  CHECK(describe(back) == "killed by signal 11 (segmentation fault)");
  CHECK(describe(from_word(0xffffffff)) == "unknown");
}
