// SPDX-License-Identifier: Apache-2.0
// What AddressSanitizer does in every program of a sanitized build, when ASAN_OPTIONS says nothing else.

// GCC 12's runtime looks for the size of a thread-local block in front of it, if the block lies 16 bytes into a page:
// there glibc 2.19 kept it. Newer ones take the block from malloc, and 16 bytes into a page is also where the allocator
// puts the first block of a page; then the leak check reads the allocator's own header as a range of addresses, and
// crashes. Whether it comes to that depends on the length of a path. Not looked for, the blocks are found as what they
// are: allocations.
extern "C" __attribute__((visibility("default"), used)) const char* __asan_default_options() {
  return "intercept_tls_get_addr=0";
}
