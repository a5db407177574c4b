#include "tests/process/hostile/stage.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace vgpu::test {

namespace ops = api::ops;
using wire::Kind;
using wire::make_handle;

namespace {

constexpr uint64_t kLegacy = 1;
constexpr uint32_t kNumbers = 1024;
constexpr uint32_t kBytes = kNumbers * sizeof(uint32_t);
constexpr const char* kStrangers = " ended: ";

std::string worker_path() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "vgpu-worker").string();
}

}  // namespace

Neighbour::Neighbour(const std::string& socket) : client_(socket) {
  client_.start();
  client_.make_context();
  std::memcpy(client_.heap(VGPU_EXTENT_ALIGN), kVectorAdd, sizeof kVectorAdd);
  const uint64_t module = make_handle(Kind::module, 1, 0);
  kernel_ = make_handle(Kind::function, 1, 0);
  REQUIRE(client_.result_of(ops::ModuleLoad{
              .id = {module}, .offset = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN, .size = sizeof kVectorAdd}) == 0);
  REQUIRE(client_.result_of(ops::ModuleGetFunction{.id = {module}, .result = {kernel_}, .name = "add"}) == 0);
  REQUIRE(client_.result_of(ops::ExtentOpen{VGPU_HEAP_OFFSET, VGPU_EXTENT_ALIGN}) == 0);
  for (uint64_t& array : arrays_) {
    const auto answer = client_.call(ops::MemoryAlloc{kBytes});
    REQUIRE((answer && answer->result == 0));
    array = answer->as<ops::MemoryAllocReply>().address;
  }
}

bool Neighbour::computes() {
  ++round_;
  auto* numbers = reinterpret_cast<uint32_t*>(client_.heap());
  for (uint32_t i = 0; i < 2 * kNumbers; ++i) numbers[i] = i * 2654435761u + round_;
  client_.post(ops::CopyToDevice{arrays_[0], VGPU_HEAP_OFFSET, kBytes, {kLegacy}});
  client_.post(ops::CopyToDevice{arrays_[1], VGPU_HEAP_OFFSET + kBytes, kBytes, {kLegacy}});
  client_.post(ops::Launch{.what = {kernel_},
                           .grid_x = kNumbers / 128,
                           .grid_y = 1,
                           .grid_z = 1,
                           .block_x = 128,
                           .block_y = 1,
                           .block_z = 1,
                           .on = {kLegacy},
                           .parameters = {reinterpret_cast<const uint8_t*>(arrays_), sizeof arrays_}});
  if (client_.result_of(ops::CopyToHostWait{VGPU_HEAP_OFFSET + 2 * kBytes, arrays_[2], kBytes, {kLegacy}}) != 0)
    return false;
  bool right = true;
  for (uint32_t i = 0; i < kNumbers; ++i) right &= numbers[2 * kNumbers + i] == numbers[i] + numbers[kNumbers + i];
  return right;
}

Stage::Stage(const std::string& config) : socket(folder / "broker.sock"), process(command(config)) {
  REQUIRE(process.says("listening on "));
  neighbour_ = std::make_unique<Neighbour>(socket);
  REQUIRE(neighbour_->computes());
  // A program computes before the broker has put away what it needed for the start. Signals come after that.
  REQUIRE(process.says(" is ready"));
  process.signal(SIGUSR1);
  REQUIRE(process.says("accounts: clients 1"));
  descriptors_before_ = descriptors();
}

std::vector<std::string> Stage::command(const std::string& config) const {
  const auto file = folder / "broker.toml";
  std::ofstream(file) << (config.empty() ? "[client]\nwindow_size = \"256MiB\"\n" : config);
  return {broker_path(), "--config", file, "--socket", socket, "--worker", worker_path(), "--driver", "sim"};
}

std::unique_ptr<RawClient> Stage::client() {
  auto client = std::make_unique<RawClient>(socket);
  client->start();
  client->make_context();
  return client;
}

size_t Stage::descriptors() const {
  const auto all = std::filesystem::directory_iterator("/proc/" + std::to_string(process.pid()) + "/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

std::vector<pid_t> Stage::children() const {
  const auto pid = std::to_string(process.pid());
  std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
  return {std::istream_iterator<pid_t>(list), std::istream_iterator<pid_t>()};
}

void Stage::check_clean() {
  CHECK(neighbour_->computes());
  CHECK(eventually([&] { return children().size() == 1; }));
  CHECK(eventually([&] { return descriptors() == descriptors_before_; }));
  process.signal(SIGUSR1);
  CHECK(process.says("accounts: clients 1, greetings 0, places 1, workers 1, quarantined 0,"));
  UNSCOPED_INFO(process.output());
  CHECK(count_lines(process.output(), "ended: killed by signal") == 0);
  CHECK(count_lines(process.output(), "ended: internal") == 0);
}

void Stage::check_ended(RawClient& client, control::ExitClass kind) {
  const auto ended = client.end();
  const auto line = "of client " + std::to_string(client.number()) + kStrangers;
  CHECK(process.says(line));
  UNSCOPED_INFO(process.output());
  CHECK(control::describe({ended, 0}) == control::describe({kind, 0}));
  CHECK(count_lines(process.output(), line) == 1);
  const auto why = "of client " + std::to_string(client.number()) + " says: ";
  CHECK(count_lines(process.output(), why) == 1);
  CHECK(count_lines(process.output(), "worker[" + std::to_string(client.number()) + "] warning") == 0);
  CHECK(neighbour_->computes());
}

void Stage::check_served(RawClient& client) { CHECK(client.result_of(ops::DriverFacts{}, VGPU_SLOT_COUNT - 1) == 0); }

size_t count_lines(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace vgpu::test
