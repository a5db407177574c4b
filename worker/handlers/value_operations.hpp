// Operations on values in memory, as they travel: repeated CUstreamBatchMemOpParams, whose `alias` says that the
// address is an offset in the window.
#pragma once

#include <vector>

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// The address of a word of the client's memory, as the driver wants it.
CUresult find_word(Session& session, uint64_t address, bool in_window, size_t width, CUdeviceptr& word);
/// A batch as the driver may have it.
CUresult read_operations(Session& session, wire::Bytes bytes, std::vector<CUstreamBatchMemOpParams>& out);
/// The other way round, of one operation.
CUstreamBatchMemOpParams as_told(Session& session, const CUstreamBatchMemOpParams& operation);

}  // namespace vgpu::worker::handlers
