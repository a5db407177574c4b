#include "worker/sim/ptx/parser.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "worker/sim/ptx/body_parser.hpp"
#include "worker/sim/ptx/declarations.hpp"
#include "worker/sim/ptx/token_stream.hpp"

namespace vgpu::sim::ptx {
namespace {

constexpr std::uint32_t newest_version = 90;  ///< PTX ISA 9.0, what CUDA 13.0 writes
constexpr std::uint32_t device_target = 90;   ///< compute capability 9.0
constexpr std::uint32_t max_shared_bytes = 232448;
constexpr std::uint32_t dynamic_shared_alignment = 128;

Builtin builtin_named(std::string_view name) {
  if (name == "vprintf") return Builtin::vprintf;
  if (name == "__assertfail") return Builtin::assertfail;
  if (name == "malloc") return Builtin::malloc;
  if (name == "free") return Builtin::free;
  return Builtin::none;
}

/// Parses everything outside of function bodies.
class ModuleParser {
 public:
  explicit ModuleParser(std::string_view text) : tokens_(text) {}

  Module parse() {
    parse_header();
    while (tokens_.peek().kind != TokenKind::end) parse_directive();
    place_shared();
    return std::move(module_);
  }

 private:
  void parse_header() {
    if (!tokens_.take_if(".version")) fail(tokens_.line(), "a module begins with '.version'", tokens_.peek().text);
    const Token version = tokens_.take();
    module_.version = 0;
    const std::size_t dot = version.text.find('.');
    if (version.kind != TokenKind::float64 || dot == std::string_view::npos || dot > 3 ||
        version.text.size() != dot + 2) {
      fail(version.line, "this version cannot be read", version.text);
    }
    for (const char c : version.text)
      if (c != '.') module_.version = module_.version * 10 + static_cast<std::uint32_t>(c - '0');
    if (module_.version > newest_version) {
      throw ParseError{fmt::format("PTX version {} is newer than 9.0", quoted(version.text)), unsupported_ptx_version};
    }
    if (!tokens_.take_if(".target")) fail(tokens_.line(), "'.target' is expected here", tokens_.peek().text);
    do parse_target(tokens_.expect_word("a target"));
    while (tokens_.take_if(','));
    if (tokens_.take_if(".address_size") && tokens_.expect_integer("an address size") != 64) {
      fail(tokens_.line(), "only 64-bit modules are supported");
    }
  }

  void parse_target(std::string_view word) {
    if (!word.starts_with("sm_")) return;
    std::uint32_t target = 0;
    for (const char c : word.substr(3, 4))
      if (c >= '0' && c <= '9') target = target * 10 + static_cast<std::uint32_t>(c - '0');
    if (target > device_target) fail(tokens_.line(), "this target is newer than the device (sm_90)", word);
    module_.target = target;
  }

  void parse_directive() {
    bool external = false;
    // What the linker has made: several modules, one behind the other, each with its header.
    if (tokens_.peek().is_word(".version")) return parse_header();
    while (tokens_.take_if(".visible") || tokens_.take_if(".weak") || tokens_.take_if(".common") ||
           tokens_.peek().is_word(".extern")) {
      if (tokens_.take_if(".extern")) external = true;
    }
    const Token head = tokens_.take();
    if (head.is_word(".entry")) return parse_function(true);
    if (head.is_word(".func")) return parse_function(false);
    if (head.is_word(".global")) return parse_variables(Space::global, external);
    if (head.is_word(".const")) return parse_variables(Space::constant, external);
    if (head.is_word(".shared")) return parse_variables(Space::shared, external);
    if (head.is_word(".file") || head.is_word(".loc")) return tokens_.skip_line(head.line);
    if (head.is_word(".pragma")) return tokens_.skip_past(';');
    if (head.is_word(".section")) return skip_section();
    if (head.is(';')) return;
    fail(head.line, "this directive is not supported", head.text);
  }

  void skip_section() {
    tokens_.expect_word("the section's name");
    tokens_.expect('{');
    for (int depth = 1; depth > 0;) {
      const Token token = tokens_.take();
      if (token.kind == TokenKind::end) fail(token.line, "the text ends inside a section");
      if (token.is('{')) ++depth;
      if (token.is('}')) --depth;
    }
  }

  std::optional<SymbolReference> find(std::string_view name) const {
    if (const auto found = module_.variable_index.find(name); found != module_.variable_index.end()) {
      return SymbolReference{SymbolReference::Kind::variable, found->second};
    }
    if (const auto found = module_.function_index.find(name); found != module_.function_index.end()) {
      return SymbolReference{SymbolReference::Kind::function, found->second};
    }
    return std::nullopt;
  }

  void parse_variables(Space space, bool external) {
    do {
      const std::uint32_t line = tokens_.line();
      VariableParser parser(tokens_, [this](std::string_view name) { return find(name); });
      Variable variable = parser.parse(space);
      variable.external = external;
      const auto known = module_.variable_index.find(variable.name);
      if (known != module_.variable_index.end()) {
        Variable& earlier = module_.variables[known->second];
        if (!earlier.external && !external) fail(line, "this variable is declared twice", variable.name);
        if (earlier.external) earlier = std::move(variable);
        continue;
      }
      module_.variable_index[variable.name] = static_cast<std::uint32_t>(module_.variables.size());
      module_.variables.push_back(std::move(variable));
    } while (tokens_.take_if(','));
    tokens_.expect(';');
  }

