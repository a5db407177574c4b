/* SPDX-License-Identifier: Apache-2.0 */
#include "stub/core/log_rate.h"

void vgpu_log_rate_init(struct vgpu_log_rate* rate, unsigned per_minute, uint64_t now_ms) {
  rate->per_minute = per_minute;
  rate->tokens = per_minute;
  rate->filled_ms = now_ms;
  rate->left_out = 0;
}

static void fill(struct vgpu_log_rate* rate, uint64_t now_ms) {
  const uint64_t each_ms = 60000u / rate->per_minute;
  const uint64_t earned = now_ms > rate->filled_ms ? (now_ms - rate->filled_ms) / each_ms : 0;
  if (earned >= rate->per_minute - rate->tokens) {
    rate->tokens = rate->per_minute;
    rate->filled_ms = now_ms;
  } else {
    rate->tokens += (unsigned)earned;
    rate->filled_ms += earned * each_ms;
  }
}

bool vgpu_log_rate_take(struct vgpu_log_rate* rate, uint64_t now_ms, uint64_t* left_out) {
  fill(rate, now_ms);
  if (rate->tokens == 0) {
    ++rate->left_out;
    return false;
  }
  --rate->tokens;
  *left_out = rate->left_out;
  rate->left_out = 0;
  return true;
}
