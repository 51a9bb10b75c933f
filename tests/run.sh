#!/bin/sh
# run.sh: builds and runs everything that a change must pass. On Debian it installs what it needs first.
#
# sh tests/run.sh --help tells the options. One line a step; the log of a step that fails is shown; the last line
# counts.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
. tests/steps.sh

packages='gcc g++ libc6-dev clang libclang-rt-14-dev llvm clang-format-14 meson ninja-build pkg-config libcmocka-dev
  gcovr valgrind python3 python3-cffi gcc-arm-none-eabi qemu-system-arm
  swaks libnet-ssleay-perl curl msmtp nodejs node-nodemailer postfix libsasl2-modules sasl2-bin python3-aiosmtpd
  strace faketime openssl libssl-dev
  python3-dev python3-venv python3-pip python3-setuptools python3-wheel python3-pytest python3-hypothesis mypy
  libdb5.3 libevent-2.1-7 libgnutls-dane0 libidn12 libnsl2 libpcre2-8-0 libldap-2.5-0 libwrap0'
# Where nodejs is another build than Debian's, npm is in it, and Debian's package of that name conflicts with it.
command -v npm >/dev/null || packages="$packages npm"
# --cross takes these alone. No foreign architecture is added to dpkg: the C libraries are those of the compilers.
cross_packages='gcc libc6-dev meson ninja-build pkg-config libcmocka-dev python3 xz-utils qemu-user musl-tools
  gcc-i686-linux-gnu libc6-dev-i386-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross
  gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
  gcc-mingw-w64-x86-64 gcc-mingw-w64-i686'

usage() {
  cat <<'USAGE'
sh tests/run.sh [OPTION]...

  --quick          no fuzzing, no interop: for while you work
  --fuzz SECONDS   time for each fuzz target (30; the environment's FUZZ_SECONDS does the same)
  --bench          only: build and run the benchmark
  --load [SECONDS] only: examples/maild with 200 busy and 10,000 idle connections for so long (60), all that it
                   accepted counted in its Maildirs; these are on /dev/shm, as root
  --sanitize       only: the interop tests with hosts that have ASan and UBSan in them
  --cross          only: the unit tests and transcripts on i386, under qemu-user on aarch64, armhf and
                   s390x, and with musl; their logs against this machine's; the library for Windows
  --mutate [ARG]   only: change lib/ line by line and list the changes that no test noticed; all that
                   follows goes to tests/mutate/mutate.py (try --mutate --help)
  --no-install     install nothing, take what is there
  --help           this

Builds go to build-tests/ (or where the environment's EHLO_BUILD says).
USAGE
}

mode=all quick=no install=yes
fuzz_seconds=${FUZZ_SECONDS:-30}
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=yes ;;
  --fuzz)
    [ $# -ge 2 ] || { usage >&2; exit 64; }
    fuzz_seconds=$2
    shift ;;
  --bench) mode=bench ;;
  --load)
    mode=load load_seconds=60
    case ${2:-} in
    '' | -*) ;;
    *[!0-9]* | 0*) echo "--load wants a number of seconds" >&2; exit 64 ;;
    *)
      load_seconds=$2
      shift ;;
    esac ;;
  --sanitize) mode=sanitize ;;
  --cross) mode=cross packages=$cross_packages ;;
  --mutate)
    mode=mutate
    shift
    break ;;
  --no-install) install=no ;;
  --help) usage; exit 0 ;;
  *) usage >&2; exit 64 ;;
  esac
  shift
done
case $fuzz_seconds in
'' | *[!0-9]* | 0) echo "--fuzz wants a number of seconds" >&2; exit 64 ;;
esac

