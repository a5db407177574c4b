// Every operation's structure: what it encodes it decodes, and neither a byte less nor one more.
#include <catch2/catch.hpp>
#include <vector>

#include "common/api/ops.gen.hpp"

using namespace vgpu;

namespace {

template <typename Op>
std::vector<uint8_t> encode(const Op& op) {
  std::vector<uint8_t> buffer(65536);
  wire::Writer out{std::span<uint8_t>(buffer)};
  op.encode(out);
  REQUIRE_FALSE(out.failed());
  buffer.resize(out.size());
  return buffer;
}

template <typename Op>
bool decode(Op& op, wire::Bytes bytes) {
  wire::Reader in(bytes);
  return op.decode(in);
}

template <typename Op>
void check_length(const Op& op) {
  const auto bytes = encode(op);
  Op decoded;
  CHECK(decode(decoded, bytes));
  CHECK(encode(decoded) == bytes);
  auto longer = bytes;
  longer.push_back(0);
  CHECK_FALSE(decode(decoded, longer));
  for (size_t length = 0; length < bytes.size(); ++length)
    CHECK_FALSE(decode(decoded, wire::Bytes(bytes).first(length)));
}

}  // namespace

TEST_CASE("operations") {
  const uint8_t data[] = {9, 8, 7};
  check_length(api::ops::DriverFactsReply{13000, 2});
  check_length(api::ops::ExtentOpen{0x400000, 0x200000});
  check_length(api::ops::PrimaryRetain{1, {0x100000000001}});
  check_length(api::ops::ModuleGetFunction{{1}, {2}, "kernel"});
  check_length(api::ops::CopyToDevice{1, 2, 3, {4}});
  check_length(api::ops::CopyToDeviceInline{1, {2}, data});
  check_length(api::ops::Launch{{1}, 2, 3, 4, 5, 6, 7, 8, {9}, data, data});
  check_length(api::ops::StreamCreate{{1}, 2, -5});
  check_length(api::ops::EventElapsedReply{0.25f});
  check_length(api::ops::StreamCaptureDependencies{{1}, 50});
  check_length(api::ops::StreamCaptureDependenciesReply{1, 2, 3, data});
  check_length(api::ops::GraphNodesReply{3, data});
  check_length(api::ops::GraphAddEmptyNode{{1}, data});
  check_length(api::ops::GraphAddEmptyNodeReply{{1}});
  check_length(api::ops::AddressReserve{1, 2, 3});
  check_length(api::ops::AddressReserveReply{1});
  check_length(api::ops::AddressFree{1, 2});
  check_length(api::ops::MemoryCreate{{1}, 2, 3, 4, 5, -6, 7});
  check_length(api::ops::MemoryRelease{{1}});
  check_length(api::ops::MemoryRetain{{1}, 2});
  check_length(api::ops::MemoryMap{1, 2, 3, {4}});
  check_length(api::ops::MemoryUnmap{1, 2});
  check_length(api::ops::MemorySetAccess{1, 2, data});
  check_length(api::ops::MemoryGetAccess{1, 2, -3});
  check_length(api::ops::MemoryGranularity{1, 2, 3, -4, 5, 6});
  check_length(api::ops::MemoryPropertiesReply{1, 2, 3, -4, 5});
  check_length(api::ops::TensorMapTiled{1, 2, 3, data, data, data, data, 4, 5, 6, 7});
  check_length(api::ops::TensorMapTiledReply{data});
  check_length(api::ops::TensorMapIm2col{1, 2, 3, data, data, data, data, 4, 5, data, 6, 7, 8, 9});
  check_length(api::ops::TensorMapReplace{data, 1});
  check_length(api::ops::GraphAddNode{{1}, 2, data, data});
  check_length(api::ops::GraphSetNode{{1}, 2, data});
  check_length(api::ops::ExecSetNode{{1}, {2}, 3, data});
  check_length(api::ops::GraphLink{{1}, 2, data});
  check_length(api::ops::GraphClone{{1}, {2}});
  check_length(api::ops::ExecUpdateReply{1, 2, {3}, {4}});
  check_length(api::ops::GraphNodeLinksReply{1, data});
  check_length(api::ops::GraphEdges{{1}, 2});
  check_length(api::ops::GraphChild{{1}, {2}});
  check_length(api::ops::StreamBeginCaptureTo{{1}, {2}, 3, data});
  check_length(api::ops::StreamUpdateDependencies{{1}, 2, data});
  check_length(api::ops::ConditionalCreate{{1}, 2, 3});
  check_length(api::ops::NodeSetAttribute{{1}, 2, data});
  check_length(api::ops::ExecEnableNode{{1}, {2}, 3});
  check_length(api::ops::GraphNodeSheetReply{1, data});
  check_length(api::ops::GraphInstantiateWithOutcome{{1}, {2}, 3});
  check_length(api::ops::GraphInstantiateWithOutcomeReply{1, 2, {3}});
  check_length(api::ops::CaptureGraph{{1}, {2}});
  check_length(api::ops::IpcMemoryGet{1});
  check_length(api::ops::IpcMemoryGetReply{data});
  check_length(api::ops::IpcMemoryOpen{data, 1});
  check_length(api::ops::IpcMemoryOpenReply{1, 2});
  check_length(api::ops::IpcMemoryClose{1});
  check_length(api::ops::IpcEventGet{{1}});
  check_length(api::ops::IpcEventOpen{data, {1}});
  check_length(api::ops::MemoryExport{{1}});
  check_length(api::ops::MemoryImport{data, {1}});
  check_length(api::ops::MemoryImportReply{-1});
  check_length(api::ops::GraphMemoryGet{1, 2});
  check_length(api::ops::GraphMemoryGetReply{1});
  check_length(api::ops::GraphMemorySet{1, 2, 3});
  check_length(api::ops::PoolSetAccess{{1}, data});
  check_length(api::ops::PoolExport{{1}});
  check_length(api::ops::PoolExportReply{data});
  check_length(api::ops::PoolImport{data, {1}});
  check_length(api::ops::PoolExportPointer{1});
  check_length(api::ops::PoolExportPointerReply{data});
  check_length(api::ops::PoolImportPointer{{1}, data});
  check_length(api::ops::PoolImportPointerReply{1, 2});
  check_length(api::ops::LinkCreate{1, 2, 3, data});
  check_length(api::ops::LinkAdd{1, 2, 3, 4, 5, data, "piece"});
  check_length(api::ops::LinkAddReply{1, 2, 0.5f});
  check_length(api::ops::LinkComplete{1, 2});
  check_length(api::ops::LinkCompleteReply{1, 2, 3, 0.5f});
  check_length(api::ops::LinkImage{1, 2, 3});
  check_length(api::ops::LinkDestroy{1});
  check_length(api::ops::StreamValue{1, 2, 3, 4, 5, {6}});
  check_length(api::ops::StreamBatch{{1}, 2, 3, data});
  check_length(api::ops::AtomicCapabilities{1, 2, 3, data});
  check_length(api::ops::AtomicCapabilitiesReply{data});
}

