// What one client may have at a time. A program that behaves never meets these numbers; one that does not gets
// CUDA_ERROR_OUT_OF_MEMORY, and its worker stays small (docs/design/005-hostile-guest.md).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::worker {

// Handles, by kind. Guests number them densely, so a limit on the index is one on the count and on the table's size.
inline constexpr uint32_t kMostContexts = 64;           ///< one takes about 0.5 GiB of an H200: more do not fit
inline constexpr uint32_t kMostStreams = 8 * 1024;      ///< the driver queues 8,168 commands: one for each
inline constexpr uint32_t kMostEvents = 256 * 1024;     ///< frameworks keep some thousands
inline constexpr uint32_t kMostModules = 16 * 1024;     ///< a just-in-time compiler makes one a kernel
inline constexpr uint32_t kMostLibraries = 16 * 1024;   ///< one a fatbin of a program
inline constexpr uint32_t kMostFunctions = 256 * 1024;  ///< more than all kernels of the largest libraries together
inline constexpr uint32_t kMostGraphs = 32 * 1024;      ///< of graphs and of their executable forms, each
inline constexpr uint32_t kMostPools = 1024;
inline constexpr uint32_t kMostMemories = 256 * 1024;  ///< of 2 MiB at least each: more than a GPU has

/// Links in the making; just-in-time compilers have one a thread.
inline constexpr size_t kMostLinks = 128;  // each may have logs of 2 MiB
/// Bytes of input that they hold together: the driver keeps it, in the host's memory.
inline constexpr uint64_t kMostLinkInput = uint64_t{2} << 30;

/// Parts of devices, of 144 bytes each, the oldest of which are forgotten; and what the driver makes of lists of them,
/// which it never takes back.
inline constexpr size_t kMostResources = 16 * 1024;
inline constexpr size_t kMostDescriptions = 4096;

/// What a client gives to others of its VM. The broker keeps a hundred bytes for each.
inline constexpr size_t kMostOffers = 4096;

/// Reserved address ranges: frameworks take one a stream or memory pool.
inline constexpr size_t kMostReservations = 16 * 1024;

/// Ranges of device memory and extents: some 100 bytes each here.
inline constexpr size_t kMostRanges = 1024 * 1024;

/// Nodes of one graph, those of graphs inside it included: a graph may hold another twice, and that one a third twice.
inline constexpr uint64_t kMostNodesOfGraph = 256 * 1024;
/// Nodes of all graphs and executable graphs together: a driver takes about a KiB for each.
inline constexpr uint64_t kMostNodes = 16 * kMostNodesOfGraph;
/// Conditions of conditional nodes: some 50 bytes each.
inline constexpr size_t kMostConditions = 64 * 1024;
/// Graphs inside graphs: drivers walk them by recursion.
inline constexpr unsigned kDeepestGraph = 64;

/// Marks that the dispatcher watches. 1,020 threads may wait, and each has at most 4 staging chunks on their way. At
/// the limit no further records are taken until a mark is reached.
inline constexpr size_t kMostPendings = 8 * 1024;

/// Host functions on their way: twice what the driver's queues hold.
inline constexpr size_t kMostStepsQueued = 16 * 1024;
/// Host functions in graphs are kept for the session's life: some 80 bytes each.
inline constexpr size_t kMostStepsKept = 1024 * 1024;

/// Device printf text that the guest does not read: what is older is dropped.
inline constexpr uint64_t kMostUnreadText = 8 << 20;

/// Failing operations that the log names at level debug, of one client.
inline constexpr unsigned kMostDebugLines = 10'000;

}  // namespace vgpu::worker
