// What the doctor's judgements rest on: gathered first and all at once, so that a test can make up any of it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "broker/vgpu_admin/ask.hpp"

namespace vgpu::admin {

struct ConfigFacts {
  std::string path;
  bool exists = false;
  std::vector<std::string> errors;  // "file:line: sentence"
};

/// The broker: by its lock file, and by what it answers.
struct BrokerFacts {
  std::string socket;        // where clients connect
  std::string admin_socket;  // where it was asked
  pid_t lock_pid = 0;        // in the lock file; 0: there is none
  pid_t holder = 0;          // who holds the lock, by the kernel's word; 0: nobody
  bool is_lock_pid_alive = false;
  std::string lock_program;  // its name
  int ask_error = 0;         // errno of the attempt to ask; 0: it answered
  std::string ask_text;
  std::string refusal;  // it answered, but not us
  Json status;          // null without an answer
  std::string log;      // where it goes: a file's path, "journal", "a pipe", ...; empty: not known
};

/// How far a user gets to a socket.
struct Reach {
  uid_t uid = 0;
  bool can = false;
  std::string obstacle;   // what stands in the way
  bool is_tried = false;  // the kernel said so; else computed from owners and modes
};

struct SocketFacts {
  std::string kind, path, vm;  // as the broker lists them
  unsigned wanted_mode = 0;
  std::string wanted_group;
  std::optional<uid_t> wanted_uid;
  bool exists = false;
  bool is_socket = false;
  unsigned mode = 0;
  uid_t uid = 0;
  std::string group;
  int connect_error = 0;  // errno of an attempt as who we are; 0: somebody listens
  pid_t listener = 0;     // the process that listens; 0: not known
  std::optional<Reach> reach;
};

/// A process that has a vgpu-stub on its command line.
struct QemuFacts {
  pid_t pid = 0;
  uid_t uid = 0;
  std::string root;    // its root folder; "/" if it is not in a chroot
  std::string device;  // the argument of -device, "vgpu-stub,socket=..."
  std::string socket;  // the device's socket, as the host sees it
  bool socket_exists = false;
};

struct VmFacts {
  std::string name, socket;
  std::string link;  // as the broker says it
  bool quarantined = false;
  pid_t stub = 0;  // connected process; 0: none
  bool is_stub_alive = false;
  std::optional<QemuFacts> qemu;  // whose device leads to this VM's socket, or that is the stub
  std::optional<Reach> reach;     // of the VM's socket, for that QEMU's user
};

struct SystemFacts {
  bool denials_readable = false;
  std::vector<std::string> denials;         // of the last quarter of an hour, about QEMU or us
  std::string confinement;                  // "SELinux", "AppArmor"; empty: none is active
  std::vector<std::string> devices;         // NVIDIA device files that exist
  std::vector<std::string> denied_devices;  // and those of them that the broker's user may not open
  std::string driver_library;               // path; empty: not found
  std::string software_gpu;                 // path; empty: not found
  bool has_journal = false;
};

struct Facts {
  bool is_root = false;
  std::string wanted_vm;  // is expected to be up
  bool is_wanted_vm_known = false;
  ConfigFacts config;
  BrokerFacts broker;
  std::string driver = "auto";
  std::vector<SocketFacts> sockets;
  std::vector<VmFacts> vms;
  SystemFacts system;
};

}  // namespace vgpu::admin
