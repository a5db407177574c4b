// Operands as written become operands of a decoded instruction (the second half of BodyParser).
#include <algorithm>
#include <unordered_map>

#include "worker/sim/exec/select.hpp"
#include "worker/sim/ptx/body_parser.hpp"

namespace vgpu::sim::ptx {
namespace {

/// Constants of one module: 256 bytes each once loaded.
constexpr std::size_t max_constants = 1u << 18;

const std::unordered_map<std::string_view, Special>& specials() {
  using enum Special;
  static const std::unordered_map<std::string_view, Special> names = {
      {"%tid.x", tid_x},
      {"%tid.y", tid_y},
      {"%tid.z", tid_z},
      {"%tid.w", zero},
      {"%ntid.x", ntid_x},
      {"%ntid.y", ntid_y},
      {"%ntid.z", ntid_z},
      {"%ntid.w", zero},
      {"%ctaid.x", ctaid_x},
      {"%ctaid.y", ctaid_y},
      {"%ctaid.z", ctaid_z},
      {"%nctaid.x", nctaid_x},
      {"%nctaid.y", nctaid_y},
      {"%nctaid.z", nctaid_z},
      {"%laneid", laneid},
      {"%warpid", warpid},
      {"%nwarpid", nwarpid},
      {"%smid", smid},
      {"%nsmid", nsmid},
      {"%gridid", gridid},
      {"%lanemask_eq", lanemask_eq},
      {"%lanemask_le", lanemask_le},
      {"%lanemask_lt", lanemask_lt},
      {"%lanemask_ge", lanemask_ge},
      {"%lanemask_gt", lanemask_gt},
      {"%dynamic_smem_size", dynamic_smem_size},
      {"%total_smem_size", total_smem_size},
      {"%aggr_smem_size", total_smem_size},
      {"%clock", clock},
      {"%clock_hi", clock_hi},
      {"%clock64", clock64},
      {"%globaltimer", globaltimer},
      {"%globaltimer_lo", globaltimer_lo},
      {"%globaltimer_hi", globaltimer_hi},
      {"%is_explicit_cluster", zero},
      {"%cluster_ctarank", zero},
      {"%cluster_nctarank", one},
      {"%cluster_ctaid.x", zero},
      {"%cluster_ctaid.y", zero},
      {"%cluster_ctaid.z", zero},
      {"%cluster_nctaid.x", one},
      {"%cluster_nctaid.y", one},
      {"%cluster_nctaid.z", one},
      {"%clusterid.x", ctaid_x},
      {"%clusterid.y", ctaid_y},
      {"%clusterid.z", ctaid_z},
      {"%nclusterid.x", nctaid_x},
      {"%nclusterid.y", nctaid_y},
      {"%nclusterid.z", nctaid_z},
  };
  return names;
}

}  // namespace

Operand ConstantPool::add(const Constant& constant, std::uint32_t line) {
  const Key key{static_cast<std::uint32_t>(constant.kind), constant.symbol, constant.value};
  if (const auto found = known_.find(key); found != known_.end()) return {OperandKind::constant, found->second};
  if (module_.constants.size() == max_constants) fail(line, "the module has too many different constants");
  const auto index = static_cast<std::uint32_t>(module_.constants.size());
  module_.constants.push_back(constant);
  known_.emplace(key, index);
  return {OperandKind::constant, index};
}

Operand BodyParser::special(std::string_view word) const {
  const auto found = specials().find(word);
  if (found == specials().end()) return {};
  return {OperandKind::special, static_cast<std::uint32_t>(found->second)};
}

Operand BodyParser::address_of(const Written& written) {
  const auto offset = static_cast<std::uint64_t>(written.offset);
  if (const Name* name = find_name(written.name); name != nullptr) {
    switch (name->kind) {
      case Name::Kind::variable:
        return constants_.add({Constant::Kind::variable, name->index, offset}, written.line);
      case Name::Kind::local:
        return {OperandKind::local, static_cast<std::uint32_t>(name->index + offset)};
      default:
        return constants_.add({Constant::Kind::value, 0, name->index + offset}, written.line);
    }
  }
  if (const auto found = module_.variable_index.find(written.name); found != module_.variable_index.end()) {
    return constants_.add({Constant::Kind::variable, found->second, offset}, written.line);
  }
  if (const auto found = module_.function_index.find(written.name); found != module_.function_index.end()) {
    return constants_.add({Constant::Kind::function, found->second, 0}, written.line);
  }
  if (const Operand operand = special(written.name)) return operand;
  if (written.name == "WARP_SZ") return constants_.add({Constant::Kind::value, 0, 32}, written.line);
  fail(written.line, "this name is not declared", written.name);
}

Operand BodyParser::value(const Written& written, Type type) {
  switch (written.kind) {
    case Written::Kind::reg:
      return written.reg;
    case Written::Kind::literal:
      return constants_.add({Constant::Kind::value, 0, literal_bits(written.literal, written.negative, type)},
                            written.line);
    case Written::Kind::symbol:
      return address_of(written);
    default:
      fail(written.line, "a value is expected here");
  }
}

Operand BodyParser::destination(const Written& written) {
  if (written.kind == Written::Kind::sink) return {};
  if (written.kind != Written::Kind::reg) fail(written.line, "a register is expected here", written.name);
  return written.reg;
}

void BodyParser::need(const std::vector<Written>& operands, std::size_t least, std::size_t most,
                      const Token& head) const {
  if (operands.size() < least || operands.size() > most) fail(head.line, "wrong number of operands", head.text);
}

std::vector<Operand> BodyParser::values(const Written& written, Type type, std::size_t count) {
  std::vector<Operand> out;
  if (written.kind == Written::Kind::vector) {
    for (const Written& element : written.elements)
      out.push_back(element.kind == Written::Kind::sink ? Operand{} : value(element, type));
  } else {
    out.push_back(written.kind == Written::Kind::sink ? Operand{} : value(written, type));
  }
  if (out.size() != count) fail(written.line, "this vector has the wrong length");
  return out;
}

void BodyParser::memory(Instruction& in, const Written& written) {
  if (!written.in_brackets || !written.elements.empty()) fail(written.line, "an address in brackets is expected here");
  if (written.kind == Written::Kind::reg) {
    in.src[0] = written.reg;
    in.offset = written.offset;
    if (in.space == Space::param) in.space = Space::kernel_param;
    return;
  }
  if (written.kind == Written::Kind::literal) {
    in.src[0] = value(written, Type::u64);
    in.offset = written.offset;
    return;
  }
  const Name* name = written.kind == Written::Kind::symbol ? find_name(written.name) : nullptr;
  if (in.space == Space::param ||
      (name != nullptr && (name->kind == Name::Kind::in_param || name->kind == Name::Kind::call_param))) {
    if (name == nullptr || (name->kind != Name::Kind::in_param && name->kind != Name::Kind::call_param))
      fail(written.line, "a parameter is expected here", written.name);
    in.space = name->kind == Name::Kind::call_param ? Space::frame_call
               : function_.is_entry                 ? Space::kernel_param
                                                    : Space::frame_in;
    in.src[0] = {};
    in.offset = name->index + written.offset;
    return;
  }
  in.src[0] = address_of(written);
}

void BodyParser::build(Instruction& in, const InstructionWords& words, std::vector<Written>& operands,
                       const Token& head) {
  switch (words.row.shape) {
    case Shape::plain:
      build_plain(in, words, operands, head);
      break;
    case Shape::move:
      need(operands, 2, 2, head);
      build_move(in, operands);
      break;
    case Shape::load:
    case Shape::store:
      need(operands, 2, 2, head);
      build_load_store(in, operands);
      break;
    case Shape::texture:
      need(operands, 2, 3, head);
      build_texture(in, operands);
      break;
    case Shape::atomic:
      need(operands, 3, 4, head);
      build_atomic(in, operands);
      break;
    case Shape::reduction:
      need(operands, 2, 2, head);
      build_atomic(in, operands);
      break;
    case Shape::compare:
      need(operands, 3, 4, head);
      build_compare(in, operands);
      break;
    case Shape::barrier:
      need(operands, 0, 4, head);
      build_barrier(in, operands);
      break;
    case Shape::branch:
      need(operands, 1, 2, head);
      build_branch(in, operands);
      break;
    default:
      need(operands, 0, 0, head);
      break;
  }
  const bool control = exec::is_control(in);
  if (!control) in.exec = exec::select_handler(in);
  if (control ? !exec::supports_control(in) : in.exec == nullptr)
    fail(head.line, "this instruction is not supported", head.text);
}

void BodyParser::build_plain(Instruction& in, const InstructionWords& words, std::vector<Written>& operands,
                             const Token& head) {
  const bool with_mask = in.sync && (in.op == Op::shfl || in.op == Op::vote || in.op == Op::match ||
                                     in.op == Op::redux || in.op == Op::elect);
  std::size_t sources = words.row.sources + (with_mask ? 1u : 0u);
  if (in.op == Op::lop3) sources = operands.size() - (operands.empty() ? 0 : 1);
  if (in.op == Op::lop3 && sources != 4) fail(head.line, "this instruction is not supported", head.text);
  need(operands, sources + 1, sources + 1, head);
  in.dst[0] = destination(operands[0]);
  in.dst[1] = operands[0].second;
  const Type type = in.op == Op::cvt && in.from != Type::none ? in.from : in.type;
  for (std::size_t i = 0; i < sources; ++i) {
    const bool is_count = i > 0 && (in.op == Op::shl || in.op == Op::shr || in.op == Op::bfe || in.op == Op::bfi);
    const Type slot = i == 2 && in.op == Op::selp   ? Type::pred
                      : i == 2 && in.op == Op::slct ? in.from
                      : is_count                    ? Type::u32
                                                    : type;
    in.src[i] = value(operands[i + 1], slot);
    if (operands[i + 1].inverted) in.combine = Variant::not_operand;
  }
}

void BodyParser::build_move(Instruction& in, std::vector<Written>& operands) {
  Written& to = operands[0];
  Written& from = operands[1];
  if (to.kind == Written::Kind::vector || from.kind == Written::Kind::vector) {
    const bool unpack = to.kind == Written::Kind::vector;
    const std::size_t count = unpack ? to.elements.size() : from.elements.size();
    if ((unpack && from.kind == Written::Kind::vector) || (count != 2 && count != 4))
      fail(to.line, "this move is not supported");
    in.vector = static_cast<std::uint8_t>(count);
    in.variant = unpack ? Variant::left : Variant::right;
    if (unpack) {
      for (std::size_t i = 0; i < count; ++i) in.dst[i] = destination(to.elements[i]);
      in.src[0] = value(from, in.type);
    } else {
      in.dst[0] = destination(to);
      for (std::size_t i = 0; i < count; ++i) in.src[i] = value(from.elements[i], Type::b32);
    }
    return;
  }
  in.dst[0] = destination(to);
  in.src[0] = value(from, in.type);
}

void BodyParser::build_load_store(Instruction& in, std::vector<Written>& operands) {
  if (in.op == Op::ld) {
    memory(in, operands[1]);
    Written& to = operands[0];
    if (to.kind != Written::Kind::vector && in.vector == 1) {
      in.dst[0] = destination(to);
      return;
    }
    if (to.elements.size() != in.vector) fail(to.line, "this vector has the wrong length");
    for (std::size_t i = 0; i < in.vector; ++i) in.dst[i] = destination(to.elements[i]);
    return;
  }
  memory(in, operands[0]);
  const std::vector<Operand> stored = values(operands[1], in.type, in.vector);
  for (std::size_t i = 0; i < in.vector; ++i) {
    if (!stored[i]) fail(operands[1].line, "a value is expected here");
    in.src[i + 1] = stored[i];
  }
}

/// "[object, {place}]"
void BodyParser::take_place(Instruction& in, const Written& written) {
  if (!written.in_brackets || written.kind != Written::Kind::reg || written.offset != 0)
    fail(written.line, "the number of a texture or surface is expected here", written.name);
  if (written.elements.empty() || written.elements.size() > 4) fail(written.line, "this place has the wrong length");
  in.src[0] = written.reg;
  const Type type = in.op == Op::tex ? in.from : Type::s32;
  for (std::size_t i = 0; i < written.elements.size(); ++i) {
    const Written& element = written.elements[i];
    in.src[i + 1] = element.kind == Written::Kind::sink ? Operand{} : value(element, type);
  }
}

/// What a store writes lies in `dst`, for `src` is full with the place.
void BodyParser::build_texture(Instruction& in, std::vector<Written>& operands) {
  const bool stores = in.op == Op::sust;
  if (operands.size() != (in.has_level ? 3u : 2u)) fail(in.line, "wrong number of operands");
  take_place(in, operands[stores ? 0 : 1]);
  const Written& data = operands[stores ? 1 : 0];
  if (stores) {
    const std::vector<Operand> stored = values(data, in.type, in.vector);
    std::copy(stored.begin(), stored.end(), in.dst.begin());
  } else {
    if (data.kind != Written::Kind::vector && in.vector == 1) {
      in.dst[0] = destination(data);
    } else {
      if (data.elements.size() != in.vector) fail(data.line, "this vector has the wrong length");
      for (std::size_t i = 0; i < in.vector; ++i) in.dst[i] = destination(data.elements[i]);
    }
  }
  if (in.has_level) in.src[5] = value(operands[2], in.from);
}

void BodyParser::build_atomic(Instruction& in, std::vector<Written>& operands) {
  std::size_t at = 0;
  if (in.op == Op::atom) in.dst[0] = destination(operands[at++]);
  memory(in, operands[at++]);
  const bool three = in.variant == Variant::cas;
  if (operands.size() != at + (three ? 2 : 1)) fail(in.line, "wrong number of operands");
  for (std::size_t i = 1; at < operands.size(); ++at, ++i) in.src[i] = value(operands[at], in.type);
}

void BodyParser::build_compare(Instruction& in, std::vector<Written>& operands) {
  const Type sources = in.op == Op::set ? in.from : in.type;
  in.dst[0] = destination(operands[0]);
  in.dst[1] = operands[0].second;
  in.src[0] = value(operands[1], sources);
  in.src[1] = value(operands[2], sources);
  if ((operands.size() == 4) != (in.combine != Variant::none)) fail(in.line, "wrong number of operands");
  if (operands.size() < 4) return;
  in.src[2] = value(operands[3], Type::pred);
  in.wide = operands[3].inverted;  // setp: the combined predicate is negated
}

void BodyParser::build_barrier(Instruction& in, std::vector<Written>& operands) {
  const bool reduces = in.variant == Variant::popc || in.variant == Variant::and_ || in.variant == Variant::or_;
  std::size_t at = 0;
  if (reduces) {
    if (operands.size() < 3) fail(in.line, "wrong number of operands");
    in.dst[0] = destination(operands[at++]);
    in.src[2] = value(operands.back(), Type::pred);
    in.wide = operands.back().inverted;
    operands.pop_back();
  }
  for (std::size_t i = 0; at < operands.size() && i < 2; ++at, ++i) in.src[i] = value(operands[at], Type::u32);
  if (at != operands.size()) fail(in.line, "wrong number of operands");
  if (in.variant == Variant::arrive && !in.src[1]) fail(in.line, "bar.arrive needs a number of threads");
}

void BodyParser::build_branch(Instruction& in, std::vector<Written>& operands) {
  const bool indexed = in.op == Op::brx;
  if (operands.size() != (indexed ? 2u : 1u)) fail(in.line, "wrong number of operands");
  if (indexed) in.src[0] = value(operands[0], Type::u32);
  const Written& label = operands.back();
  if (label.kind != Written::Kind::symbol) fail(in.line, "a label is expected here", label.name);
  PendingBranch branch;
  branch.instruction = static_cast<std::uint32_t>(function_.code.size());
  branch.label = label.name;
  branch.line = in.line;
  scopes_.back().pending.push_back(branch);
}

}  // namespace vgpu::sim::ptx
