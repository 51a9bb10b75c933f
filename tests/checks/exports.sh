#!/bin/sh
# exports.sh BUILD: the shared library in the build directory exports the symbols of lib/ehlo.map, which are the
# functions that the public headers declare, and nothing else.
cd "$(dirname "$0")/../.." || exit 1
library=$1/lib/libehlo.so
[ -r "$library" ] || { echo "no $library"; exit 1; }
lists=$(mktemp -d) || exit 1
trap 'rm -rf "$lists"' EXIT
export LC_ALL=C

# The version node is a symbol of type A.
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$lists/library"
sed -n '/global:/,/local:/s/^ *\([a-z0-9_]*\);$/\1/p' lib/ehlo.map >"$lists/map"
grep -hv "^#" include/ehlo/*.h | tr '\n' ' ' |
  grep -oE 'EHLO_API [^;({]*\(' | sed 's/ *($//; s/.*[ *]//' | sort >"$lists/headers"

failed=0
[ -s "$lists/map" ] || { echo "lib/ehlo.map lists nothing"; failed=1; }
sort -c -u "$lists/map" || { echo "lib/ehlo.map is not in order"; failed=1; }
diff "$lists/map" "$lists/library" || { echo "< lib/ehlo.map  > exported by $library"; failed=1; }
diff "$lists/map" "$lists/headers" || { echo "< lib/ehlo.map  > declared in include/ehlo/"; failed=1; }
exit $failed
