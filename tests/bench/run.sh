#!/bin/sh
# run.sh: what the library costs, in one table. sh tests/bench/run.sh [--gate] [BUILD-DIRECTORY]
#
# Builds the library three times (the processor's best vector unit, SSE2 alone, portable C) and once for size, with the compiler's
# -O2 and -Os, and runs bench.c with each: by the clock, in the same process as memcpy, a memchr walk and the smallest scalar
# machine, and by callgrind, whose counts of instructions are exact and repeat. Nothing that is timed is ever asserted.
#
# Then end_to_end.py: examples/maild on sockets beside the least that a server can do; $EHLO_ROUNDS rounds (11). And python.py:
# examples/python beside aiosmtpd and smtplib; $EHLO_PYTHON_ROUNDS rounds (5).
#
# --gate: no clock; the counts and sizes are held to the ceilings in goals.tsv, and the end is 1 if one is passed.
set -eu
cd "$(dirname "$0")/../.."
gate=
if [ "${1-}" = --gate ]; then
  gate=--gate
  shift
fi
build=${1:-${EHLO_BUILD:-$PWD/build-tests}/bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)

# library NAME MESON-OPTION...: builds $build/NAME/lib/libehlo.a.
library() {
  directory=$build/$1
  shift
  rm -rf "$directory"
  meson setup "$directory" -Dbuildtype=plain -Ddefault_library=static -Dexamples=false -Dtests=false "$@" \
    >"$directory.log" 2>&1 && meson compile -C "$directory" >>"$directory.log" 2>&1 || {
    cat "$directory.log" >&2
    exit 1
  }
}

for simd in auto sse2 none; do
  library $simd -Doptimization=2 -Dsimd=$simd -Dc_args=-g
  cc -std=c11 -O2 -g -Iinclude tests/bench/bench.c "$build/$simd/lib/libehlo.a" -o "$build/bench-$simd"
  rm -f "$build/callgrind-$simd".*
  valgrind -q --tool=callgrind --callgrind-out-file="$build/callgrind-$simd" "$build/bench-$simd" >"$build/work-$simd"
  if [ -z "$gate" ]; then
    "$build/bench-$simd" >"$build/speed-$simd"
  fi
done
"$build/bench-auto" sizes >"$build/sizes"

# What of the library a receiving host carries in its program: all it needs but libc, less what the program weighs by itself.
library small -Doptimization=s -Dc_args='-ffunction-sections -fdata-sections'
link() {
  cc -std=c11 -Os -Iinclude -ffreestanding -ffunction-sections -nostdlib -static -Wl,--gc-sections -Wl,-e,host_main \
    -Wl,--build-id=none "$@"
}
link tests/bench/receiver.c "$build/small/lib/libehlo.a" -o "$build/receiver"
link -DWITHOUT_LIBRARY tests/bench/receiver.c -o "$build/no-receiver"
python3 tests/bench/report.py $gate "$build"
[ -z "$gate" ] || exit 0

# Where there is no epoll there is no maild, and no floor.
if [ "$(uname)" != Linux ]; then
  printf '\nend to end: skipped, this is not Linux\n'
  exit 0
fi
rm -rf "$build/hosts"
meson setup "$build/hosts" -Dbuildtype=release -Dexamples=true -Dtests=false >"$build/hosts.log" 2>&1 &&
  meson compile -C "$build/hosts" >>"$build/hosts.log" 2>&1 || {
  cat "$build/hosts.log" >&2
  exit 1
}
cc -std=c11 -O2 tests/bench/floor.c -o "$build/floor"
python3 tests/bench/end_to_end.py --floor "$build/floor" --maild "$build/hosts/examples/maild" \
  --send "$build/hosts/examples/send" --load "$build/hosts/examples/load" \
  --rounds "${EHLO_ROUNDS:-11}"

# In an environment that sees what the distribution packages: cffi, aiosmtpd. Without network.
export PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
rm -rf "$build/python"
if /usr/bin/python3 -c 'import aiosmtpd, cffi' 2>/dev/null && /usr/bin/python3 -m venv --system-site-packages "$build/python"; then
  EHLO_BUILD="$build/hosts" "$build/python/bin/pip" install -q ./examples/python
  "$build/python/bin/python" tests/bench/python.py --rounds "${EHLO_PYTHON_ROUNDS:-5}"
else
  printf '\nPython: skipped, Debian'"'"'s python3-venv, python3-cffi and python3-aiosmtpd are needed\n'
fi
