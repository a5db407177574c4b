#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {

ptx::Handler select_handler(const ptx::Instruction& in) {
  using Selector = ptx::Handler (*)(const ptx::Instruction&);
  constexpr Selector selectors[] = {select_float, select_integer, select_bits,   select_compare, select_convert,
                                    select_move,  select_memory,  select_atomic, select_texture};
  for (const Selector select : selectors) {
    if (const ptx::Handler handler = select(in)) return handler;
  }
  return nullptr;
}

}  // namespace vgpu::sim::exec
