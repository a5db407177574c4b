/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest's root that means harm: it drives the device past our library, by mapping its BARs. See print_usage().
 * What it does is chosen by a seed, so a run can be repeated.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/abi/device_registers.h"

#define DEVICES "/sys/bus/pci/devices"
#define WORDS_A_TURN 4096u

struct device {
  volatile uint8_t* registers;
  volatile uint64_t* window;
  uint64_t window_words;
};

static uint64_t state = 1;

static uint64_t next_random(void) { /* xorshift */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static void fail(const char* what) {
  fprintf(stderr, "attacker: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- the device ---- */

static unsigned read_number(const char* slot, const char* file) {
  char path[300], text[32] = "";
  snprintf(path, sizeof path, DEVICES "/%s/%s", slot, file);
  const int fd = open(path, O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) fail(path);
  close(fd);
  return (unsigned)strtoul(text, NULL, 16);
}

static void* map_bar(const char* slot, int bar, uint64_t* size) {
  char path[300];
  struct stat about;
  snprintf(path, sizeof path, DEVICES "/%s/resource%d", slot, bar);
  const int fd = open(path, O_RDWR);
  if (fd < 0 || fstat(fd, &about) != 0) fail(path);
  void* mapped = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) fail(path);
  *size = (uint64_t)about.st_size;
  return mapped;
}

static void enable(const char* slot) {
  char path[300];
  snprintf(path, sizeof path, DEVICES "/%s/enable", slot);
  const int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, "1", 1) != 1) fail(path);
  close(fd);
}

static struct device open_device(void) {
  DIR* slots = opendir(DEVICES);
  struct dirent* slot;
  while (slots && (slot = readdir(slots))) {
    if (slot->d_name[0] == '.') continue;
    if (read_number(slot->d_name, "vendor") != VGPU_PCI_VENDOR ||
        read_number(slot->d_name, "device") != VGPU_PCI_DEVICE)
      continue;
    uint64_t sizes[2];
    enable(slot->d_name);
    struct device device = {.registers = map_bar(slot->d_name, 0, &sizes[0]),
                            .window = map_bar(slot->d_name, 1, &sizes[1])};
    device.window_words = sizes[1] / sizeof(uint64_t);
    return device;
  }
  errno = ENODEV;
  fail("no vgpu-stub in this guest");
  exit(1);
}

/* ---- attacks: each turn is short, and returns how many accesses it made ---- */

/* Half of it anywhere, half of it over one page: control pages, rings and reply slots are small. */
static unsigned noise(struct device* device) {
  const uint64_t page = next_random() % (device->window_words / 512) * 512;
  for (unsigned i = 0; i < WORDS_A_TURN; i += 2) {
    device->window[next_random() % device->window_words] = next_random();
    device->window[page + i / 2 % 512] = next_random();
  }
  return WORDS_A_TURN;
}

static unsigned storm(struct device* device) {
  for (unsigned i = 0; i < WORDS_A_TURN; i++) {
    const unsigned channel = i % VGPU_CHANNEL_MAX;
    *(volatile uint32_t*)(device->registers + VGPU_CHANNEL_PAGES + channel * VGPU_CHANNEL_PAGE_SIZE) =
        (uint32_t)next_random();
  }
  return WORDS_A_TURN;
}

static void access_register(struct device* device, uint64_t offset, unsigned size, int write, uint64_t value) {
  volatile void* at = device->registers + offset / size * size;
  if (size == 1) write ? (void)(*(volatile uint8_t*)at = (uint8_t)value) : (void)*(volatile uint8_t*)at;
  if (size == 2) write ? (void)(*(volatile uint16_t*)at = (uint16_t)value) : (void)*(volatile uint16_t*)at;
  if (size == 4) write ? (void)(*(volatile uint32_t*)at = (uint32_t)value) : (void)*(volatile uint32_t*)at;
  if (size == 8) write ? (void)(*(volatile uint64_t*)at = value) : (void)*(volatile uint64_t*)at;
}

/* Registers that do something, with values that are nearly right; and anything else anywhere. */
static unsigned mmio(struct device* device) {
  static const uint32_t lively[] = {VGPU_REG_COMMAND,     VGPU_REG_COMMAND,        VGPU_REG_ARGUMENT,
                                    VGPU_LEGACY_DOORBELL, VGPU_LEGACY_REQUEST_LEN, VGPU_LEGACY_IRQ_CTRL};
  for (unsigned i = 0; i < 256; i++) {
    const uint64_t value = next_random();
    const uint32_t command = (uint32_t)(value % 4 | value / 4 % (VGPU_CHANNEL_MAX + 2) << VGPU_COMMAND_CHANNEL_SHIFT);
    access_register(device, next_random() % VGPU_BAR0_SIZE, 1u << value % 4, value & 16, value >> 8);
    access_register(device, next_random() % 0x5000, 1u << value % 4, value & 32, value >> 9);
    access_register(device, lively[next_random() % (sizeof lively / sizeof *lively)], 4, 1,
                    value & 64 ? command : (uint32_t)value % 8192);
  }
  return 3 * 256;
}

/* ---- what is in the window ---- */

static int fill(struct device* device, uint64_t pattern) {
  for (uint64_t i = 0; i < device->window_words; i++) device->window[i] = pattern;
  printf("attacker: filled %llu words\n", (unsigned long long)device->window_words);
  return 0;
}

static int look(struct device* device, uint64_t pattern) {
  uint64_t found = 0;
  for (uint64_t i = 0; i < device->window_words; i++) found += device->window[i] == pattern;
  printf("attacker: found %llu words of %llu\n", (unsigned long long)found, (unsigned long long)device->window_words);
  return 0;
}

static int print_usage(void) {
  puts(
      "usage: attacker ATTACK [SEED]\n"
      "  noise   writes noise over the whole window\n"
      "  storm   rings every doorbell, in use or not\n"
      "  mmio    reads and writes registers, most at random, some nearly right\n"
      "          each until killed, with a line a second that tells how many accesses there were\n"
      "  fill    writes SEED over the whole window; look: counts the words that are SEED");
  return 64;
}

static void attack(struct device* device, unsigned (*turn)(struct device*)) {
  unsigned long long accesses = 0;
  time_t said = time(NULL);
  printf("attacker: begins\n");
  fflush(stdout);
  for (;;) {
    accesses += turn(device);
    if (time(NULL) == said) continue;
    said = time(NULL);
    printf("attacker: %llu accesses\n", accesses);
    fflush(stdout);
  }
}

int main(int count, char** arguments) {
  static const struct {
    const char* name;
    unsigned (*turn)(struct device*);
  } attacks[] = {{"noise", noise}, {"storm", storm}, {"mmio", mmio}};
  if (count < 2 || count > 3) return print_usage();
  if (count == 3) state = strtoull(arguments[2], NULL, 0);
  if (state == 0) state = 1;
  struct device device = open_device();
  for (unsigned i = 0; i < sizeof attacks / sizeof *attacks; i++)
    if (strcmp(arguments[1], attacks[i].name) == 0) attack(&device, attacks[i].turn);
  if (strcmp(arguments[1], "fill") == 0) return fill(&device, state);
  if (strcmp(arguments[1], "look") == 0) return look(&device, state);
  return print_usage();
}
