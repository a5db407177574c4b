// Parses one function body into decoded instructions: scopes, registers, labels, calls.
#pragma once

#include <map>
#include <string_view>
#include <tuple>
#include <vector>

#include "worker/sim/ptx/declarations.hpp"
#include "worker/sim/ptx/instruction_words.hpp"
#include "worker/sim/ptx/module.hpp"
#include "worker/sim/ptx/token_stream.hpp"

namespace vgpu::sim::ptx {

/// An operand as written, before the instruction's type gives it a meaning.
struct Written {
  enum class Kind : std::uint8_t { none, reg, literal, symbol, vector, sink } kind = Kind::none;
  Operand reg{};
  Operand second{};  ///< q of "p|q"
  Token literal{};
  bool negative = false;  ///< "-" before a literal
  bool inverted = false;  ///< "!" before a predicate
  std::string_view name;
  std::int64_t offset = 0;
  bool in_brackets = false;
  std::vector<Written> elements;  ///< of a vector; after an address, the place in a texture or surface
  std::uint32_t line = 0;
};

/// Finds the constants of a module again, so that each is stored once.
class ConstantPool {
 public:
  explicit ConstantPool(Module& module) : module_(module) {}
  Operand add(const Constant& constant, std::uint32_t line);

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>;

  Module& module_;
  std::map<Key, std::uint32_t> known_;
};

class BodyParser {
 public:
  BodyParser(TokenStream& tokens, Module& module, ConstantPool& constants, std::uint32_t function_index);

  /// Parses from '{' to the matching '}'.
  void parse();

 private:
  struct Name {
    enum class Kind : std::uint8_t { reg, variable, local, call_param, in_param } kind = Kind::reg;
    std::uint32_t index = 0;
    std::uint32_t size = 0;
  };
  struct RegisterRange {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  struct Label {
    bool is_table = false;
    std::uint32_t index = 0;
  };
  struct PendingBranch {
    std::uint32_t instruction = 0;  ///< or, of a table entry, the table
    std::uint32_t entry = 0;
    bool in_table = false;
    std::string_view label;
    std::uint32_t line = 0;
  };
  // Trees: the text chooses the names, and could choose them to have one hash.
  struct Scope {
    std::map<std::string_view, Name> names;
    std::map<std::string_view, RegisterRange> ranges;
    std::map<std::string_view, Label> labels;
    std::vector<PendingBranch> pending;
  };

  void open_scope();
  void close_scope();
  void resolve(Scope& scope, const PendingBranch& branch, bool last);
  void parse_statement();
  void parse_directive(const Token& head);
  void parse_registers();
  void parse_call_param();
  void parse_variable(Space space);
  void declare(std::string_view name, Name what, std::uint32_t line);
  void define_label(std::string_view name, std::uint32_t line);
  void parse_branch_table(std::string_view name, std::uint32_t line);
  void parse_instruction(Token head);
  void emit(Instruction instruction);

  Written parse_operand();
  Written parse_simple();
  Written parse_address();
  Written parse_vector();
  std::vector<Written> parse_operands();
  std::int64_t parse_offset();
  const Name* find_name(std::string_view word) const;
  std::optional<Operand> find_register(std::string_view word) const;

  Operand value(const Written& written, Type type);
  Operand destination(const Written& written);
  Operand special(std::string_view word) const;
  Operand address_of(const Written& written);
  void memory(Instruction& in, const Written& written);
  std::vector<Operand> values(const Written& written, Type type, std::size_t count);
  void need(const std::vector<Written>& operands, std::size_t least, std::size_t most, const Token& head) const;

  void build(Instruction& in, const InstructionWords& words, std::vector<Written>& operands, const Token& head);
  void build_plain(Instruction& in, const InstructionWords& words, std::vector<Written>& operands, const Token& head);
  void build_move(Instruction& in, std::vector<Written>& operands);
  void build_load_store(Instruction& in, std::vector<Written>& operands);
  void build_texture(Instruction& in, std::vector<Written>& operands);
  void take_place(Instruction& in, const Written& written);
  void build_atomic(Instruction& in, std::vector<Written>& operands);
  void build_compare(Instruction& in, std::vector<Written>& operands);
  void build_barrier(Instruction& in, std::vector<Written>& operands);
  void build_branch(Instruction& in, std::vector<Written>& operands);
  void parse_call(Instruction& in);
  std::vector<ParameterMove> parse_call_list();
  void check_call(const CallSite& site, std::uint32_t line) const;

  TokenStream& tokens_;
  Module& module_;
  Function& function_;
  const std::uint32_t function_index_;
  ConstantPool& constants_;
  std::vector<Scope> scopes_;
};

}  // namespace vgpu::sim::ptx
