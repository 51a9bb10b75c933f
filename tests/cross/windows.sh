#!/bin/sh
# windows.sh COMPILER BUILD: the DLL in the build directory exports the functions of lib/ehlo.map and nothing else, and
# so does one that is compiled without meson, by what the headers say of Windows. Programs link with it, and statically.
set -eu
cd "$(dirname "$0")/../.."
compiler=$1
work=$2/windows
mkdir -p "$work"
export LC_ALL=C

# exports DLL
exports() {
  "${compiler%gcc}objdump" -p "$1" |
    awk '/^\[Ordinal\/Name Pointer\] Table/ { on = 1; next } NF == 0 { on = 0 } on { print $NF }' |
    sort >"$work/exports"
  diff "$work/map" "$work/exports" || { echo "< lib/ehlo.map  > exported by $1"; exit 1; }
}

sed -n '/global:/,/local:/s/^ *\([a-z0-9_]*\);$/\1/p' lib/ehlo.map >"$work/map"
[ -s "$work/map" ] || { echo "lib/ehlo.map lists nothing"; exit 1; }
exports "$2/lib/libehlo-0.dll"
"$compiler" -std=c11 -O2 -Wall -Wextra -Werror -Iinclude -DEHLO_BUILD -DEHLO_SHARED -shared lib/*/*.c \
  -o "$work/ehlo.dll"
exports "$work/ehlo.dll"

cat >"$work/host.c" <<'C'
#include <ehlo.h>
int main(void)
{
  return ehlo_version()[0] != '0';
}
C
# imports PROGRAM: does it want the DLL?
imports() {
  "${compiler%gcc}objdump" -p "$1" | grep -q 'DLL Name: libehlo-0.dll'
}
"$compiler" -Iinclude -DEHLO_SHARED "$work/host.c" "$2/lib/libehlo.dll.a" -o "$work/shared.exe"
imports "$work/shared.exe" || { echo "a program that links with the DLL does not want it"; exit 1; }
"$compiler" -Iinclude "$work/host.c" "$2/lib/libehlo.a" -o "$work/static.exe"
! imports "$work/static.exe" || { echo "a program that links statically wants the DLL"; exit 1; }
