# Compile rules that every target of ours obeys: language level, warnings, visibility, sanitizers, layout of the build tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(VGPU_CCACHE ccache)
if(VGPU_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VGPU_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${VGPU_CCACHE})
endif()

add_library(vgpu_compile INTERFACE)
target_include_directories(vgpu_compile INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/gen)
# Header-only fmt and spdlog: Debian has no static archives of them, and our programs run where they are not installed.
target_compile_definitions(vgpu_compile INTERFACE FMT_HEADER_ONLY SPDLOG_FMT_EXTERNAL BOOST_ASIO_NO_DEPRECATED _GNU_SOURCE)
target_compile_options(vgpu_compile INTERFACE
  -Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Wno-missing-field-initializers  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees writes past the end in libstdc++'s own vectors (its bug 105329 and kin): told, but not an error.
  target_compile_options(vgpu_compile INTERFACE -Wno-error=array-bounds -Wno-error=stringop-overflow -Wno-error=restrict)
  # A unique symbol would pin the shim in memory and merge its statics with another copy's.
  target_compile_options(vgpu_compile INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
endif()
if(VGPU_WERROR)
  target_compile_options(vgpu_compile INTERFACE -Werror)
endif()
if(VGPU_SANITIZE)
  target_compile_options(vgpu_compile INTERFACE -fsanitize=${VGPU_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(vgpu_compile INTERFACE -fsanitize=${VGPU_SANITIZE})
  if(VGPU_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Fences that ThreadSanitizer does not follow only decide about sleeping; what data relies on are acquire and release.
    target_compile_options(vgpu_compile INTERFACE -Wno-tsan)
  endif()
endif()
if(VGPU_FUZZ)
  # Coverage of everything, so that the fuzzer sees what its inputs reach; the targets alone link libFuzzer's main.
  target_compile_options(vgpu_compile INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(vgpu_compile INTERFACE Threads::Threads)

if(NOT VGPU_SANITIZE)
  # For test programs too: the bundle carries them to machines that have no libstdc++.
  target_link_options(vgpu_compile INTERFACE -static-libstdc++ -static-libgcc)
endif()

# vgpu_library(NAME sources...): a static library of ours.
function(vgpu_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC vgpu_compile)
endfunction()

# vgpu_program(NAME sources...): an executable that needs nothing installed but libc (sanitized builds excepted).
function(vgpu_program name)
  add_executable(${name} ${ARGN})
  if(VGPU_SANITIZE MATCHES "address")
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/asan_options.cpp)
  endif()
  target_link_libraries(${name} PRIVATE vgpu_compile)
  vgpu_static_runtime(${name})
endfunction()

# Static libstdc++ and libgcc: the artefact runs on hosts and in guests that have neither.
function(vgpu_static_runtime target)
  if(NOT VGPU_SANITIZE)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
endfunction()
