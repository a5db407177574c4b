// Who somebody is that came through a door: what the door says, else the peer's uid. What a stub says of itself is
// compared with that; it decides alone only for VMs with identity = "claimed", where neither says which VM it is.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "broker/config.hpp"
#include "broker/doors/first_words.hpp"
#include "common/base/result.hpp"

namespace vgpu::broker::doors {

/// What a door says about whoever comes through it.
struct Entrance {
  enum class Kind {
    main,    // everybody who may write to it
    field,   // the same, where the field's programs look for it
    chroot,  // the QEMU of one Xen domain
    vm       // one VM's stub
  };
  Kind kind = Kind::main;
  std::string path;
  std::string vm;           // vm: its name
  std::uint32_t domid = 0;  // chroot
  uid_t owner = 0;          // chroot: nobody else comes through
};
const char* to_text(Entrance::Kind kind);

struct Identity {
  std::string vm;                        // its name: a configured VM's, or uid-N
  const VmSettings* settings = nullptr;  // in the configuration; null: it has no [vm.NAME]
  std::string no_client;                 // why it cannot be a client, where it cannot
};

/// By door and uid, which the kernel says. An error: nobody of that uid may come this way.
base::Result<Identity> identify(const Config& config, const Entrance& entrance, uid_t uid);

/// Labels (vm_id) of the stubs that are connected, and the names of their VMs.
using LabelsInUse = std::map<std::uint32_t, std::string>;

/// Which VM a stub is, of whom identify() said `who`. An error says why it is refused.
base::Result<Identity> identify_stub(const Config& config, const Identity& who, const Labels& labels,
                                     const LabelsInUse& in_use);

}  // namespace vgpu::broker::doors
