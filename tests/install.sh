#!/bin/sh
# Installs into a prefix of its own and builds docs/example.c and docs/tokenize.c against it: with pkg-config, and with find_package (shared and
# static). Also: the shared library exports nothing but weft_*.
set -eu
prefix=$WEFT_BINARY_DIR/test-install/prefix
scratch=$WEFT_BINARY_DIR/test-install
example=$WEFT_SOURCE_DIR/docs/example.c
rm -rf "$scratch"
mkdir -p "$scratch"
cmake --install "$WEFT_BINARY_DIR" --prefix "$prefix" --strip >"$scratch/install.log" 2>&1 || { cat "$scratch/install.log"; exit 1; }
library=$(find "$prefix" -name libweft.so.0)
[ -n "$library" ] || { echo "no libweft.so.0 was installed"; exit 1; }
foreign=$(nm -D --defined-only "$library" | awk '$2 != "A" && $3 !~ /^weft_/ { print $3 }')
[ -z "$foreign" ] || { echo "symbols that should be hidden:" $foreign; exit 1; }
[ -s "$prefix/share/weft/default.txt" ] || { echo "no default text was installed"; exit 1; }
if [ -x "$prefix/bin/weft" ]; then
    size=$(wc -c <"$prefix/bin/weft")
    [ "$size" -le 3145728 ] || { echo "the stripped program has $size bytes, more than 3 MiB"; exit 1; }
    [ -s "$prefix/share/man/man1/weft.1" ] && [ -s "$prefix/share/man/man1/weft-compare.1" ] || { echo "no manual was installed"; exit 1; }
    [ -s "$prefix/share/bash-completion/completions/weft" ] || { echo "no completion was installed"; exit 1; }
    "$prefix/bin/weft" help >"$scratch/help.txt"
fi
[ -f "$example" ] || { echo "skipped: no docs/example.c"; exit 77; }

PKG_CONFIG_PATH=$(dirname "$library")/pkgconfig
export PKG_CONFIG_PATH
eval "${CC:-cc} -std=c11 -Wall -Wextra -Werror \"\$example\" -o \"\$scratch/by-pkg-config\" $(pkg-config --cflags --libs weft)"
(cd "$scratch" && LD_LIBRARY_PATH=$(dirname "$library") ./by-pkg-config)
eval "${CC:-cc} -std=c11 -Wall -Wextra -Werror \"\$WEFT_SOURCE_DIR/docs/tokenize.c\" -o \"\$scratch/tokenize\" $(pkg-config --cflags --libs weft)"
(mkdir "$scratch/loom" && cd "$scratch/loom" && LD_LIBRARY_PATH=$(dirname "$library") ../tokenize)

mkdir "$scratch/project"
cp "$example" "$scratch/project/example.c"
cat >"$scratch/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.18)
project(example C)
find_package(weft 0.1 REQUIRED)
foreach(kind weft weft_static)
  add_executable(by_${kind} example.c)
  target_link_libraries(by_${kind} weft::${kind})
endforeach()
END
{
    cmake -S "$scratch/project" -B "$scratch/project/build" "-DCMAKE_PREFIX_PATH=$prefix" &&
        cmake --build "$scratch/project/build"
} >"$scratch/project.log" 2>&1 || { cat "$scratch/project.log"; exit 1; }
(cd "$scratch" && project/build/by_weft && project/build/by_weft_static)
