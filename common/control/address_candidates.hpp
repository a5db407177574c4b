// Where windows and device addresses may lie, as the broker offers it: data.
#pragma once

#include <array>

#include "common/control/messages.hpp"

namespace vgpu::control {

/// Each arena takes what the driver wants (2 TiB: a pool of twice an H200's memory and reservations of 1 TiB fit), the
/// window lies in the 512 GiB below it. All keep clear of AddressSanitizer's shadow (ends at 0x10007fff8000) and of
/// 0x200000000-0x400000000, which the driver needs. The last one is where ThreadSanitizer lets programs map.
inline constexpr std::array<AddressCandidate, 4> kAddressCandidates = {{
    {0x738000000000, 0x740000000000, 0x20000000000},
    {0x118000000000, 0x120000000000, 0x20000000000},
    {0x318000000000, 0x320000000000, 0x20000000000},
    {0x7f0000000000, 0x7e8000000000, 0x8000000000},
}};

}  // namespace vgpu::control
