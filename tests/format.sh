#!/bin/sh
# Whether every C and C++ file is as clang-format 14 would write it: format.sh CLANG-FORMAT
cd "$(dirname "$0")/.." || exit 1
if ! [ -x "$1" ]; then
  echo "skipped: there is no clang-format-14 here; Debian's package clang-format-14 runs this test"
  exit 77
fi
find . -path ./build -prune -o -type f '(' -name '*.[ch]' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' ')' -print |
  xargs "$1" --dry-run -Werror
