# Libraries weft leans on; every one is a Debian package (see tools/install).
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

add_library(weft_dependencies INTERFACE)
target_link_libraries(weft_dependencies INTERFACE Threads::Threads ZLIB::ZLIB PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::XXHASH m ${CMAKE_DL_LIBS})
