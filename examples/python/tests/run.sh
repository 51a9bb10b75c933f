#!/bin/sh
# run.sh BUILD: installs the package ehlo from the checkout, without network, into a fresh virtual environment that sees
# what the distribution packages, and runs its tests: as it is installed from a clone, with libehlo compiled in; with the
# library of the build directory BUILD; and without a C compiler, where that is loaded. And mypy.
cd "$(dirname "$0")/.." || exit 1
here=$PWD
build=$(realpath "$1") || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export PIP_NO_INDEX=1 PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset EHLO_BUILD EHLO_LIBRARY EHLO_PYTHON_ABI PYTHONPATH
failed=0 passed=0

part() { # part NAME COMMAND...
  name=$1
  shift
  echo "---- $name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "failed: $name"; fi
}

environment() { # environment NAME [VARIABLE=VALUE]...
  directory=$work/$1
  shift
  /usr/bin/python3 -m venv --system-site-packages "$directory" &&
    env "$@" "$directory/bin/pip" install -q "$here"
}

# Outside of the sources, so that what is installed is what is tested.
suite() { # suite NAME [VARIABLE=VALUE]...
  python=$work/$1/bin/python
  shift
  (cd "$work" && env "$@" "$python" -P -X dev -W error -m pytest -q -p no:cacheprovider --tb=short \
    -c "$here/pyproject.toml" --rootdir "$here" "$here/tests")
}

beside() { # beside NAME: how it went with what ran beside the rest
  cat "$work/$1.log"
  return "$(cat "$work/$1.status")"
}

clean() { # nothing is left among the sources
  extra=$(git status --porcelain --ignored -- . 2>/dev/null)
  [ "$extra" = "$before" ] || { echo "$extra"; return 1; }
}

before=$(git status --porcelain --ignored -- . 2>/dev/null)
export HYPOTHESIS_STORAGE_DIRECTORY="$work/hypothesis"
# What only computes has its time beside the tests.
(environment bundled >"$work/bundled.log" 2>&1; echo $? >"$work/bundled.status") &
(mypy --config-file pyproject.toml --cache-dir "$work/mypy" >"$work/mypy.log" 2>&1; echo $? >"$work/mypy.status") &
part 'pip install, with the library of the build' environment linked EHLO_BUILD="$build"
part 'tests, library of the build' suite linked
part 'pip install, no compiler' environment loaded EHLO_PYTHON_ABI=1 CC=false
part 'tests, library loaded' suite loaded EHLO_LIBRARY="$build/lib/libehlo.so" CC=cc
wait
part 'pip install, libehlo compiled in' beside bundled
part 'tests, libehlo compiled in' suite bundled
part 'mypy --strict' beside mypy
part 'nothing left among the sources' clean
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
