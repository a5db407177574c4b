# SPDX-License-Identifier: GPL-2.0-or-later
# How the front is compiled by the checks: as QEMU does, and stricter. Sourced.
front_flags=(-fsyntax-only -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
  -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wdeclaration-after-statement -Wvla -Wundef -Werror
  -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(pkg-config --cflags glib-2.0))