  void parse_function(bool is_entry) {
    Function function;
    function.is_entry = is_entry;
    std::vector<Parameter> results;
    if (!is_entry && tokens_.peek().is('(')) parse_parameters(tokens_, 0, results);
    const std::uint32_t line = tokens_.line();
    function.name = std::string(tokens_.expect_word("the function's name"));
    if (tokens_.peek().is('(')) function.parameter_bytes = parse_parameters(tokens_, 0, function.parameters);
    if (!is_entry) function.builtin = builtin_named(function.name);
    place_results(function, std::move(results));
    parse_attributes(function);
    const std::uint32_t index = declare(std::move(function), line);
    if (tokens_.take_if(';')) return;
    if (module_.functions[index].defined) fail(line, "this function is defined twice", module_.functions[index].name);
    module_.functions[index].defined = true;
    BodyParser(tokens_, module_, constants_, index).parse();
  }

  static void place_results(Function& function, std::vector<Parameter> results) {
    std::uint64_t end = function.parameter_bytes;
    for (Parameter& result : results) {
      result.offset = static_cast<std::uint32_t>(align_up(end, result.align));
      end = result.offset + result.size;
    }
    function.frame_in_bytes = static_cast<std::uint32_t>(end);
    function.results = std::move(results);
  }

  void parse_attributes(Function& function) {
    while (tokens_.peek().kind == TokenKind::word) {
      const Token word = tokens_.take();
      if (word.text == ".maxntid" || word.text == ".reqntid") {
        function.block_required = word.text == ".reqntid";
        function.max_block = {1, 1, 1};
        std::size_t i = 0;
        do {
          const std::uint64_t extent = tokens_.expect_integer("a block size");
          if (i >= 3 || extent == 0 || extent > 1024) fail(word.line, "this block size is out of range");
          function.max_block[i++] = static_cast<std::uint32_t>(extent);
        } while (tokens_.take_if(','));
      } else if (word.text == ".minnctapersm" || word.text == ".maxnctapersm" || word.text == ".maxnreg" ||
                 word.text == ".maxclusterrank") {
        tokens_.expect_integer("a number");
      } else if (word.text == ".pragma") {
        tokens_.skip_past(';');
      } else if (word.text != ".noreturn") {
        fail(word.line, "this directive is not supported", word.text);
      }
    }
  }

  std::uint32_t declare(Function function, std::uint32_t line) {
    const auto known = module_.function_index.find(function.name);
    if (known != module_.function_index.end()) {
      Function& earlier = module_.functions[known->second];
      const bool same = earlier.is_entry == function.is_entry && earlier.frame_in_bytes == function.frame_in_bytes &&
                        earlier.parameters.size() == function.parameters.size() &&
                        earlier.results.size() == function.results.size();
      if (!same) fail(line, "this declaration contradicts an earlier one", function.name);
      if (!earlier.defined) earlier = std::move(function);
      return known->second;
    }
    const auto index = static_cast<std::uint32_t>(module_.functions.size());
    module_.function_index[function.name] = index;
    module_.functions.push_back(std::move(function));
    return index;
  }

  // Shared memory of a block: variables of the module and of device functions, then the kernel's own (kernels overlap),
  // then the dynamic part.
  void place_shared() {
    collect_function_shared();
    std::uint64_t end = 0;
    std::uint64_t furthest = 0;
    const auto place = [](Variable& variable, std::uint64_t at) {
      variable.shared_offset = align_up(at, variable.align);
      return variable.shared_offset + variable.size;
    };
    for (Variable& variable : module_.variables) {
      if (variable.space == Space::shared && !variable.external && !owned_by_kernel(variable))
        end = place(variable, end);
      if (end > max_shared_bytes) fail(tokens_.line(), "the module's shared variables are too large", variable.name);
    }
    module_.module_shared_bytes = static_cast<std::uint32_t>(end);
    furthest = end;
    for (std::size_t i = 0; i < module_.functions.size(); ++i) {
      Function& function = module_.functions[i];
      if (!function.is_entry) continue;
      std::uint64_t kernel_end = end;
      for (const std::uint32_t index : function_shared_[i]) {
        kernel_end = place(module_.variables[index], std::min<std::uint64_t>(kernel_end, max_shared_bytes + 1));
      }
      if (kernel_end > max_shared_bytes)
        fail(tokens_.line(), "the kernel's shared variables are too large", function.name);
      function.shared_bytes = static_cast<std::uint32_t>(kernel_end);
      furthest = std::max(furthest, kernel_end);
    }
    module_.dynamic_shared_offset = static_cast<std::uint32_t>(align_up(furthest, dynamic_shared_alignment));
    for (Variable& variable : module_.variables) {
      if (variable.space == Space::shared && variable.external) variable.shared_offset = module_.dynamic_shared_offset;
    }
  }

  bool owned_by_kernel(const Variable& variable) const {
    return variable.in_function && module_.functions[variable.owner].is_entry;
  }

  void collect_function_shared() {
    function_shared_.resize(module_.functions.size());
    for (std::size_t i = 0; i < module_.variables.size(); ++i) {
      const Variable& variable = module_.variables[i];
      if (variable.space == Space::shared && variable.in_function && !variable.external) {
        function_shared_[variable.owner].push_back(static_cast<std::uint32_t>(i));
      }
    }
  }

  TokenStream tokens_;
  Module module_;
  ConstantPool constants_{module_};
  std::vector<std::vector<std::uint32_t>> function_shared_;
};

}  // namespace

base::Result<Module> parse_ptx(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  if (text.size() > max_text_bytes) return base::Error{invalid_ptx, "the PTX text is larger than 64 MiB"};
  try {
    return ModuleParser(text).parse();
  } catch (const ParseError& error) {
    return base::Error{error.code, error.text};
  } catch (const std::bad_alloc&) {
    return base::Error{2, "no memory to parse the PTX text"};
  } catch (const std::length_error&) {
    return base::Error{invalid_ptx, "the PTX text declares more than fits"};
  }
}

}  // namespace vgpu::sim::ptx
