#!/bin/sh
# format.sh: all C is as .clang-format says. Version 14 of clang-format decides: versions differ.
cd "$(dirname "$0")/../.." || exit 1
formatter=$(command -v clang-format-14 || command -v clang-format) || { echo "no clang-format"; exit 1; }
"$formatter" --version | grep -q 'version 14\.' || { echo "$formatter is not version 14"; exit 1; }
find include lib examples tests fuzz -type f \( -name '*.c' -o -name '*.h' \) -print0 |
  xargs -0 "$formatter" --dry-run -Werror
