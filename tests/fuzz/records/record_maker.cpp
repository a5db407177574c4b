#include "tests/fuzz/records/record_maker.hpp"

#include "tests/fuzz/records/fake_gpu.hpp"
#include "tests/fuzz/records/shapes.gen.hpp"

namespace vgpu::fuzz {
namespace {

// First byte of a record: the row, or one of these.
constexpr uint8_t kPoke = 0xff;
constexpr uint8_t kRaw = 0xfe;
// Second byte.
constexpr uint8_t kPosted = 1;
constexpr uint8_t kOtherContext = 2;
constexpr uint8_t kNoContext = 4;
constexpr uint8_t kOtherSlot = 8;
constexpr uint8_t kSpoilt = 0xe0;  // all of these bits: a record that breaks the protocol

// A value: below this the pool's, else the eight bytes that follow.
constexpr uint8_t kFirstLiteral = 0xc0;

constexpr uint64_t kOffsets[] = {VGPU_HEAP_OFFSET,
                                 VGPU_HEAP_OFFSET + 64,
                                 VGPU_HEAP_OFFSET + 4096,
                                 VGPU_HEAP_OFFSET + 4,
                                 kWindowSize - 4096,
                                 kWindowSize - 64,
                                 kWindowSize - 4,
                                 kWindowSize - 1,
                                 kWindowSize,
                                 VGPU_HEAP_OFFSET - 4,
                                 VGPU_SLOTS_OFFSET,
                                 0,
                                 UINT64_MAX - 63,
                                 UINT64_MAX};
constexpr uint64_t kSizes[] = {0,
                               1,
                               4,
                               16,
                               63,
                               64,
                               512,
                               880,
                               881,
                               4096,
                               65536,
                               VGPU_EXTENT_ALIGN - 4096,
                               VGPU_EXTENT_ALIGN,
                               VGPU_EXTENT_ALIGN + 1,
                               kDeviceStride,
                               uint64_t{1} << 32,
                               uint64_t{1} << 63,
                               UINT64_MAX - 4095,
                               UINT64_MAX};
constexpr uint64_t kSmall[] = {0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1u << 20, 4096};

template <size_t count>
uint64_t pick(const uint64_t (&values)[count], uint8_t choice) {
  return values[choice % count];
}

void put(std::vector<uint8_t>& body, uint64_t value, size_t size) {
  const size_t at = body.size();
  body.resize(at + size);
  std::memcpy(body.data() + at, &value, size);
}

}  // namespace

std::optional<Made> RecordMaker::next(Poke& poke) {
  poke = {};
  if (input_.empty()) return std::nullopt;
  const uint8_t head = input_.byte();
  if (head == kPoke) {
    poke.offset = VGPU_HEAP_OFFSET + uint64_t{input_.byte()} * 64;
    const size_t low = input_.byte();
    poke.bytes = input_.take(low | size_t{input_.byte()} << 8);
    return Made{};
  }
  if (head == kRaw) return make_raw();
  return make(kShapes[head % std::size(kShapes)]);
}

Made RecordMaker::make_raw() {
  Made made;
  made.header.op = static_cast<uint16_t>(input_.byte() | input_.byte() << 8);
  if (made.header.op == VGPU_OP_PAD) made.header.op = 1;
  made.header.context = handle(wire::Kind::context);
  const auto bytes = input_.take(input_.byte());
  made.body.assign(bytes.begin(), bytes.end());
  for (const Shape& shape : kShapes)
    if (shape.number == made.header.op) made.shape = &shape;
  return made;
}

Made RecordMaker::make(const Shape& shape) {
  Made made;
  made.shape = &shape;
  made.header.op = shape.number;
  const uint8_t flags = input_.byte();
  if ((flags & kPosted) != 0 && shape.may_be_posted) made.header.flags = VGPU_RECORD_POSTED;
  if ((flags & kNoContext) == 0)
    made.header.context = wire::make_handle(wire::Kind::context, 1, (flags & kOtherContext) != 0 ? 1 : 0);
  made.header.slot = (flags & kOtherSlot) != 0 ? 1 : 0;  // one thread further
  for (const Field& field : shape.fields) put_field(field, made.body);
  if ((flags & kSpoilt) == kSpoilt) spoil(made);
  return made;
}

void RecordMaker::spoil(Made& made) {
  const uint8_t how = input_.byte();
  if (how % 4 == 0)
    made.header.flags = static_cast<uint16_t>(1 + how / 4);
  else if (how % 4 == 1)
    made.header.slot = VGPU_SLOT_COUNT + how / 4u;
  else if (how % 4 == 2)
    made.body.push_back(how);
  else if (!made.body.empty())
    made.body.resize(made.body.size() - 1 - how / 4u % made.body.size());
}

void RecordMaker::put_field(const Field& field, std::vector<uint8_t>& body) {
  switch (field.type) {
    case Type::u32:
    case Type::i32:
    case Type::f32:
      return put(body, plain(field.values), 4);
    case Type::u64:
      return put(body, plain(field.values), 8);
    case Type::handle:
      return put(body, handle(field.kind), 8);
    case Type::bytes:
    case Type::text:
      return put_bytes(field.cap, body);
    case Type::raw: {
      const auto bytes = input_.take(field.cap);
      body.insert(body.end(), bytes.begin(), bytes.end());
      body.resize(body.size() + field.cap - bytes.size());
    }
  }
}

uint64_t RecordMaker::handle(wire::Kind kind) {
  const uint8_t choice = input_.byte();
  if (choice < 0xe0) return wire::make_handle(kind, 1 + (choice >> 3 & 3), choice & 7);
  switch (choice) {
    case 0xe0:
      return 0;
    case 0xe1:
      return 1;  // the legacy stream
    case 0xe2:
      return 2;  // the per-thread stream, which has no place here
    case 0xe3:
      return UINT64_MAX;
    case 0xe4:
      return wire::make_handle(kind, 1, 2000);
    case 0xe5:
      return wire::make_handle(kind, 1, 0) | uint64_t{1} << 48;
    default:
      return wire::make_handle(static_cast<wire::Kind>(choice % wire::kKinds), 1, 0);
  }
}

uint64_t RecordMaker::plain(Values values) {
  const uint8_t choice = input_.byte();
  if (choice >= kFirstLiteral) return input_.word();
  switch (values) {
    case Values::offset:
      return pick(kOffsets, choice);
    case Values::size:
      return pick(kSizes, choice);
    case Values::place:
      return place(choice);
    case Values::small:
      break;
  }
  return choice < 0xa0 ? choice : pick(kSmall, choice);
}

uint64_t RecordMaker::place(uint8_t choice) const {
  constexpr uint64_t kSteps[] = {0, 1, 64, 4096};
  const uint64_t step = kSteps[choice >> 4 & 3];
  if (choice >= 0x80) return window_ + pick(kOffsets, choice & 15) - step;  // as an address of the window
  if (choice >= 0x40) return pick(kOffsets, choice & 15) + step;            // as an offset in it
  return kDeviceMemory + (choice & 7) * kDeviceStride + ((choice & 8) != 0 ? kDeviceStride - step : step);
}

void RecordMaker::put_bytes(size_t cap, std::vector<uint8_t>& body) {
  const uint8_t choice = input_.byte();
  if (choice < 0xf0) {
    const auto bytes = input_.take(choice);
    put(body, bytes.size(), 4);
    body.insert(body.end(), bytes.begin(), bytes.end());
    return;
  }
  // As long as it may be, or one more; or a length that lies.
  const size_t size = choice == 0xf0 ? cap : choice == 0xf1 ? cap + 1 : choice * 8u;
  put(body, choice == 0xf2 ? UINT32_MAX : size, 4);
  body.resize(body.size() + size, input_.byte());
}

}  // namespace vgpu::fuzz
