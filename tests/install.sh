#!/usr/bin/env bash
# Installs the library into a folder, moves it elsewhere, and uses it from there as a stranger would: the examples, copied
# out of the tree, are built by pkg-config (C) and by CMake (C and C++), against the shared and the static library, and
# must say what examples.txt says. Then the command is run from there, with its recipes and its manual page.
#
#   tests/install.sh BUILD-FOLDER [CMAKE]
set -euo pipefail
build=$(cd "$1" && pwd)
cmake=${2:-cmake}
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH PKG_CONFIG_PATH CFLAGS CXXFLAGS LDFLAGS CMAKE_PREFIX_PATH DESTDIR
export LAMINA_THREADS=1 # small programs, other tests beside them
fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Silent but for an error.
quietly() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && fail "this failed: $*"; }
}

# run_examples FOLDER ENDING…: the programs there of all examples with these endings.
run_examples() {
  local folder=$1 name words checkpoint=$1/xo.safetensors
  shift
  while IFS=: read -r name words; do
    local is_there=
    for ending in "$@"; do [ ! -e "$work/examples/$name.$ending" ] || is_there=1; done
    [ -n "$is_there" ] || continue
    case $name in
    train | predict) quietly "$folder/$name" "$checkpoint" ;;
    *) quietly "$folder/$name" ;;
    esac
    tr '\n' ' ' <"$work/log" | grep -Eq "${words# }" || fail "$folder/$name said: $(cat "$work/log"), not: $words"
    ran=$((ran + 1))
  done <"$tests/examples.txt"
}

quietly "$cmake" --install "$build" --prefix "$work/first"
quietly "$cmake" --install "$build" --prefix "$work/runtime" --component runtime
mv "$work/first" "$work/moved"
cp -R "$tests/../examples" "$work/examples"
prefix=$work/moved
libraries=$(dirname "$(find "$prefix" -name liblamina.a)")
export PKG_CONFIG_PATH=$libraries/pkgconfig

# ---- What is there ---------------------------------------------------------------------------------------------------
soname=$(readelf -d "$libraries/liblamina.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[[ $soname =~ ^liblamina\.so\.[0-9]+$ ]] || fail "the SONAME of liblamina.so is \"$soname\""
[ -e "$libraries/$soname" ] || fail "there is no $soname"
if readelf -d "$libraries/liblamina.so" "$prefix/bin/lamina" | grep -E 'R(UN)?PATH' | grep -Fv "[\$ORIGIN/"; then
  fail 'a path of the build stayed in what is installed'
fi
! grep -rlF "$work/first" "$prefix" || fail 'these files know where they were installed first'
if [ -e "$build/lib/liblamina-cuda.so" ]; then # it is found beside the library: what it says is not that it isn't there
  ! "$prefix/bin/lamina" doctor | grep -q 'there is no module' || fail 'the installed command finds no CUDA module'
  mv "$libraries/liblamina-cuda.so" "$work/" # and without it doctor says so
  "$prefix/bin/lamina" doctor | grep -q '^-- *cuda *.*there is no module for "cuda" devices' ||
    fail 'doctor does not say that there is no CUDA module'
  mv "$work/liblamina-cuda.so" "$libraries/"
fi
for header in "$tests"/../include/lamina/*.h; do
  cmp -s "$header" "$prefix/include/lamina/${header##*/}" || fail "include/lamina/${header##*/} is not installed"
done
for file in $(cd "$work/runtime" && find . -type f -o -type l); do
  case $file in
  */liblamina.so.* | */liblamina-cuda.so | */LICENSE) ;;
  *) fail "$file is no part of the component \"runtime\"" ;;
  esac
done

