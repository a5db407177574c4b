// What the parser makes of PTX text: functions as decoded instructions, variables, and a pool of constants. Immutable
// after parsing; addresses of global variables are bound when a context loads the module (device/loaded_module).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "worker/sim/ptx/opcode.hpp"
#include "worker/sim/ptx/types.hpp"

namespace vgpu::sim::exec {
class Warp;
}

namespace vgpu::sim::ptx {

enum class OperandKind : std::uint8_t {
  none,
  reg,       ///< index: register of the function
  constant,  ///< index: entry of Module::constants
  special,   ///< index: a Special
  local,     ///< index: byte offset in the frame's local memory
};

struct Operand {
  OperandKind kind = OperandKind::none;
  std::uint32_t index = 0;

  explicit operator bool() const { return kind != OperandKind::none; }
  bool operator==(const Operand&) const = default;
};

enum class Special : std::uint32_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  dynamic_smem_size,
  total_smem_size,
  zero,
  one,
  clock,
  clock_hi,
  clock64,
  globaltimer,
  globaltimer_lo,
  globaltimer_hi,  // read anew at each use
  count,
};

struct Instruction;
using LaneMask = std::uint32_t;
using Handler = void (*)(exec::Warp&, const Instruction&, LaneMask);

struct Instruction {
  Handler exec = nullptr;  ///< null for instructions that steer control flow or meet other lanes
  std::array<Operand, 4> dst{};
  std::array<Operand, 6> src{};
  std::int64_t offset = 0;   ///< added to src[0] by memory instructions
  std::uint32_t target = 0;  ///< instruction index, or index into Function::call_sites / branch_tables
  std::uint32_t line = 0;
  Operand guard{};
  bool guard_negated = false;
  Op op = Op::nop;
  Type type = Type::none;  ///< the (destination) type
  Type from = Type::none;  ///< second type: source of cvt, set, slct
  Space space = Space::generic;
  Rounding rounding = Rounding::none;
  bool to_integral = false;  ///< cvt with .rni, .rzi, .rmi, .rpi
  Compare compare = Compare::none;
  Variant variant = Variant::none;
  Variant combine = Variant::none;  ///< and, or, xor of setp
  std::uint8_t vector = 1;
  bool flush = false;
  bool saturate = false;
  bool high = false;
  bool wide = false;
  bool carry_out = false;
  bool approximate = false;
  bool sync = false;
  bool to_space = false;  ///< cvta.to
  Geometry geometry = Geometry::none;
  Outside outside = Outside::trap;
  bool has_level = false;  ///< tex.level: of a mipmapped array, in src[5]
};

/// A copy between a caller's call area and the callee's parameter area.
struct ParameterMove {
  std::uint32_t caller_offset = 0;
  std::uint32_t size = 0;
};

struct CallSite {
  bool indirect = false;
  std::uint32_t callee = 0;  ///< function index when direct
  Operand target{};          ///< register holding the address when indirect
  std::vector<ParameterMove> arguments;
  std::vector<ParameterMove> results;
};

struct Parameter {
  std::string name;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t align = 1;
};

/// Functions that the interpreter itself provides when a module declares them.
enum class Builtin : std::uint8_t { none, vprintf, assertfail, malloc, free };

struct Function {
  std::string name;
  bool is_entry = false;
  bool defined = false;
  Builtin builtin = Builtin::none;
  std::vector<Parameter> parameters;
  std::vector<Parameter> results;
  std::uint32_t parameter_bytes = 0;  ///< parameters only
  std::uint32_t frame_in_bytes = 0;   ///< parameters, then results
  std::uint32_t call_bytes = 0;       ///< .param variables declared in the body
  std::uint32_t local_bytes = 0;
  std::uint32_t shared_bytes = 0;  ///< static shared memory of a kernel, the module's part included
  std::uint32_t registers = 0;
  std::array<std::uint32_t, 3> max_block{0, 0, 0};
  bool block_required = false;  ///< .reqntid rather than .maxntid
  std::vector<Instruction> code;
  std::vector<CallSite> call_sites;
  std::vector<std::vector<std::uint32_t>> branch_tables;
};

struct SymbolReference {
  enum class Kind : std::uint8_t { variable, function } kind = Kind::variable;
  std::uint32_t index = 0;
};

/// An address inside an initialiser: the word at `offset` gets the symbol's address plus `addend`.
struct Relocation {
  std::uint32_t offset = 0;
  SymbolReference symbol;
  std::int64_t addend = 0;
};

struct Variable {
  std::string name;
  Space space = Space::global;
  std::uint32_t align = 1;
  std::uint64_t size = 0;
  std::uint64_t shared_offset = 0;  ///< of a .shared variable, in the block's shared memory
  bool external = false;
  bool in_function = false;           ///< not visible by name from outside
  std::uint32_t owner = 0;            ///< index of the function it was declared in
  std::vector<std::uint8_t> initial;  ///< shorter than size: the rest is zero
  std::vector<Relocation> relocations;
};

struct Constant {
  enum class Kind : std::uint8_t { value, variable, function } kind = Kind::value;
  std::uint32_t symbol = 0;
  std::uint64_t value = 0;  ///< the value, or the offset added to the symbol's address
};

struct Module {
  std::uint32_t version = 0;  ///< 10 * major + minor
  std::uint32_t target = 0;   ///< 90 for sm_90
  std::vector<Function> functions;
  std::vector<Variable> variables;
  std::vector<Constant> constants;
  std::uint32_t module_shared_bytes = 0;    ///< shared variables outside of kernels
  std::uint32_t dynamic_shared_offset = 0;  ///< where .extern .shared begins, the same for all kernels
  // Trees: the text chooses the names, and could choose them to have one hash.
  std::map<std::string, std::uint32_t, std::less<>> function_index;
  std::map<std::string, std::uint32_t, std::less<>> variable_index;
};

}  // namespace vgpu::sim::ptx
