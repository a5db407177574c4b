// toml++ as this project uses it: without exceptions.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.0 assumes what the file may well break ("[{"): an assertion fails in one build, the optimiser believes it in
// the other. Behind the assumptions stand checks that say what is wrong: let them.
// clang-format off
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_ASSERT_ASSUME(expr) static_assert(true)
#include <toml++/toml.h>
// clang-format on
