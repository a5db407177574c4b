#include "worker/sim/ptx/body_parser.hpp"

#include <algorithm>

namespace vgpu::sim::ptx {
namespace {

constexpr std::size_t max_scopes = 64;
constexpr std::uint32_t max_registers = 1u << 16;      ///< of one function: 256 bytes each per warp and call
constexpr std::size_t max_instructions = 2u << 20;     ///< of one function
constexpr std::uint32_t max_local_bytes = 512u << 10;  ///< what compute capability 9.0 has per thread
constexpr std::size_t max_operands = 16;
constexpr std::size_t max_table_entries = 1u << 16;

}  // namespace

BodyParser::BodyParser(TokenStream& tokens, Module& module, ConstantPool& constants, std::uint32_t function_index)
    : tokens_(tokens),
      module_(module),
      function_(module.functions[function_index]),
      function_index_(function_index),
      constants_(constants) {}

void BodyParser::parse() {
  open_scope();
  for (const auto* list : {&function_.parameters, &function_.results}) {
    for (const Parameter& parameter : *list)
      declare(parameter.name, {Name::Kind::in_param, parameter.offset, parameter.size}, tokens_.line());
  }
  tokens_.expect('{');
  while (!scopes_.empty()) parse_statement();
  Instruction end;  // a label may stand before the last '}'
  end.op = Op::ret;
  emit(end);
}

void BodyParser::open_scope() {
  if (scopes_.size() == max_scopes) fail(tokens_.line(), "blocks are nested too deeply");
  scopes_.emplace_back();
}

void BodyParser::close_scope() {
  Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  for (const PendingBranch& branch : scope.pending) resolve(scope, branch, scopes_.empty());
}

void BodyParser::resolve(Scope& scope, const PendingBranch& branch, bool last) {
  const auto found = scope.labels.find(branch.label);
  if (found == scope.labels.end()) {
    if (last) fail(branch.line, "this label is not defined", branch.label);
    scopes_.back().pending.push_back(branch);
    return;
  }
  const bool wants_table = !branch.in_table && function_.code[branch.instruction].op == Op::brx;
  if (found->second.is_table != wants_table) fail(branch.line, "this label is of the wrong kind", branch.label);
  if (branch.in_table)
    function_.branch_tables[branch.instruction][branch.entry] = found->second.index;
  else
    function_.code[branch.instruction].target = found->second.index;
}

void BodyParser::parse_statement() {
  const Token head = tokens_.take();
  if (head.is('{')) return open_scope();
  if (head.is('}')) return close_scope();
  if (head.is(';')) return;
  if (head.kind == TokenKind::word && tokens_.peek().is(':')) {
    tokens_.take();
    if (tokens_.peek().is_word(".branchtargets")) return parse_branch_table(head.text, head.line);
    if (tokens_.peek().is_word(".callprototype")) return tokens_.skip_past(';');
    return define_label(head.text, head.line);
  }
  if (head.kind == TokenKind::word && head.text[0] == '.') return parse_directive(head);
  if (head.is('@') || head.kind == TokenKind::word) return parse_instruction(head);
  if (head.kind == TokenKind::end) fail(head.line, "the text ends inside a function");
  fail(head.line, "an instruction is expected here", head.text);
}

void BodyParser::parse_directive(const Token& head) {
  if (head.text == ".reg") return parse_registers();
  if (head.text == ".param") return parse_call_param();
  if (head.text == ".local") return parse_variable(Space::local);
  if (head.text == ".shared") return parse_variable(Space::shared);
  if (head.text == ".global") return parse_variable(Space::global);
  if (head.text == ".const") return parse_variable(Space::constant);
  if (head.text == ".loc" || head.text == ".file") return tokens_.skip_line(head.line);
  if (head.text == ".pragma") return tokens_.skip_past(';');
  fail(head.line, "this directive is not supported", head.text);
}

void BodyParser::parse_registers() {
  const Token type = tokens_.take();
  if (!type_named(type.text)) fail(type.line, "registers of this type are not supported", type.text);
  do {
    const Token name = tokens_.take();
    if (name.kind != TokenKind::word) fail(name.line, "a register's name is expected here", name.text);
    std::uint64_t count = 1;
    const bool is_range = tokens_.take_if('<');
    if (is_range) {
      count = tokens_.expect_integer("the number of registers");
      tokens_.expect('>');
    }
    if (count > max_registers - function_.registers) fail(name.line, "too many registers", name.text);
    if (is_range)
      scopes_.back().ranges[name.text] = {function_.registers, static_cast<std::uint32_t>(count)};
    else
      declare(name.text, {Name::Kind::reg, function_.registers, 0}, name.line);
    function_.registers += static_cast<std::uint32_t>(count);
  } while (tokens_.take_if(','));
  tokens_.expect(';');
}

void BodyParser::parse_call_param() {
  std::string_view name;
  const Parameter parameter = parse_parameter(tokens_, &name);
  const std::uint64_t offset = align_up(function_.call_bytes, parameter.align);
  if (offset + parameter.size > max_call_bytes) fail(tokens_.line(), "too many call parameters");
  function_.call_bytes = static_cast<std::uint32_t>(offset + parameter.size);
  declare(name, {Name::Kind::call_param, static_cast<std::uint32_t>(offset), parameter.size}, tokens_.line());
  tokens_.expect(';');
}

void BodyParser::parse_variable(Space space) {
  do {
    VariableParser parser(tokens_, [this](std::string_view name) -> std::optional<SymbolReference> {
      if (const Name* known = find_name(name); known != nullptr && known->kind == Name::Kind::variable) {
        return SymbolReference{SymbolReference::Kind::variable, known->index};
      }
      if (const auto found = module_.variable_index.find(name); found != module_.variable_index.end()) {
        return SymbolReference{SymbolReference::Kind::variable, found->second};
      }
      return std::nullopt;
    });
    const Token name_ahead = tokens_.peek();
    Variable variable = parser.parse(space);
    const std::string_view name = parser.written_name();
    if (space == Space::local) {
      const std::uint64_t offset = align_up(function_.local_bytes, variable.align);
      if (variable.size > max_local_bytes || offset + variable.size > max_local_bytes)
        fail(name_ahead.line, "the local variables are too large");
      function_.local_bytes = static_cast<std::uint32_t>(offset + variable.size);
      declare(name, {Name::Kind::local, static_cast<std::uint32_t>(offset), 0}, name_ahead.line);
      continue;
    }
    variable.in_function = true;
    variable.owner = function_index_;
    declare(name, {Name::Kind::variable, static_cast<std::uint32_t>(module_.variables.size()), 0}, name_ahead.line);
    module_.variables.push_back(std::move(variable));
  } while (tokens_.take_if(','));
  tokens_.expect(';');
}

void BodyParser::declare(std::string_view name, Name what, std::uint32_t line) {
  if (!scopes_.back().names.emplace(name, what).second) fail(line, "this name is declared twice", name);
}

void BodyParser::define_label(std::string_view name, std::uint32_t line) {
  const Label label{false, static_cast<std::uint32_t>(function_.code.size())};
  if (!scopes_.back().labels.emplace(name, label).second) fail(line, "this label is defined twice", name);
}

void BodyParser::parse_branch_table(std::string_view name, std::uint32_t line) {
  tokens_.take();
  const auto table = static_cast<std::uint32_t>(function_.branch_tables.size());
  if (!scopes_.back().labels.emplace(name, Label{true, table}).second) fail(line, "this label is defined twice", name);
  std::vector<std::uint32_t>& entries = function_.branch_tables.emplace_back();
  do {
    PendingBranch branch;
    branch.instruction = table;
    branch.entry = static_cast<std::uint32_t>(entries.size());
    branch.in_table = true;
    branch.line = tokens_.line();
    branch.label = tokens_.expect_word("a label");
    if (entries.size() == max_table_entries) fail(branch.line, "this branch table is too long");
    entries.push_back(0);
    scopes_.back().pending.push_back(branch);
  } while (tokens_.take_if(','));
  tokens_.expect(';');
}

const BodyParser::Name* BodyParser::find_name(std::string_view word) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->names.find(word); found != scope->names.end()) return &found->second;
  }
  return nullptr;
}

