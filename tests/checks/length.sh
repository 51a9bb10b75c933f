#!/bin/sh
# length.sh: no file of lib/ or include/ passes 700 lines; one that does wants to be cut.
cd "$(dirname "$0")/../.." || exit 1
long=$(find lib include -type f \( -name '*.[ch]' -o -name '*.def' \) -exec wc -l {} \; | awk '$1 > 700')
[ -z "$long" ] || printf 'over 700 lines:\n%s\n' "$long"
[ -z "$long" ]
