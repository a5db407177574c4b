// The software GPU's PTX parser: lexer, declarations, bodies. What it accepts keeps the promises that the interpreter
// relies on without looking again.
#include <cstdlib>

#include "tests/fuzz/input.hpp"
#include "worker/sim/ptx/parser.hpp"

namespace {

using namespace vgpu::sim::ptx;

void need(bool kept) {
  if (!kept) std::abort();
}

void check_operand(const Module& module, const Function& function, const Operand& operand) {
  if (operand.kind == OperandKind::reg) need(operand.index < function.registers);
  if (operand.kind == OperandKind::constant) need(operand.index < module.constants.size());
  if (operand.kind == OperandKind::special) need(operand.index < static_cast<uint32_t>(Special::count));
}

void check_instruction(const Module& module, const Function& function, const Instruction& in) {
  check_operand(module, function, in.guard);
  for (const Operand& operand : in.dst) {
    check_operand(module, function, operand);
    need(operand.kind == OperandKind::none || operand.kind == OperandKind::reg);
  }
  for (const Operand& operand : in.src) check_operand(module, function, operand);
  if (in.op == Op::bra) need(in.target < function.code.size());
  if (in.op == Op::brx) need(in.target < function.branch_tables.size());
  if (in.op == Op::call) need(in.target < function.call_sites.size());
  need(in.vector == 1 || in.vector == 2 || in.vector == 4);
  need(in.space != Space::param || in.op != Op::ld);
}

void check_moves(const std::vector<ParameterMove>& moves, uint32_t room) {
  for (const ParameterMove& move : moves) need(uint64_t{move.caller_offset} + move.size <= room);
}

void check_function(const Module& module, const Function& function) {
  for (const auto* list : {&function.parameters, &function.results})
    for (const Parameter& parameter : *list)
      need(uint64_t{parameter.offset} + parameter.size <= function.frame_in_bytes);
  need(function.parameter_bytes <= function.frame_in_bytes);
  if (!function.defined) return;
  need(!function.code.empty() && function.code.back().op == Op::ret);
  for (const Instruction& in : function.code) check_instruction(module, function, in);
  for (const auto& table : function.branch_tables)
    for (const uint32_t entry : table) need(entry < function.code.size());
  for (const CallSite& site : function.call_sites) {
    check_operand(module, function, site.target);
    if (!site.indirect) need(site.callee < module.functions.size());
    check_moves(site.arguments, function.call_bytes);
    check_moves(site.results, function.call_bytes);
  }
}

void check_reference(const Module& module, const SymbolReference& symbol) {
  need(symbol.index <
       (symbol.kind == SymbolReference::Kind::variable ? module.variables.size() : module.functions.size()));
}

void check_variable(const Module& module, const Variable& variable) {
  need(variable.initial.size() <= variable.size);
  for (const Relocation& relocation : variable.relocations) {
    check_reference(module, relocation.symbol);
    need(uint64_t{relocation.offset} + 8 <= variable.initial.size());
  }
}

void check(const Module& module) {
  for (const Function& function : module.functions) check_function(module, function);
  for (const Variable& variable : module.variables) check_variable(module, variable);
  for (const Constant& constant : module.constants) {
    if (constant.kind == Constant::Kind::variable) need(constant.symbol < module.variables.size());
    if (constant.kind == Constant::Kind::function) need(constant.symbol < module.functions.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = parse_ptx(vgpu::fuzz::Input(data, size).text());
  if (parsed) check(parsed.value());
  return 0;
}
