#!/bin/sh
# top-level.sh: the top of the tree holds what it is meant to hold. (Build directories are not part of the tree.)
cd "$(dirname "$0")/../.." || exit 1
extra=$(find . -mindepth 1 -maxdepth 1 ! -name '.*' ! -name 'build*' | sed 's,^\./,,' |
  grep -vxE 'include|lib|examples|tests|fuzz|meson\.build|meson_options\.txt|README\.md|COPYING')
[ -z "$extra" ] || printf 'not meant to be at the top:\n%s\n' "$extra"
[ -z "$extra" ]
