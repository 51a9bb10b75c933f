#!/bin/sh
# Real senders deliver to examples/stdio-server and examples/maild, and these two are tested themselves.
#
#   sh tests/interop/run.sh BUILD-DIRECTORY [WORD...]
#
# BUILD-DIRECTORY is where meson and ninja have built. WORDs choose tests by their function's name. Needs what
# tests/run.sh installs: swaks, curl, msmtp, postfix (nothing of it is started but by the tests, with a configuration of
# their own), python3, valgrind, strace and faketime; Exim is fetched. As root, for the descriptors and for Postfix.
set -eu
[ $# -ge 1 ] || { echo "usage: run.sh BUILD-DIRECTORY [WORD...]" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
STDIO_SERVER=$build/examples/stdio-server
MAILD=$build/examples/maild
for program in "$STDIO_SERVER" "$MAILD"; do
  [ -x "$program" ] || { echo "$program: not built" >&2; exit 66; }
done
shift
SHIM=$build/shim.so
cc -std=c11 -O2 -shared -fPIC "$here/shim.c" -o "$SHIM" -ldl
EXIM=$(sh "$here/exim.sh" "$build/exim")
PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH # smtp-source
LC_ALL=C.UTF-8
PYTHONDONTWRITEBYTECODE=1
export STDIO_SERVER MAILD SHIM EXIM PATH LC_ALL PYTHONDONTWRITEBYTECODE
exec python3 "$here/run.py" "$@"