build=${EHLO_BUILD:-$top/build-tests}
mkdir -p "$build/logs" || exit 1
rm -f "$build"/logs/* "$build"/interop.* "$build"/python.*

# ---- packages ----

install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
    echo "This is no Debian; going on with what is there."
    return 0
  }
  missing=
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -eq 0 ]; then
    sh tests/install.sh $missing
  else
    sudo sh tests/install.sh $missing
  fi
}

# ---- steps of several parts ----

sanitizers='address,undefined'
export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# The static library's own lines that the tests reach. What is missed is listed in the log.
coverage() {
  suite coverage && gcovr --root "$top" --filter "$top/lib/" --fail-under-line 97 "$build/coverage"
}

# fuzz_one TARGET: from its seeds, into a corpus that is thrown away.
fuzz_one() {
  target=$1
  corpus=$build/corpus/$target
  rm -rf "$corpus"
  mkdir -p "$corpus"
  "$build/fuzz/fuzz/$target" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" "$corpus" "fuzz/seeds/${target#fuzz_}"
}

# Two targets at a time.
fuzz() {
  set -- $(find "$build/fuzz/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x -exec basename {} \; | sort)
  good=0 bad=0
  while [ $# -gt 0 ]; do
    first=$1 second=${2:-}
    shift
    [ -z "$second" ] || shift
    fuzz_one "$first" >"$build/logs/$first.log" 2>&1 &
    first_id=$!
    if [ -n "$second" ]; then
      fuzz_one "$second" >"$build/logs/$second.log" 2>&1
      fuzz_end "$second" $?
    fi
    wait $first_id
    fuzz_end "$first" $?
  done
  echo "$good $bad" >"$counts"
  [ $bad -eq 0 ] && [ $good -gt 0 ]
}

fuzz_end() {
  if [ "$2" -eq 0 ]; then
    good=$((good + 1))
    echo "$1: $(grep -o 'Done .*' "$build/logs/$1.log")"
  else
    bad=$((bad + 1))
    echo "$1: failed"
    tail -n 60 "$build/logs/$1.log"
  fi
}

# Interop waits for others most of the time, and Python takes but one processor, so they run beside the rest, one after
# the other. In the end each is told as a step.
beside=
beside_begin() {
  (
    aside python sh examples/python/tests/run.sh "$build/release"
    [ $quick = yes ] || aside interop sh tests/interop/run.sh "$build/release"
  ) &
  beside=$!
}

aside() { # aside NAME COMMAND [ARGUMENT]...
  name=$1
  shift
  "$@" >"$build/$name.out" 2>&1 </dev/null
  echo $? >"$build/$name.status"
}

aside_end() { # aside_end NAME: how it went
  cat "$build/$1.out"
  return "$(cat "$build/$1.status")"
}

# ---- what is asked for ----

[ $install = no ] || step 'packages' install_packages || exit 1

case $mode in
bench)
  exec sh tests/bench/run.sh "$build/bench" ;;
load)
  step 'build, optimised' configure release gcc --buildtype=release || exit 1
  BUSY_SECONDS=$load_seconds
  export BUSY_SECONDS
  exec sh tests/interop/run.sh "$build/release" test_maild_busy ;;
sanitize)
  step 'clang, ASan and UBSan: build' configure sanitize clang --buildtype=debugoptimized -Db_sanitize=$sanitizers \
    -Db_lundef=false || exit 1
  exec sh tests/interop/run.sh "$build/sanitize" ;;
cross)
  exec sh tests/cross/run.sh "$build/cross" ;;
mutate)
  exec python3 tests/mutate/mutate.py --build "$build/mutate" "$@" ;;
esac

for check in floors length top-level format; do
  step "check: $check" sh tests/checks/$check.sh
done
step 'check: rules' sh tests/rules.sh

if step 'gcc: build, optimised, no warning' configure release gcc --buildtype=release -Dinstall-examples=true; then
  step 'gcc: tests' suite release
  for check in pure exports header; do
    step "check: $check" sh tests/checks/$check.sh "$build/release"
  done
  step 'install: a program finds it by pkg-config, the examples run' sh tests/checks/installed.sh "$build/release"
  beside_begin
fi

if step 'clang, ASan and UBSan: build, no warning' \
  configure sanitize clang --buildtype=debugoptimized -Db_sanitize=$sanitizers -Db_lundef=false; then
  step 'clang, ASan and UBSan: tests' suite sanitize --timeout-multiplier 4
fi

for simd in none sse2; do
  if step "simd=$simd: build" configure simd-$simd gcc --buildtype=release -Dsimd=$simd; then
    step "simd=$simd: tests, but those of sessions" suite simd-$simd --no-suite session
  fi
done

if step 'coverage: build' configure coverage gcc --buildtype=debug -Db_coverage=true; then
  step 'coverage: tests, 97 % of the lines of lib/' coverage
fi

step 'freestanding: Cortex-M0 and M4, no C library' sh tests/freestanding/run.sh "$build/freestanding"

step 'bench: instructions and sizes' sh tests/bench/gate.sh "$build/bench"

if [ $quick = no ]; then
  if step 'fuzz: build' configure fuzz clang --buildtype=debugoptimized -Dfuzz=true -Dtests=false -Dexamples=false \
    -Ddefault_library=static -Db_sanitize=$sanitizers -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link; then
    step "fuzz: $fuzz_seconds s a target" fuzz
  fi
fi

if [ -n "$beside" ]; then
  wait "$beside"
  step 'python: the package, installed in three ways' aside_end python
  if [ $quick = no ]; then
    step 'interop: real senders and receivers' aside_end interop
    sed -n 's/^|/      |/p' "$build/interop.out"
  fi
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
