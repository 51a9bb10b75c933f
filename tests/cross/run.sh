#!/bin/sh
# run.sh [BUILD-DIRECTORY]: libehlo on other machines. sh tests/run.sh --cross installs what this needs, and runs it.
#
# The cross files beside this tell what is on trial: Linux on other processors, in an emulator where this one cannot run
# their programs; another C library; and Windows, for which the library is only built. The logs of the transcripts must
# come out octet by octet as they do on this machine.
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
. tests/steps.sh

build=${1:-${EHLO_BUILD:-$top/build-tests}/cross}
mkdir -p "$build/logs" || exit 1
build=$(cd "$build" && pwd)
rm -f "$build"/logs/*

# binary TARGET NAME: a program, as the target's cross file tells it.
binary() {
  sed -n "s/^$2 = '\(.*\)'$/\1/p" "tests/cross/$1.ini"
}

# ---- cmocka ----

# No cmocka of Debian's serves musl, and those of other processors cannot be installed beside this one's without telling
# dpkg of their architectures. It is one file, so it is compiled for each target, from the source of Debian's package.
source=$build/cmocka-source

# Asks the machine's own package sources for it, in lists that nobody else sees. What is there already is kept.
fetch_cmocka() {
  [ ! -r "$source/src/cmocka.c" ] || return 0
  apt=$build/apt
  rm -rf "$apt" "$source"
  mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$source"
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -r "$list" ] || sed 's/^ *deb /deb-src /; s/^Types:.*/Types: deb-src/' "$list" >"$apt/sources/${list##*/}"
  done
  set -- -q -o Acquire::Retries=3 -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$apt/sources" \
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache"
  apt-get "$@" update # a list that has no source packages is no harm
  (cd "$apt" && apt-get "$@" source --download-only cmocka && rm -f ./*.asc &&
    tar -xf cmocka_*.orig.tar.* -C "$source" --strip-components=1) && rm -rf "$apt" &&
    [ -r "$source/src/cmocka.c" ]
}

# compile_cmocka TARGET: into a directory where pkg-config finds it. Without _UINTPTR_T cmocka's header makes a
# uintptr_t of its own wherever it does not know the sign that there is one, as with musl.
compile_cmocka() {
  directory=$build/cmocka/$1
  rm -rf "$directory"
  mkdir -p "$directory"
  "$(binary "$1" c)" -O2 -w -I"$source/include" -DHAVE_INTTYPES_H -DHAVE_MALLOC_H -DHAVE_SIGNAL_H -DHAVE_STRINGS_H \
    -DHAVE_CLOCK_REALTIME -DHAVE_GCC_THREAD_LOCAL_STORAGE -DHAVE_SIGLONGJMP -DHAVE_STRSIGNAL -DHAVE_STRUCT_TIMESPEC \
    -D_UINTPTR_T -include stdint.h -c "$source/src/cmocka.c" -o "$directory/cmocka.o" &&
    "$(binary "$1" ar)" rcs "$directory/libcmocka.a" "$directory/cmocka.o" || return 1
  version=$(sed -n 's/^project(cmocka VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
  cat >"$directory/cmocka.pc" <<PC
Name: cmocka
Description: for $1
Version: $version
Libs: -L\${pcfiledir} -lcmocka
Cflags: -I$source/include -D_UINTPTR_T
PC
}

# ---- steps of several parts ----

# build_tests TARGET
build_tests() {
  compile_cmocka "$1" && configure "$1" gcc --cross-file "tests/cross/$1.ini" --buildtype=release -Dexamples=false \
    -Dpkg_config_path="$build/cmocka/$1"
}

# logging_suite NAME MESON-TEST-OPTION...: all tests of a build; the transcripts leave their logs.
logging_suite() {
  export EHLO_LOGS="$build/$1/transcript-logs"
  mkdir -p "$EHLO_LOGS"
  suite "$@"
}

# same_logs TARGET: one log for each transcript, and each is the native one.
same_logs() {
  for transcript in tests/transcripts/*.txt tests/transcripts/client/*.txt; do
    name=${transcript#tests/transcripts/}
    name=$(echo "$name" | sed 's,/,-,')
    [ -s "$build/native/transcript-logs/$name.log" ] || { echo "$transcript left no log"; return 1; }
  done
  diff -r "$build/native/transcript-logs" "$build/$1/transcript-logs"
}

# ---- what is run ----

if step 'native: build, no warning' configure native gcc --buildtype=release -Dexamples=false; then
  step 'native: tests' logging_suite native
fi

if step 'cmocka: its source' fetch_cmocka; then
  for target in i386 aarch64 armhf s390x musl; do
    if step "$target: build, no warning" build_tests $target; then
      step "$target: tests" logging_suite $target --timeout-multiplier 10
      step "$target: the logs are the native ones" same_logs $target
    fi
  done
fi

for target in mingw64 mingw32; do
  if step "$target: build, no warning" \
    configure $target gcc --cross-file tests/cross/$target.ini --buildtype=release -Dexamples=false -Dtests=false; then
    step "$target: exports, and programs that link" sh tests/cross/windows.sh "$(binary $target c)" "$build/$target"
  fi
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
