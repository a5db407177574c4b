// What the device says of itself: the values that a driver 580 gives for an H200, less what this device cannot do.
#pragma once

#include <cstdint>

namespace vgpu::sim::api::facts {

constexpr int driver_version = 13000;
constexpr char device_name[] = "vGPU Software GPU";

/// By attribute number. Off: managed and pageable memory (83, 88, 89, 100, 101),
/// sharing by fabric (128, 129), RDMA (116, 117, 124), clusters (120), multicast (132), tensor
/// maps (127) and the like.
constexpr unsigned attribute_count = 148;
constexpr int attributes[attribute_count] = {
    0,        1024,      1024,     1024,  64,    2147483647, 65535, 65535,     49152,     65536,     32,     2147483647,
    65536,    1980000,   512,      1,     132,   0,          0,     1,         0,         131072,    131072, 65536,
    16384,    16384,     16384,    32768, 32768, 2048,       512,   1,         1,         6,         0,      0,
    3201000,  6016,      62914560, 2048,  3,     1,          32768, 2048,      1,         32768,     32768,  8192,
    8192,     32768,     0,        32,    32768, 32768,      2046,  32768,     131072,    65536,     16384,  16384,
    16384,    32768,     2048,     32768, 32768, 2048,       32768, 32768,     2046,      268435456, 131072, 65000,
    2097120,  32768,     32768,    9,     0,     32768,      1,     1,         1,         233472,    65536,  0,
    0,        0,         0,        2,     0,     0,          1,     1,         0,         0,         0,      1,
    1,        232448,    0,        1,     0,     0,          1,     1,         0,         0,         32,     1,
    39321600, 134217728, 0,        1024,  1,     1,          0,     1,         0,         0,         100,    1,
    0,        1,         1,        1,     0,     1,          4,     0,         0,         0,         0,      -1,
    0,        0,         0,        0,     0,     0,          0,     590680286, 415174878, 0,         0,      0,
    0,        0,         0,        0,
};

}  // namespace vgpu::sim::api::facts