TEST_CASE("bytes above their cap are refused") {
  const std::vector<uint8_t> data(881);
  api::ops::CopyToHostInlineWaitReply reply;
  CHECK_FALSE(decode(reply, encode(api::ops::CopyToHostInlineWaitReply{data})));
  CHECK(decode(reply, encode(api::ops::CopyToHostInlineWaitReply{wire::Bytes(data).first(880)})));
}

TEST_CASE("the bytes of an operation are settled") {
  // What a released version has sent, all later ones must understand.
  CHECK(encode(api::ops::StreamCreate{{0x0102}, 1, -1}) ==
        std::vector<uint8_t>{2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff});
  CHECK(static_cast<unsigned>(api::Op::launch) == 120);
  CHECK(static_cast<unsigned>(api::Op::copy_to_device) == 70);
}

TEST_CASE("operations of several devices and of their parts") {
  const uint8_t data[] = {9, 8, 7, 6, 5, 4};
  check_length(api::ops::PeerEnable{{1}, 2});
  check_length(api::ops::PeerDisable{{1}});
  check_length(api::ops::CopyPeer{1, {2}, 3, {4}, 5, 6, {7}});
  check_length(api::ops::CopyPeerSync{1, {2}, 3, {4}, 5, 6, {7}});
  check_length(api::ops::Copy3dPeer{1, 2, {3}, 4, 5, 6, 7, 8, {9}, 10, 11, 12, 13, 14, 15, 16, {17}});
  check_length(api::ops::DeviceResource{1, 2});
  check_length(api::ops::DeviceResourceReply{1, data});
  check_length(api::ops::ContextResource{{1}, 2});
  check_length(api::ops::ContextResourceReply{1, data});
  check_length(api::ops::ResourceSplit{1, 2, 3, 4, 5});
  check_length(api::ops::ResourceSplitReply{1, 2, data});
  check_length(api::ops::ResourceDescribe{data});
  check_length(api::ops::ResourceDescribeReply{1});
  check_length(api::ops::GreenCreate{1, 2, 3, {4}});
  check_length(api::ops::GreenDestroy{{1}});
  check_length(api::ops::GreenStreamCreate{{1}, 2, 3, {4}});
  check_length(api::ops::ContextRecordEvent{{1}, {2}});
  check_length(api::ops::ContextWaitEvent{{1}, {2}});
}
