// SPDX-License-Identifier: Apache-2.0
// Two programs whose kernels wait for their hosts.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/act.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

ACT(kernel_that_waits) {
  return play(
      libcuda,
      [](const std::vector<std::string>&) {
        const Context context;
        const Module module;
        const Stream stream;
        const PinnedMemory flag(4);
        const DeviceMemory word(4);
        word.write_word(41);
        launch(module.function("spin"), {}, {}, stream, flag.device());
        launch(module.function("increment"), {}, {}, stream, word.at());
        tell("launched");
        for (std::string order = hear(); order != "release"; order = hear()) {
          const CUresult state = driver().cuStreamQuery(stream);
          tell(state == CUDA_ERROR_NOT_READY ? "waiting" : state == CUDA_SUCCESS ? "complete" : "error");
        }
        flag.set_word(1);
        stands_at("waiting for a kernel whose flag is set");
        stream.synchronize();
        expect_equal(word.word(), 42U, "the word");
        tell("done");
      },
      words);
}

UNINITIALISED_CASE(two_programs, released_in_the_opposite_order) {
  for (const bool first_first : {false, true}) {
    Player first("kernel_that_waits");
    first.expect_line("launched");
    Player second("kernel_that_waits");
    second.expect_line("launched");
    Player& sooner = first_first ? first : second;
    Player& later = first_first ? second : first;
    for (Player* player : {&first, &second}) {
      player->say("ask");
      player->expect_line("waiting");
    }
    sooner.say("release");
    sooner.expect_line("done");
    sooner.expect_quiet_end();
    later.say("ask");
    later.expect_line("waiting");
    later.say("release");
    later.expect_line("done");
    later.expect_quiet_end();
  }
}

// A program that is killed while its kernel waits takes nobody with it.
UNINITIALISED_CASE(two_programs, one_is_killed_while_its_kernel_waits) {
  Player other("kernel_that_waits");
  other.expect_line("launched");
  {
    Player killed("kernel_that_waits");
    killed.expect_line("launched");
  }
  other.say("ask");
  other.expect_line("waiting");
  other.say("release");
  other.expect_line("done");
  other.expect_quiet_end();
}

}  // namespace
}  // namespace traps
