// Where broker and clients meet when nobody says otherwise.
#pragma once

namespace vgpu::control {

/// The path that the field's programs know. Tests, and users who run a broker of their own, choose another.
inline constexpr const char* kDefaultSocket = "/run/vgpu/mediator.sock";
/// Where stubs and programs of the field look for it: in /tmp as they see it, which for a QEMU may be its chroot's.
inline constexpr const char* kFieldSocketName = "vgpu-mediator.sock";
/// In a virtual machine: vgpu-guestd, which speaks the broker's part towards the clients.
inline constexpr const char* kGuestSocket = "/run/vgpu/guestd.sock";

}  // namespace vgpu::control
