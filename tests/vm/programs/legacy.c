/* SPDX-License-Identifier: Apache-2.0
 *
 * A program of a revision-2 guest: one request through the legacy page of BAR0. Written from the protocol's description
 * alone, with numbers of its own. See print_usage().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define PAGE_SIZE 0x1000u

enum { DOORBELL = 0x000, STATUS = 0x004, ERROR_CODE = 0x014, REQUEST_LEN = 0x018, RESPONSE_LEN = 0x01c };
enum { REQUEST_ID = 0x030, REQUEST = 0x040, RESPONSE = 0x440, BUFFER_WORDS = 256 };
enum { IDLE, BUSY, DONE, ERROR };

static void print_usage(void) {
  puts(
      "usage: vgpu-vm-legacy [--times N] LENGTH WORD...\n"
      "       vgpu-vm-legacy --registers\n"
      "\n"
      "Submits the words as a request of LENGTH bytes, N times, as long as it is done, and prints the last outcome:\n"
      "  DONE LENGTH: WORD...    the response\n"
      "  ERROR CODE\n"
      "  IDLE                    the doorbell was never heard\n"
      "  BUSY                    no answer within 20 s\n"
      "--registers prints the words from 0x000 to 0x024.");
}

static void fail(const char* what) {
  fprintf(stderr, "vgpu-vm-legacy: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int open_file(const char* slot, const char* file, int how) {
  char path[300];
  snprintf(path, sizeof path, DEVICES "/%s/%s", slot, file);
  const int fd = open(path, how);
  if (fd < 0) fail(path);
  return fd;
}

static unsigned read_number(const char* slot, const char* file) {
  char text[32] = "";
  const int fd = open_file(slot, file, O_RDONLY);
  if (read(fd, text, sizeof text - 1) < 0) fail(file);
  close(fd);
  return (unsigned)strtoul(text, NULL, 16);
}

static volatile uint32_t* map_registers(void) {
  DIR* slots = opendir(DEVICES);
  struct dirent* slot;
  while (slots && (slot = readdir(slots))) {
    if (slot->d_name[0] == '.') continue;
    if (read_number(slot->d_name, "vendor") != 0x10de || read_number(slot->d_name, "device") != 0x2330) continue;
    const int enable = open_file(slot->d_name, "enable", O_WRONLY);
    if (write(enable, "1", 1) != 1) fail("enable");
    close(enable);
    const int bar = open_file(slot->d_name, "resource0", O_RDWR);
    void* mapped = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);
    if (mapped == MAP_FAILED) fail("resource0");
    return mapped;
  }
  errno = ENODEV;
  fail("no vgpu-stub in this guest");
  return NULL;
}

static uint32_t load(volatile uint32_t* page, unsigned offset) { return page[offset / 4]; }
static void store(volatile uint32_t* page, unsigned offset, uint32_t value) { page[offset / 4] = value; }

/* The status that the request ends with. */
static uint32_t submit(volatile uint32_t* page, uint32_t length, char** words, int count) {
  for (int i = 0; i < count && i < BUFFER_WORDS; i++)
    store(page, REQUEST + 4 * (unsigned)i, (uint32_t)strtoul(words[i], NULL, 0));
  store(page, REQUEST_LEN, length);
  store(page, REQUEST_ID, load(page, REQUEST_ID) + 1);
  store(page, DOORBELL, 1);
  const struct timespec nap = {0, 500 * 1000};
  for (int i = 0; i < 40 * 1000 && load(page, STATUS) == BUSY; i++) nanosleep(&nap, NULL);
  return load(page, STATUS);
}

static void print_outcome(volatile uint32_t* page, uint32_t status) {
  if (status == IDLE) puts("IDLE");
  if (status == BUSY) puts("BUSY");
  if (status == ERROR) printf("ERROR %u\n", load(page, ERROR_CODE));
  if (status != DONE) return;
  const uint32_t length = load(page, RESPONSE_LEN);
  printf("DONE %u:", length);
  for (uint32_t at = 0; at < length && at < 4 * BUFFER_WORDS; at += 4) printf(" %08x", load(page, RESPONSE + at));
  puts("");
}

static void print_registers(volatile uint32_t* page) {
  for (unsigned offset = 0; offset <= 0x024; offset += 4) printf("%08x ", load(page, offset));
  puts("");
}

int main(int argc, char** argv) {
  long times = 1;
  int at = 1;
  if (argc == 2 && strcmp(argv[1], "--registers") == 0) return print_registers(map_registers()), 0;
  if (argc > 3 && strcmp(argv[1], "--times") == 0) times = strtol(argv[2], NULL, 0), at = 3;
  if (argc <= at || argv[at][0] == '-') return print_usage(), 64;
  volatile uint32_t* page = map_registers();
  uint32_t status = DONE;
  long done = 0;
  for (; done < times && status == DONE; done++)
    status = submit(page, (uint32_t)strtoul(argv[at], NULL, 0), argv + at + 1, argc - at - 1);
  printf("%ld times\n", done);
  print_outcome(page, status);
  return 0;
}
