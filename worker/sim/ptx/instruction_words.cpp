#include "worker/sim/ptx/instruction_words.hpp"

#include <optional>
#include <unordered_map>

#include "worker/sim/ptx/declarations.hpp"
#include "worker/sim/ptx/parse_error.hpp"

namespace vgpu::sim::ptx {
namespace {

// To add an instruction: a row here, its Op, and a handler in exec/ that select_handler() returns.
const std::unordered_map<std::string_view, OpcodeRow>& opcodes() {
  using enum Shape;
  static const std::unordered_map<std::string_view, OpcodeRow> rows = {
      {"add", {Op::add, plain, 2}},
      {"sub", {Op::sub, plain, 2}},
      {"addc", {Op::addc, plain, 2}},
      {"subc", {Op::subc, plain, 2}},
      {"mul", {Op::mul, plain, 2}},
      {"mad", {Op::mad, plain, 3}},
      {"madc", {Op::madc, plain, 3}},
      {"mul24", {Op::mul24, plain, 2}},
      {"mad24", {Op::mad24, plain, 3}},
      {"sad", {Op::sad, plain, 3}},
      {"div", {Op::div, plain, 2}},
      {"rem", {Op::rem, plain, 2}},
      {"abs", {Op::abs, plain, 1}},
      {"neg", {Op::neg, plain, 1}},
      {"min", {Op::min, plain, 2}},
      {"max", {Op::max, plain, 2}},
      {"popc", {Op::popc, plain, 1}},
      {"clz", {Op::clz, plain, 1}},
      {"bfind", {Op::bfind, plain, 1}},
      {"brev", {Op::brev, plain, 1}},
      {"bfe", {Op::bfe, plain, 3}},
      {"bfi", {Op::bfi, plain, 4}},
      {"bmsk", {Op::bmsk, plain, 2}},
      {"szext", {Op::szext, plain, 2}},
      {"fns", {Op::fns, plain, 3}},
      {"dp4a", {Op::dp4a, plain, 3}},
      {"dp2a", {Op::dp2a, plain, 3}},
      {"and", {Op::and_, plain, 2}},
      {"or", {Op::or_, plain, 2}},
      {"xor", {Op::xor_, plain, 2}},
      {"not", {Op::not_, plain, 1}},
      {"cnot", {Op::cnot, plain, 1}},
      {"shl", {Op::shl, plain, 2}},
      {"shr", {Op::shr, plain, 2}},
      {"shf", {Op::shf, plain, 3}},
      {"lop3", {Op::lop3, plain, 4}},
      {"prmt", {Op::prmt, plain, 3}},
      {"fma", {Op::fma, plain, 3}},
      {"rcp", {Op::rcp, plain, 1}},
      {"sqrt", {Op::sqrt, plain, 1}},
      {"rsqrt", {Op::rsqrt, plain, 1}},
      {"sin", {Op::sin, plain, 1}},
      {"cos", {Op::cos, plain, 1}},
      {"lg2", {Op::lg2, plain, 1}},
      {"ex2", {Op::ex2, plain, 1}},
      {"tanh", {Op::tanh, plain, 1}},
      {"copysign", {Op::copysign, plain, 2}},
      {"setp", {Op::setp, compare, 2}},
      {"set", {Op::set, compare, 2}},
      {"selp", {Op::selp, plain, 3}},
      {"slct", {Op::slct, plain, 3}},
      {"mov", {Op::mov, move, 1}},
      {"ld", {Op::ld, load, 1}},
      {"ldu", {Op::ld, load, 1}},
      {"st", {Op::st, store, 1}},
      {"cvt", {Op::cvt, plain, 1}},
      {"cvta", {Op::cvta, plain, 1}},
      {"isspacep", {Op::isspacep, plain, 1}},
      {"atom", {Op::atom, atomic, 2}},
      {"red", {Op::red, reduction, 2}},
      {"tex", {Op::tex, texture, 0}},
      {"suld", {Op::suld, texture, 0}},
      {"sust", {Op::sust, texture, 0}},
      {"bra", {Op::bra, branch, 0}},
      {"brx", {Op::brx, branch, 0}},
      {"call", {Op::call, call, 0}},
      {"ret", {Op::ret, bare, 0}},
      {"exit", {Op::exit, bare, 0}},
      {"trap", {Op::trap, bare, 0}},
      {"brkpt", {Op::trap, bare, 0}},
      {"bar", {Op::bar, barrier, 0}},
      {"barrier", {Op::bar, barrier, 0}},
      {"shfl", {Op::shfl, plain, 3}},
      {"vote", {Op::vote, plain, 1}},
      {"match", {Op::match, plain, 1}},
      {"redux", {Op::redux, plain, 1}},
      {"activemask", {Op::activemask, plain, 0}},
      {"elect", {Op::elect, plain, 0}},
      {"membar", {Op::nop, no_effect, 0}},
      {"fence", {Op::nop, no_effect, 0}},
      {"nanosleep", {Op::nanosleep, no_effect, 0}},
      {"prefetch", {Op::nop, no_effect, 0}},
      {"prefetchu", {Op::nop, no_effect, 0}},
      {"pmevent", {Op::nop, no_effect, 0}},
      {"discard", {Op::nop, no_effect, 0}},
      {"applypriority", {Op::nop, no_effect, 0}},
      {"griddepcontrol", {Op::nop, no_effect, 0}},
      {"setmaxnreg", {Op::nop, no_effect, 0}},
  };
  return rows;
}

const std::unordered_map<std::string_view, Compare>& compares() {
  using enum Compare;
  static const std::unordered_map<std::string_view, Compare> words = {
      {"eq", eq},   {"ne", ne},   {"lt", lt},   {"le", le},   {"gt", gt},   {"ge", ge},
      {"ls", ls},   {"hs", hs},   {"lo", lo},   {"hi", hi},   {"equ", equ}, {"neu", neu},
      {"ltu", ltu}, {"leu", leu}, {"gtu", gtu}, {"geu", geu}, {"num", num}, {"nan", nan},
  };
  return words;
}

const std::unordered_map<std::string_view, Variant>& variants() {
  using enum Variant;
  static const std::unordered_map<std::string_view, Variant> words = {
      {"add", add},   {"min", min},       {"max", max}, {"inc", inc},   {"dec", dec},       {"exch", exch},
      {"cas", cas},   {"and", and_},      {"or", or_},  {"xor", xor_},  {"all", all},       {"any", any},
      {"uni", uni},   {"ballot", ballot}, {"up", up},   {"down", down}, {"bfly", bfly},     {"idx", idx},
      {"wrap", wrap}, {"clamp", clamp},   {"l", left},  {"r", right},   {"f4e", f4e},       {"b4e", b4e},
      {"rc8", rc8},   {"ecl", ecl},       {"ecr", ecr}, {"rc16", rc16}, {"arrive", arrive}, {"red", reduce},
      {"popc", popc}, {"warp", warp},
  };
  return words;
}

const std::unordered_map<std::string_view, Space>& spaces() {
  static const std::unordered_map<std::string_view, Space> words = {
      {"global", Space::global},      {"shared", Space::shared},     {"shared::cta", Space::shared},
      {"local", Space::local},        {"const", Space::constant},    {"param", Space::param},
      {"param::entry", Space::param}, {"param::func", Space::param},
  };
  return words;
}

/// Words about caching, ordering and alignment that change nothing here: memory is sequentially consistent enough.
bool is_hint(std::string_view word) {
  static const std::unordered_map<std::string_view, int> words = {
      {"volatile", 0}, {"relaxed", 0}, {"acquire", 0}, {"release", 0}, {"acq_rel", 0},
      {"weak", 0},     {"sc", 0},      {"cta", 0},     {"gpu", 0},     {"sys", 0},
      {"cluster", 0},  {"gl", 0},      {"nc", 0},      {"ca", 0},      {"cg", 0},
      {"cs", 0},       {"lu", 0},      {"cv", 0},      {"wb", 0},      {"wt", 0},
      {"mmio", 0},     {"aligned", 0}, {"full", 0},    {"noftz", 0},   {"L2::cache_hint", 1},
  };
  if (const auto found = words.find(word); found != words.end()) return found->second == 0;
  return word.starts_with("L1::") || word.starts_with("L2::") || word.starts_with("level::");
}

bool take_rounding(std::string_view word, Instruction& in) {
  if (word.size() < 2 || word.size() > 3 || word[0] != 'r') return false;
  const bool integral = word.size() == 3 && word[2] == 'i';
  if (word.size() == 3 && !integral) return false;
  switch (word[1]) {
    case 'n':
      in.rounding = Rounding::nearest;
      break;
    case 'z':
      in.rounding = Rounding::zero;
      break;
    case 'm':
      in.rounding = Rounding::down;
      break;
    case 'p':
      in.rounding = Rounding::up;
      break;
    default:
      return false;
  }
  in.to_integral |= integral;
  return true;
}

bool take_flag(std::string_view word, Instruction& in) {
  if (word == "ftz")
    in.flush = true;
  else if (word == "sat" || word == "satfinite")
    in.saturate = true;
  else if (word == "approx")
    in.approximate = true;
  else if (word == "wide")
    in.wide = true;
  else if (word == "cc")
    in.carry_out = true;
  else if (word == "sync")
    in.sync = true;
  else if (word == "to")
    in.to_space = true;
  else if (word == "v2")
    in.vector = 2;
  else if (word == "v4")
    in.vector = 4;
  else if (word == "shiftamt")
    in.high = true;
  else
    return false;
  return true;
}

/// The words of texture and surface instructions. Surfaces are accessed as bytes (".b") only.
bool take_texture_word(std::string_view word, Instruction& in) {
  static const std::unordered_map<std::string_view, Geometry> geometries = {
      {"1d", Geometry::d1}, {"2d", Geometry::d2}, {"3d", Geometry::d3}, {"a1d", Geometry::a1d}, {"a2d", Geometry::a2d}};
  static const std::unordered_map<std::string_view, Outside> outsides = {
      {"trap", Outside::trap}, {"clamp", Outside::clamp}, {"zero", Outside::zero}};
  if (const auto found = geometries.find(word); found != geometries.end())
    in.geometry = found->second;
  else if (const auto mode = outsides.find(word); mode != outsides.end() && in.op != Op::tex)
    in.outside = mode->second;
  else if (word == "level" && in.op == Op::tex)
    in.has_level = true;
  else
    return word == "b" && in.op != Op::tex;
  return true;
}

bool takes_compare(Op op) { return op == Op::setp || op == Op::set; }

void take_word(std::string_view word, Instruction& in, InstructionWords& words, std::uint32_t line) {
  if (const auto type = type_named(word)) {
    if (words.type_count == 3) fail(line, "too many types", words.spelling);
    words.types[words.type_count++] = *type;
    return;
  }
  if (takes_compare(words.row.op)) {
    if (const auto found = compares().find(word); found != compares().end()) {
      in.compare = found->second;
      return;
    }
    if (word == "and" || word == "or" || word == "xor") {
      in.combine = word == "and" ? Variant::and_ : word == "or" ? Variant::or_ : Variant::xor_;
      return;
    }
  }
  if (words.row.shape == Shape::no_effect) return;
  if (words.row.shape == Shape::texture && take_texture_word(word, in)) return;
  if (words.row.op == Op::shf && (word == "l" || word == "r")) {
    in.high = word == "r";
    return;
  }
  if (take_flag(word, in)) return;
  if (const auto found = spaces().find(word); found != spaces().end()) {
    in.space = found->second;
    return;
  }
  if (word == "hi")
    in.high = true;
  else if (word == "lo")
    in.high = false;
  else if (word == "pack" || word == "unpack")
    fail(line, "this instruction is not supported", words.spelling);
  else if (const auto found = variants().find(word); found != variants().end())
    in.variant = found->second;
  else if (!take_rounding(word, in) && !is_hint(word))
    fail(line, "this instruction is not supported", words.spelling);
}

}  // namespace

InstructionWords parse_words(std::string_view spelling, Instruction& in, std::uint32_t line) {
  InstructionWords words;
  words.spelling = spelling;
  std::size_t dot = spelling.find('.');
  const auto row = opcodes().find(spelling.substr(0, dot));
  if (row == opcodes().end()) fail(line, "this instruction is not supported", spelling);
  words.row = row->second;
  in.op = words.row.op;
  in.line = line;
  while (dot != std::string_view::npos) {
    const std::size_t next = spelling.find('.', dot + 1);
    take_word(spelling.substr(dot + 1, next == std::string_view::npos ? next : next - dot - 1), in, words, line);
    dot = next;
  }
  in.type = words.types[0];
  in.from = words.types[1];
  return words;
}

}  // namespace vgpu::sim::ptx
