// Where lines of the log go: standard error or a file, without ever waiting for whoever reads there.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::log {

class Output {
 public:
  /// A private copy of standard error, made at the first call.
  static Output standard_error();
  /// Appends to `path`; made with mode 0640 if it is not there.
  static base::Result<Output> file(const std::string& path);

  /// True if it is the journal, which reads priorities ("<6>") at the beginning of lines.
  bool is_journal() const { return is_journal_; }
  /// A file that was moved away or removed is opened anew under its name.
  void follow_name();
  /// True if a line can be written now.
  bool has_room() const;
  bool write(std::string_view line);

 private:
  bool has_its_name() const;

  int descriptor_ = 2;
  base::UniqueFd file_;  // then descriptor_ is its number
  std::string path_;     // of file_
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool is_journal_ = false;
};

}  // namespace vgpu::log
