# Warnings, hardening and section flags, the same for every target and both compilers (gcc 12, clang 14 and later).
include(CheckCCompilerFlag)

set(WEFT_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter
    -Wno-missing-field-initializers) # rows of tables leave out what is zero
if(WEFT_WERROR)
  list(APPEND WEFT_WARNINGS -Werror)
endif()
add_compile_options(${WEFT_WARNINGS} -fno-math-errno -ffp-contract=off -fvisibility=hidden)

# Unused functions and tables leave the binary at the link. Nothing unwinds a release build, and its many tables of pointers are
# relocated in the packed form where the linker knows it.
include(CheckLinkerFlag)
add_compile_options(-ffunction-sections -fdata-sections
                    "$<$<CONFIG:Release>:-fno-asynchronous-unwind-tables;-fno-unwind-tables>")
if(NOT APPLE)
  add_link_options(-Wl,--gc-sections)
  check_linker_flag(C -Wl,-z,pack-relative-relocs WEFT_HAVE_PACKED_RELOCATIONS)
  if(WEFT_HAVE_PACKED_RELOCATIONS AND NOT WEFT_SANITIZE)
    add_link_options(-Wl,-z,pack-relative-relocs)
  endif()
endif()

if(WEFT_SANITIZE)
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-error -Wno-maybe-uninitialized -Wno-format-truncation) # false alarms in instrumented code
  endif()
else()
  # What costs nothing measurable; the kernels leave out the two that touch stack frames (kernels.cmake).
  set(WEFT_HARDENING)
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "WEFT_HAVE${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
      list(APPEND WEFT_HARDENING ${flag})
    endif()
  endforeach()
  add_compile_options(${WEFT_HARDENING} "$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
  endif()
endif()
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
