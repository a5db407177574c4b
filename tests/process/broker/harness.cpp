#include "tests/process/broker/harness.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "common/control/socket_io.hpp"

namespace vgpu::test {

using namespace std::chrono_literals;

control::Deadline soon() { return control::Deadline::after(20s); }

bool eventually(const std::function<bool()>& condition) {
  for (const auto deadline = soon(); !deadline.passed(); std::this_thread::sleep_for(2ms))
    if (condition()) return true;
  return condition();
}

TemporaryFolder::TemporaryFolder() {
  const auto base = std::filesystem::temp_directory_path() / "vgpu-test-XXXXXX";
  std::string name = base.string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Process::Process(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  // A file and not a pipe: nobody drains a pipe while a test does something else.
  output_fd_.reset(memfd_create("output", MFD_CLOEXEC));
  REQUIRE(output_fd_);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output_fd_.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_fd_.get(), STDERR_FILENO);
  std::vector<char*> argv, envp;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  for (const auto& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
  envp.push_back(nullptr);
  REQUIRE(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
}

Process::~Process() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Process::says(const std::string& text) {
  if (eventually([&] { return output().find(text) != std::string::npos; })) return true;
  UNSCOPED_INFO("the process did not say \"" << text << "\" but:\n" << output_);
  return false;
}

const std::string& Process::output() {
  char buffer[4096];
  for (ssize_t count; (count = pread(output_fd_.get(), buffer, sizeof buffer, static_cast<off_t>(output_.size()))) > 0;)
    output_.append(buffer, static_cast<std::size_t>(count));
  return output_;
}

void Process::signal(int number) { kill(pid_, number); }

int Process::wait() {
  int status = 0;
  if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

namespace {

std::string beside_us(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

std::vector<std::string> broker_command(const TemporaryFolder& folder, const std::string& socket,
                                        const std::string& config) {
  const auto file = folder / "broker.toml";
  std::ofstream(file) << config;
  return {broker_path(), "--config", file, "--socket", socket, "--worker", fake_worker_path(), "--driver", "sim"};
}

}  // namespace

std::string broker_path() { return beside_us("vgpu-broker"); }
std::string fake_worker_path() { return beside_us("vgpu-test-fake-worker"); }

TestBroker::TestBroker(const std::string& config)
    : socket(folder / "broker.sock"), command_(broker_command(folder, socket, config)), process(command_) {
  REQUIRE(process.says("listening on "));
}

std::size_t TestBroker::descriptor_count() const {
  const auto folder_of_fds = std::filesystem::directory_iterator("/proc/" + std::to_string(process.pid()) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(folder_of_fds), end(folder_of_fds)));
}

std::vector<pid_t> TestBroker::children() const {
  const auto pid = std::to_string(process.pid());
  std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
  return {std::istream_iterator<pid_t>(list), std::istream_iterator<pid_t>()};
}

control::Hello hello_for_test() {
  auto hello = control::make_hello("test", environ);
  REQUIRE(hello);
  return *hello;
}

TestClient::TestClient(const std::string& socket) {
  auto connected = control::connect_broker(socket, hello_for_test(), soon());
  INFO((connected ? "" : connected.error().text));
  REQUIRE(connected);
  connection = std::move(*connected);
  void* base = mmap(nullptr, connection.window_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                    connection.window.get(), 0);
  REQUIRE(base != MAP_FAILED);
  window_ = static_cast<char*>(base);
}

TestClient::~TestClient() {
  if (window_ != nullptr) munmap(window_, connection.window_size);
}

vgpu_slot& TestClient::slot(unsigned index) {
  return *reinterpret_cast<vgpu_slot*>(window_ + VGPU_SLOTS_OFFSET + index * VGPU_SLOT_SIZE);
}

void TestClient::order(const std::string& text) {
  std::copy_n(text.c_str(), text.size() + 1, window_ + VGPU_HEAP_OFFSET);
  const std::uint64_t one = 1;
  REQUIRE(write(connection.doorbell.get(), &one, sizeof one) == sizeof one);
}

void TestClient::order_and_wait(const std::string& text) {
  auto* state = &control().worker_state;
  const auto before = __atomic_load_n(state, __ATOMIC_SEQ_CST);
  order(text);
  const timespec timeout{1, 0};
  REQUIRE(eventually([&] {
    if (__atomic_load_n(state, __ATOMIC_SEQ_CST) != before) return true;
    syscall(SYS_futex, state, FUTEX_WAIT, before, &timeout, nullptr, 0);
    return false;
  }));
}

base::UniqueFd connect_raw(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

base::Result<control::HelloReply> read_reply(int socket) {
  auto frame = control::receive_message(socket, control::MessageType::hello_reply, soon());
  if (!frame) return frame.error();
  return frame->as<control::HelloReply>();
}

bool is_process_alive(pid_t pid) { return kill(pid, 0) == 0; }

}  // namespace vgpu::test