std::optional<Operand> BodyParser::find_register(std::string_view word) const {
  const std::size_t digits = word.find_last_not_of("0123456789") + 1;
  const std::string_view prefix = word.substr(0, digits);
  const std::string_view number = word.substr(digits);
  std::uint32_t index = 0;
  for (const char c : number.substr(0, 7)) index = index * 10 + static_cast<std::uint32_t>(c - '0');
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->names.find(word); found != scope->names.end()) {
      if (found->second.kind != Name::Kind::reg) return std::nullopt;
      return Operand{OperandKind::reg, found->second.index};
    }
    if (number.empty() || number.size() > 6) continue;
    const auto range = scope->ranges.find(prefix);
    if (range != scope->ranges.end() && index < range->second.count)
      return Operand{OperandKind::reg, range->second.first + index};
  }
  return std::nullopt;
}

void BodyParser::emit(Instruction instruction) {
  if (function_.code.size() == max_instructions) fail(instruction.line, "the function is too long");
  function_.code.push_back(instruction);
}

void BodyParser::parse_instruction(Token head) {
  Instruction in;
  if (head.is('@')) {
    in.guard_negated = tokens_.take_if('!');
    const Token guard = tokens_.take();
    const auto reg = find_register(guard.text);
    if (!reg) fail(guard.line, "this register is not declared", guard.text);
    in.guard = *reg;
    head = tokens_.take();
    if (head.kind != TokenKind::word) fail(head.line, "an instruction is expected here", head.text);
  }
  const InstructionWords words = parse_words(head.text, in, head.line);
  if (words.row.shape == Shape::call) {
    parse_call(in);
    return emit(in);
  }
  std::vector<Written> operands = parse_operands();
  if (words.row.shape == Shape::no_effect) return;
  build(in, words, operands, head);
  emit(in);
}

