/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VGPU_API_42_ERROR_REPORT_H
#define VGPU_API_42_ERROR_REPORT_H

void error_report(const char* format, ...) __attribute__((format(printf, 1, 2)));
void warn_report(const char* format, ...) __attribute__((format(printf, 1, 2)));
int error_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif
