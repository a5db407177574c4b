// SPDX-License-Identifier: Apache-2.0
// A program that runs cases against any libcuda: what is common to the suites.
//
// Process model: this process opens no CUDA. Every case (or, with --group, every group of cases that allows it) runs in
// a child, which is this program again with --child; the child reports on a pipe. When a case outlasts its deadline the
// child is asked where its threads stand, and killed.
#pragma once

namespace conformance {

/// The whole of main(). `purpose`: what the program is for, the first line of its help.
int run_suite(int argc, char** argv, const char* purpose);

}  // namespace conformance
