// vgpu-guest: the verdicts of its self-test, and the doctor's chain.
#include <catch2/catch.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "guestd_fixture.hpp"
#include "shim/vgpu_guest/add.hpp"
#include "shim/vgpu_guest/daemon_report.hpp"
#include "shim/vgpu_guest/doctor.hpp"
#include "shim/vgpu_guest/legacy_test.hpp"
#include "shim/vgpu_guest/self_test.hpp"
#include "shim/vgpu_guest/status.hpp"

using namespace vgpu;
using test::FakeDevice;
using test::Guestd;
using Kind = guest::LegacyVerdict::Kind;
using std::chrono::milliseconds;

namespace {

constexpr guest::LegacyTimes kQuick{milliseconds(50), milliseconds(100)};

guest::LegacyVerdict test_legacy(FakeDevice& device, std::function<void()> on_doorbell) {
  device.on_write = [&](uint32_t offset, uint32_t value) {
    if (offset == VGPU_LEGACY_DOORBELL && value == 1) on_doorbell();
  };
  auto opened = device.open();
  return guest::test_legacy_page(opened.registers(), kQuick);
}

std::string names_of(const std::vector<guest::Finding>& findings) {
  std::string names;
  for (const auto& finding : findings)
    names += (finding.outcome == guest::Finding::Outcome::broken ? "!" : "") + finding.what + " ";
  return names;
}

/// A machine as the doctor sees it; what a test changes is what is broken.
struct Machine {
  Machine() { function.write(root.path); }
  std::vector<guest::Finding> examine() {
    options.pci_root = root.path;
    options.socket = guestd.socket();
    function.write(root.path);
    if (is_enabled && !guestd::enable(function_of())) throw std::runtime_error("enable");
    std::atomic<bool> is_done{false};
    std::thread serving([&] {
      while (!is_done && is_serving) guestd.turn();
    });
    auto findings = guest::examine(
        options, [this] { return cuda; }, [](const guest::Finding&) {});
    is_done = true;
    serving.join();
    return findings;
  }
  guestd::PciFunction function_of() { return *guestd::find_function(root.path, function.address); }

  test::TemporaryFolder root;
  test::FakeFunction function;
  FakeDevice device;
  Guestd guestd{device};
  guest::Options options;
  guest::CudaCheck cuda{
      .reached = guest::CudaCheck::Reached::copies, .library = "/usr/lib/libcuda.so.1", .device_name = "Sim"};
  bool is_enabled = true;
  bool is_serving = true;
};

}  // namespace

TEST_CASE("the self-test's verdicts are the field's") {
  FakeDevice device;
  SECTION("the host computes") {
    const auto verdict = test_legacy(device, [&] {
      CHECK(device.get(VGPU_LEGACY_REQUEST_LEN) == 40);
      CHECK(device.get(VGPU_LEGACY_REQUEST + 4) == 1);
      device.set(VGPU_LEGACY_RESPONSE + 32,
                 device.get(VGPU_LEGACY_REQUEST + 32) + device.get(VGPU_LEGACY_REQUEST + 36));
      device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_DONE);
    });
    CHECK(verdict.kind == Kind::computed);
    CHECK_THAT(verdict.text(), Catch::Contains("Result: 100 + 200 = 300"));
  }
  SECTION("the device has no link") {
    const auto verdict = test_legacy(device, [&] {
      device.set(VGPU_LEGACY_ERROR_CODE, VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
      device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_ERROR);
    });
    CHECK(verdict.is_pass());
    CHECK(verdict.text() == "[ERROR] Device error: code=3 (MEDIATOR_UNAVAILABLE)");
    CHECK_THAT(verdict.remedy(), Catch::Contains("start vgpu-broker"));
  }
  SECTION("nothing happens") {
    const auto verdict = test_legacy(device, [] {});
    CHECK_FALSE(verdict.is_pass());
    CHECK(verdict.text() == "STATUS stayed IDLE");
  }
  SECTION("nothing happens after an earlier answer") {
    device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_DONE);
    CHECK(test_legacy(device, [] {}).kind == Kind::stayed_idle);
  }
  SECTION("the same answer comes again") {
    device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_DONE);
    device.set(VGPU_LEGACY_RESPONSE + 32, 300);
    CHECK(test_legacy(device, [&] { device.set(VGPU_LEGACY_TIME_LO, 4711); }).kind == Kind::computed);
  }
  SECTION("nobody answers") {
    const auto verdict = test_legacy(device, [&] { device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_BUSY); });
    CHECK(verdict.text() == "STATUS stuck BUSY");
    CHECK_FALSE(verdict.is_pass());
  }
  SECTION("the sum is wrong") {
    const auto verdict = test_legacy(device, [&] { device.set(VGPU_LEGACY_STATUS, VGPU_LEGACY_DONE); });
    CHECK(verdict.kind == Kind::wrong);
    CHECK_FALSE(verdict.is_pass());
  }
}

TEST_CASE("a sum, and a failure to have it, are told in the field's words") {
  FakeDevice device;
  device.on_write = [&](uint32_t offset, uint32_t) {
    if (offset != VGPU_LEGACY_DOORBELL) return;
    const uint32_t left = device.get(VGPU_LEGACY_REQUEST + 32);
    device.set(VGPU_LEGACY_RESPONSE + 32, left + device.get(VGPU_LEGACY_REQUEST + 36));
    device.set(VGPU_LEGACY_ERROR_CODE, left);
    device.set(VGPU_LEGACY_STATUS, left < 12 ? VGPU_LEGACY_ERROR : VGPU_LEGACY_DONE);
  };
  auto opened = device.open();
  const auto sum = guest::add_on_host(opened.registers(), 0xffffffff, 3, kQuick);
  CHECK(guest::sum_text(sum) == "[RESPONSE] Received: 2\nResult: 4294967295 + 3 = 2\n");
  CHECK(guest::failure_text(sum).empty());
  CHECK(guest::sum_json(sum) == "{\"good\": true, \"left\": 4294967295, \"right\": 3, \"result\": 2}\n");
  const auto failed = guest::add_on_host(opened.registers(), VGPU_LEGACY_QUARANTINED, 1, kQuick);
  CHECK(guest::sum_text(failed).empty());
  CHECK_THAT(guest::failure_text(failed), Catch::StartsWith("[ERROR] Device error: code=11 (QUARANTINED)\n"));
  CHECK_THAT(guest::failure_text(failed), Catch::Contains("remedy: ask the host's operator"));
  CHECK_THAT(guest::sum_json(failed), Catch::Contains("\"code\": 11, \"name\": \"QUARANTINED\""));
}

TEST_CASE("the doctor walks the whole chain, and stops where it is broken") {
  Machine machine;
  SECTION("all is well") {
    CHECK(names_of(machine.examine()) ==
          "device revision window enabled registers guestd link broker library driver memory bandwidth ");
  }
  SECTION("no device") {
    std::filesystem::remove_all(machine.root.path / machine.function.address);
    machine.function.address = "0000:00:09.0";
    machine.function.device_class = 0x0200;
    machine.function.vendor = 0x1af4;
    machine.is_enabled = false;
    const auto findings = machine.examine();
    CHECK(names_of(findings) == "!device ");
    CHECK_THAT(findings.back().remedy, Catch::Contains("-device vgpu-stub"));
  }
  SECTION("an old device") {
    machine.function.revision = 1;
    CHECK(names_of(machine.examine()) == "device !revision ");
  }
  SECTION("not enabled") {
    machine.is_enabled = false;
    const auto findings = machine.examine();
    CHECK(names_of(findings) == "device revision window !enabled ");
    CHECK_THAT(findings.back().remedy, Catch::Contains("systemctl start vgpu-guestd"));
  }
  SECTION("another device at this place") {
    machine.function.magic = 0;
    CHECK(names_of(machine.examine()) == "device revision window enabled !registers ");
  }
  SECTION("no daemon") {
    machine.options.socket = "/nonexistent/guestd.sock";
    REQUIRE(guestd::enable(machine.function_of()));
    machine.options.pci_root = machine.root.path;
    const auto findings = guest::examine(
        machine.options, [&] { return machine.cuda; }, [](const guest::Finding&) {});
    CHECK(names_of(findings) == "device revision window enabled registers !guestd ");
  }
  SECTION("no link") {
    machine.device.set_link(VGPU_LINK_DOWN, "connect: Connection refused");
    const auto findings = machine.examine();
    CHECK(names_of(findings) == "device revision window enabled registers guestd !link ");
    CHECK(findings.back().cause == "connect: Connection refused");
  }
  SECTION("a link that the broker refuses") {
    machine.device.set_link(VGPU_LINK_REFUSED, "another stub is VM web already");
    const auto findings = machine.examine();
    CHECK(names_of(findings) == "device revision window enabled registers guestd !link ");
    CHECK(findings.back().text == "refused");
    CHECK(findings.back().cause == "another stub is VM web already");
  }
  SECTION("no channel is left") {
    machine.device.set(VGPU_REG_CHANNELS, 1);
    test::Program program(machine.guestd.socket());
    program.say_hello();
    REQUIRE(machine.guestd.answer_to(program).status == control::HelloStatus::ok);
    const auto findings = machine.examine();
    CHECK(names_of(findings) == "device revision window enabled registers guestd link !broker ");
    CHECK(findings.back().cause == "all channels of this VM are in use");
  }
  SECTION("no library") {
    machine.cuda = {.reached = guest::CudaCheck::Reached::nothing, .said = "libcuda.so.1: cannot open"};
    const auto findings = machine.examine();
    CHECK(findings.back().what == "library");
    CHECK(findings.back().cause == "libcuda.so.1: cannot open");
    CHECK_THAT(findings.back().remedy, Catch::Contains("LD_LIBRARY_PATH"));
  }
  SECTION("a library that does not say why") {
    machine.cuda = {.reached = guest::CudaCheck::Reached::library, .error = 999, .failed = "cuInit"};
    CHECK(machine.examine().back().cause == "the library does not say why");
  }
  SECTION("memory that fails") {
    machine.cuda.reached = guest::CudaCheck::Reached::driver;
    machine.cuda.failed = "cuMemAlloc";
    machine.cuda.error = 719;
    const auto findings = machine.examine();
    CHECK(findings.back().what == "memory");
    CHECK(findings.back().text == "cuMemAlloc: error 719");
    CHECK(findings.back().cause == "the GPU or its worker failed");
  }
  SECTION("copies that do not end") {
    machine.cuda.reached = guest::CudaCheck::Reached::driver;
    machine.cuda.is_over_time = true;
    CHECK(machine.examine().back().text == "no end in time");
  }
  SECTION("a driver that fails") {
    machine.cuda = {.reached = guest::CudaCheck::Reached::library,
                    .library = "/usr/lib/libcuda.so.1",
                    .error = 100,
                    .failed = "cuInit",
                    .said = "vgpu: no GPU: nobody is there"};
    const auto findings = machine.examine();
    CHECK(findings.back().what == "driver");
    CHECK(findings.back().text == "cuInit: error 100");
    CHECK(findings.back().cause == "vgpu: no GPU: nobody is there");
    CHECK(guest::exit_code_of(findings) == guest::kBroken);
  }
}

