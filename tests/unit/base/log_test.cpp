// The log's lines and where they go.
#include "common/base/log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/log_output.hpp"

using namespace vgpu;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("vgpu-log-" + std::to_string(getpid()))) {
    fs::create_directory(path_);
  }
  ~Folder() {
    log::open("test", log::Level::error);
    fs::remove_all(path_);
  }
  std::string operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void open(const std::string& file, log::Format format = log::Format::text) {
  const auto opened = log::open("test", {log::Level::info, format, file});
  INFO((opened ? "" : opened.error().text));
  REQUIRE(opened);
}

}  // namespace

TEST_CASE("a text line has time, program, level and message") {
  Folder folder;
  open(folder / "log");
  log::info("client {} connected", 7);
  log::debug("not said");
  const auto text = read(folder / "log");
  CHECK_THAT(
      text, Catch::Matches(
                "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}[+-]\\d\\d:\\d\\d test info: client 7 connected\n"));
}

TEST_CASE("a JSON line is one object, whatever the message has in it") {
  Folder folder;
  open(folder / "log", log::Format::json);
  const auto message = GENERATE(as<std::string>{}, "plain", "\"quoted\" \\ back", "two\nlines\t\x01",
                                "no UTF-8: \xff\xfe", "\xc3\xa9", "{\"level\":\"error\"}");
  log::write(log::Level::warning, message);
  const auto text = read(folder / "log");
  REQUIRE(std::count(text.begin(), text.end(), '\n') == 1);
  const auto line = nlohmann::json::parse(text);
  CHECK(line["level"] == "warning");
  CHECK(line["program"] == "test");
  CHECK(line["pid"] == getpid());
  CHECK(line["time"].get<std::string>().size() == 29);
  if (message.find('\xff') == std::string::npos) CHECK(line["message"] == message);
}

TEST_CASE("a log file is for its owner and group, and is appended to") {
  Folder folder;
  const auto mask = umask(0);
  open(folder / "log");
  umask(mask);
  struct stat status {};
  REQUIRE(stat((folder / "log").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0640);
  log::info("first");
  open(folder / "log");
  log::info("second");
  CHECK_THAT(read(folder / "log"), Contains("first") && Contains("second"));
}

TEST_CASE("a log file that was moved away or removed is made anew under its name") {
  Folder folder;
  open(folder / "log");
  log::info("first");
  if (GENERATE(true, false))
    fs::rename(folder / "log", folder / "log.1");
  else
    fs::remove(folder / "log");
  log::info("second");
  CHECK_THAT(read(folder / "log"), Contains("second") && !Contains("first"));
}

TEST_CASE("a log file that cannot be opened is an error with a remedy, and the log stays where it was") {
  Folder folder;
  open(folder / "log");
  std::string bad;
  SECTION("no folder") { bad = folder / "absent/log"; }
  SECTION("a symbolic link, which in /tmp may be anybody's") {
    bad = folder / "link";
    fs::create_symlink(folder / "log", bad);
  }
  SECTION("a pipe that nobody reads: no wait") {
    bad = folder / "pipe";
    REQUIRE(mkfifo(bad.c_str(), 0600) == 0);
  }
  const auto opened = log::open("test", {log::Level::info, log::Format::text, bad});
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().text, Contains(bad) && Contains("log_file"));
  log::info("still here");
  CHECK_THAT(read(folder / "log"), Contains("still here"));
}

TEST_CASE("lines that nobody reads are left out and counted") {
  Folder folder;
  const auto path = folder / "pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  open(path, GENERATE(log::Format::text, log::Format::json));
  for (int i = 0; i < 2000; ++i) log::info("{:0>100}", i);
  std::string some(1 << 20, '\0');
  while (::read(reader, some.data(), some.size()) > 0) continue;
  log::info("read again");
  some.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(reader, some.data(), some.size()))));
  close(reader);
  CHECK_THAT(some, Contains("lines are missing here") && Contains("read again"));
}

TEST_CASE("standard error is the journal only if it is the file that JOURNAL_STREAM names") {
  // The process's first use of the log settles which descriptor stands for standard error.
  log::open("test", log::Level::error);
  struct stat status {};
  REQUIRE(fstat(2, &status) == 0);
  setenv("JOURNAL_STREAM", (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)).c_str(), 1);
  CHECK(log::Output::standard_error().is_journal());
  setenv("JOURNAL_STREAM", (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino + 1)).c_str(), 1);
  CHECK_FALSE(log::Output::standard_error().is_journal());
  setenv("JOURNAL_STREAM", "nonsense", 1);
  CHECK_FALSE(log::Output::standard_error().is_journal());
  unsetenv("JOURNAL_STREAM");
  CHECK_FALSE(log::Output::standard_error().is_journal());
}