# ---- The examples, as strangers build them ---------------------------------------------------------------------------
ran=0
mkdir "$work/by-pkg-config" "$work/by-pkg-config-static" "$work/no-shared"
cp -R "$prefix/." "$work/no-shared"
rm -f "$work/no-shared/${libraries#"$prefix/"}"/liblamina.so*
for source in "$work"/examples/*.c; do
  name=$(basename "$source" .c)
  # shellcheck disable=SC2046
  quietly cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$source" $(pkg-config --cflags --libs lamina) \
    -o "$work/by-pkg-config/$name"
  # shellcheck disable=SC2046
  PKG_CONFIG_PATH=$work/no-shared/${libraries#"$prefix/"}/pkgconfig quietly cc "$source" \
    $(PKG_CONFIG_PATH=$work/no-shared/${libraries#"$prefix/"}/pkgconfig pkg-config --static --cflags --libs lamina) \
    -o "$work/by-pkg-config-static/$name"
done
LD_LIBRARY_PATH=$libraries run_examples "$work/by-pkg-config" c
run_examples "$work/by-pkg-config-static" c

# The CUDA module, linked into a program: its device opens, or its own words say why not.
if [ -e "$libraries/liblamina-cuda.a" ]; then
  cat >"$work/cuda.c" <<'END'
#include <stdio.h>
#include "lamina/lamina.h"
extern lamina_module_open_fn lamina_cuda_module_open;
int main(void) {
  const lamina_device_options options = {.module = lamina_cuda_module_open};
  lamina_device *device;
  const lamina_status status = lamina_device_open("cuda:0", &options, &device);
  printf("%s\n", status ? lamina_last_error() : lamina_device_about(device));
  lamina_device_close(device);
  return 0;
}
END
  printf '%s\n' 'cmake_minimum_required(VERSION 3.25)' 'project(cuda LANGUAGES C CXX)' \
    'find_package(Lamina REQUIRED COMPONENTS cuda_static)' 'add_executable(cuda ../cuda.c)' \
    'target_link_libraries(cuda PRIVATE Lamina::lamina_cuda_static)' >"$work/cuda-CMakeLists.txt"
  mkdir "$work/cuda" && mv "$work/cuda-CMakeLists.txt" "$work/cuda/CMakeLists.txt"
  # shellcheck disable=SC2046
  PKG_CONFIG_PATH=$work/no-shared/${libraries#"$prefix/"}/pkgconfig quietly cc -std=c11 "$work/cuda.c" \
    $(PKG_CONFIG_PATH=$work/no-shared/${libraries#"$prefix/"}/pkgconfig pkg-config --static --cflags --libs lamina-cuda) \
    -o "$work/by-pkg-config-static/cuda"
  quietly "$cmake" -S "$work/cuda" -B "$work/cuda/build" -DCMAKE_PREFIX_PATH="$prefix"
  quietly "$cmake" --build "$work/cuda/build"
  for program in "$work/by-pkg-config-static/cuda" "$work/cuda/build/cuda"; do
    said=$(LAMINA_MODULE_PATH=/nowhere "$program")
    [[ $said =~ NVIDIA|CUDA ]] || fail "$program said: $said"
    [[ ! $said =~ 'no module' ]] || fail "$program looks for a module: $said"
    ran=$((ran + 1))
  done
fi

for kind in OFF ON; do
  quietly "$cmake" -S "$work/examples" -B "$work/by-cmake-$kind" -DCMAKE_PREFIX_PATH="$prefix" -DLINK_STATIC=$kind
  quietly "$cmake" --build "$work/by-cmake-$kind" --parallel 2
  run_examples "$work/by-cmake-$kind" c cpp
done
for program in "$work"/by-pkg-config-static/conv "$work"/by-cmake-ON/conv; do
  ! readelf -d "$program" | grep -q 'NEEDED.*liblamina' || fail "$program wants liblamina.so, yet it is linked statically"
done

# ---- Plug-ins, built against the headers alone, in the installed command ---------------------------------------------
for plugin in my_conv faulty_conv; do
  # shellcheck disable=SC2046
  quietly cc -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -shared -fPIC $(pkg-config --cflags lamina) \
    "$work/examples/plugin/$plugin.c" -o "$work/$plugin.so"
done
verify=("$prefix/bin/lamina" verify conv/forward x=2x3x9x9 w=4x3x3x3)
quietly "${verify[@]}" --engine mine --plugin "$work/my_conv.so"
! "${verify[@]}" --engine faulty --plugin "$work/faulty_conv.so" >"$work/log" 2>&1 || fail 'verify missed the planted fault'
grep -q '^faulty .* WRONG' "$work/log" || fail "verify said of the planted fault: $(cat "$work/log")"

# ---- The command -----------------------------------------------------------------------------------------------------
cd /
quietly "$prefix/bin/lamina" info xo
quietly "$prefix/bin/lamina" help
for command in $(sed -n 's/^  lamina \([a-z]*\) .*/\1/p' "$work/log"); do
  grep -q "^.B lamina $command\$" "$prefix"/share/man/man1/lamina.1 || fail "the manual page lacks \"lamina $command\""
done
echo "$ran programs ran"