TEST_CASE("the self-test sends those without a device to the doctor") {
  const test::TemporaryFolder empty;
  guest::Options options;
  options.pci_root = empty.path;
  const auto findings = guest::self_test(
      options, [] { return guest::CudaCheck{}; }, [](const guest::Finding&) {});
  CHECK(findings.front().text == "no device to ask");
  CHECK_THAT(findings.front().remedy, Catch::Contains("vgpu-guest doctor"));
}

TEST_CASE("the self-test asks a stub that has nothing but the legacy page") {
  const test::TemporaryFolder root;
  const test::FakeFunction function{.bar0_size = VGPU_LEGACY_PAGE_SIZE};
  function.write(root.path);
  guest::Options options;
  options.pci_root = root.path;
  const auto text = [&] {
    return guest::self_test(
               options, [] { return guest::CudaCheck{}; }, [](const guest::Finding&) {})
        .front()
        .text;
  };
  CHECK(text() == "no device to ask");
  test::put_word(root.path / function.address / "resource0", VGPU_LEGACY_PROTOCOL_VER, VGPU_LEGACY_VERSION);
  CHECK(text() == "STATUS stayed IDLE");
  options.device = "0000:00:09.0";
  CHECK(text() == "no device to ask");
}

TEST_CASE("a report is taken apart as it was made") {
  const auto report = guest::parse_report(
      "vgpu-guestd 1\nlink up\nlink_text my vm\nwindow_size 67108864\n"
      "channel 3 open pid 11 uid 12 client 13 offset 14 exit 0 name a b \"c\nchannel 4 lost pid 0 uid 0 client 0 "
      "offset 0 "
      "exit 2311 name \nend\n");
  REQUIRE(report);
  CHECK(report->word("link_text") == "my vm");
  CHECK(report->number("window_size") == 67108864);
  REQUIRE(report->channels.size() == 2);
  CHECK(report->channels[0].number == 3);
  CHECK(report->channels[0].pid == 11);
  CHECK(report->channels[0].name == "a b \"c");
  CHECK_THAT(guest::status_json(*report), Catch::Contains(R"("name": "a b \"c")"));
  CHECK_THAT(guest::status_text(*report), Catch::Contains("killed by signal 9"));
  CHECK_FALSE(guest::parse_report("link up\n"));
}

TEST_CASE("JSON is closed and escaped") {
  guest::JsonText json;
  json.begin()
      .add("a", 1)
      .add("b", "x\ny\"")
      .begin_list("c")
      .begin()
      .end()
      .begin()
      .add("d", true)
      .end()
      .end_list()
      .end();
  CHECK(json.text() == R"({"a": 1, "b": "x\u000ay\"", "c": [{}, {"d": true}]})");
}
