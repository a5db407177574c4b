#include "shim/client/pci_address.hpp"

#include <cstdio>

namespace vgpu::shim {

bool parse_address(const char* text, PciAddress& address) {
  unsigned first = 0, second = 0, third = 0, function = 0;
  int used = 0;
  const auto whole = [&] { return used != 0 && text[used] == '\0'; };
  if ((std::sscanf(text, "%x:%x:%x.%x%n", &first, &second, &third, &function, &used) == 4 && whole()) ||
      (std::sscanf(text, "%x:%x:%x%n", &first, &second, &third, &used) == 3 && whole())) {
    address = {static_cast<int>(first), static_cast<int>(second), static_cast<int>(third)};
    return function == 0;
  }
  used = 0;
  if (std::sscanf(text, "%x:%x.%x%n", &second, &third, &function, &used) == 3 && whole()) {
    address = {0, static_cast<int>(second), static_cast<int>(third)};
    return function == 0;
  }
  return false;
}

}  // namespace vgpu::shim
