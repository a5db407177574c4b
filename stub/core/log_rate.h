/* SPDX-License-Identifier: Apache-2.0
 *
 * A bound on log lines that a guest or a broker can provoke: so many a minute, in a burst or one by one.
 */
#ifndef VGPU_STUB_CORE_LOG_RATE_H
#define VGPU_STUB_CORE_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct vgpu_log_rate {
  unsigned per_minute;
  unsigned tokens;
  uint64_t filled_ms; /* up to when time has been turned into tokens */
  uint64_t left_out;  /* lines since the last one that was allowed */
};

void vgpu_log_rate_init(struct vgpu_log_rate* rate, unsigned per_minute, uint64_t now_ms);
/* True if a line may be written now; then `left_out` says how many before it were not, and begins anew. */
bool vgpu_log_rate_take(struct vgpu_log_rate* rate, uint64_t now_ms, uint64_t* left_out);

#endif