std::vector<Written> BodyParser::parse_operands() {
  std::vector<Written> operands;
  if (tokens_.take_if(';')) return operands;
  do {
    if (operands.size() == max_operands) fail(tokens_.line(), "too many operands");
    operands.push_back(parse_operand());
  } while (tokens_.take_if(','));
  tokens_.expect(';');
  return operands;
}

Written BodyParser::parse_operand() {
  if (tokens_.peek().is('[')) return parse_address();
  if (tokens_.peek().is('{')) return parse_vector();
  Written written = parse_simple();
  if (tokens_.take_if('|')) {
    const Token second = tokens_.take();
    if (second.text != "_") {
      const auto reg = find_register(second.text);
      if (!reg) fail(second.line, "this register is not declared", second.text);
      written.second = *reg;
    }
  }
  return written;
}

Written BodyParser::parse_vector() {
  Written written;
  written.kind = Written::Kind::vector;
  written.line = tokens_.line();
  tokens_.expect('{');
  do {
    if (written.elements.size() == 8) fail(tokens_.line(), "this vector is too long");
    written.elements.push_back(parse_simple());
  } while (tokens_.take_if(','));
  tokens_.expect('}');
  return written;
}

Written BodyParser::parse_address() {
  tokens_.expect('[');
  Written written = parse_simple();
  written.in_brackets = true;
  if (written.offset == 0) written.offset = parse_offset();
  if (tokens_.take_if(',')) {
    const Written place = tokens_.peek().is('{') ? parse_vector() : parse_simple();
    written.elements = place.kind == Written::Kind::vector ? place.elements : std::vector<Written>{place};
  }
  tokens_.expect(']');
  return written;
}

std::int64_t BodyParser::parse_offset() {
  const bool plus = tokens_.take_if('+');
  const bool minus = tokens_.take_if('-');
  if (!plus && !minus) return 0;
  const std::uint64_t amount = tokens_.expect_integer("an offset");
  return static_cast<std::int64_t>(minus ? 0 - amount : amount);
}

Written BodyParser::parse_simple() {
  Written written;
  written.line = tokens_.line();
  written.inverted = tokens_.take_if('!');
  written.negative = tokens_.take_if('-');
  const Token token = tokens_.take();
  if (token.kind == TokenKind::integer || token.kind == TokenKind::float32 || token.kind == TokenKind::float64) {
    written.kind = Written::Kind::literal;
    written.literal = token;
    return written;
  }
  if (token.kind != TokenKind::word) fail(token.line, "an operand is expected here", token.text);
  written.name = token.text;
  if (token.text == "_") {
    written.kind = Written::Kind::sink;
  } else if (const auto reg = find_register(token.text)) {
    written.kind = Written::Kind::reg;
    written.reg = *reg;
  } else {
    written.kind = Written::Kind::symbol;
    written.offset = parse_offset();
  }
  return written;
}

void BodyParser::parse_call(Instruction& in) {
  CallSite site;
  if (tokens_.peek().is('(')) {
    site.results = parse_call_list();
    tokens_.expect(',');
  }
  const Token target = tokens_.take();
  if (const auto reg = find_register(target.text)) {
    site.indirect = true;
    site.target = *reg;
  } else {
    const auto found = module_.function_index.find(target.text);
    if (found == module_.function_index.end()) fail(target.line, "this function is not declared", target.text);
    site.callee = found->second;
  }
  if (tokens_.take_if(',')) {
    if (tokens_.peek().is('('))
      site.arguments = parse_call_list();
    else
      tokens_.expect_word("a call prototype");
    if (tokens_.take_if(',')) tokens_.expect_word("a call prototype");
  }
  tokens_.expect(';');
  if (!site.indirect) check_call(site, target.line);
  in.target = static_cast<std::uint32_t>(function_.call_sites.size());
  function_.call_sites.push_back(std::move(site));
}

std::vector<ParameterMove> BodyParser::parse_call_list() {
  std::vector<ParameterMove> moves;
  tokens_.expect('(');
  if (tokens_.take_if(')')) return moves;
  do {
    const Token token = tokens_.take();
    const Name* name = find_name(token.text);
    if (name == nullptr || name->kind != Name::Kind::call_param)
      fail(token.line, "a .param variable is expected here", token.text);
    moves.push_back({name->index, name->size});
  } while (tokens_.take_if(','));
  tokens_.expect(')');
  return moves;
}

void BodyParser::check_call(const CallSite& site, std::uint32_t line) const {
  const Function& callee = module_.functions[site.callee];
  if (callee.is_entry) fail(line, "a kernel cannot be called", callee.name);
  const auto same_sizes = [](const std::vector<ParameterMove>& moves, const std::vector<Parameter>& parameters) {
    return std::equal(
        moves.begin(), moves.end(), parameters.begin(), parameters.end(),
        [](const ParameterMove& move, const Parameter& parameter) { return move.size == parameter.size; });
  };
  if (!same_sizes(site.arguments, callee.parameters) || !same_sizes(site.results, callee.results)) {
    fail(line, "the call does not match the function's declaration", callee.name);
  }
}

}  // namespace vgpu::sim::ptx
