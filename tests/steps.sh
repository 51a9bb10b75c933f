# steps.sh: what tests/run.sh and tests/cross/run.sh share: steps, each told in one line, and builds and their tests.
# Who reads it in has set $top, where the tree is, and before the first step sets $build, where all is built.

# What the distribution packages is used before what else this machine may have.
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export PATH
unset CC CXX CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS

passed=0 failed=0

# step NAME COMMAND [ARGUMENT]...: runs it in the tree's top, and says in one line how it went. A command that consists
# of several tests leaves their numbers, passed and failed, in $counts, or ends its output as this script does.
step() {
  name=$1
  shift
  counts=$build/counts
  log=$build/logs/$(echo "$name" | tr -c 'A-Za-z0-9\n' '-').log
  rm -f "$counts"
  begun=$(date +%s)
  ("$@") >"$log" 2>&1 </dev/null
  status=$?
  took=$(($(date +%s) - begun))
  good=1 bad=0
  [ $status -eq 0 ] || good=0 bad=1
  [ -s "$counts" ] || tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' >"$counts"
  if [ -s "$counts" ]; then
    read -r good bad <"$counts"
    [ $status -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  fi
  passed=$((passed + good)) failed=$((failed + bad))
  tests=
  [ $((good + bad)) -eq 1 ] || tests=" ($good of $((good + bad)))"
  if [ "$bad" -eq 0 ]; then
    printf 'ok    %4d s  %s%s\n' $took "$name" "$tests"
  else
    printf 'FAIL  %4d s  %s%s\n' $took "$name" "$tests"
    lines=$(wc -l <"$log")
    [ "$lines" -le 200 ] || echo "      | ... ($log has all $lines lines)"
    tail -n 200 "$log" | sed 's/^/      | /'
  fi
  [ "$bad" -eq 0 ]
}

# configure NAME COMPILER MESON-OPTION...: a build directory $build/NAME, begun anew.
configure() {
  directory=$build/$1
  export CC="$2"
  shift 2
  rm -rf "$directory"
  meson setup "$directory" "$top" -Dwerror=true "$@" && ninja -C "$directory" all meson-test-prereq
}

# suite NAME MESON-TEST-OPTION...: all tests of a build, each counted.
suite() {
  directory=$build/$1
  shift
  meson test -C "$directory" --no-rebuild --print-errorlogs "$@" >"$directory/tests.out" 2>&1
  status=$?
  cat "$directory/tests.out"
  awk '
    /^(Ok|Expected Fail): / { good += $NF }
    /^(Fail|Unexpected Pass|Timeout): / { bad += $NF }
    END { print good + 0, bad + (good + bad == 0) }' "$directory/tests.out" >"$counts"
  return $status
}
