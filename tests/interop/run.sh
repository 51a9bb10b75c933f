#!/bin/sh
# Real senders deliver to examples/stdio-server, and stdio-server itself is tested.
#
#   sh tests/interop/run.sh BUILD-DIRECTORY [WORD...]
#
# BUILD-DIRECTORY is where meson and ninja have built. WORDs choose tests by their function's name. Needs what
# tests/run.sh installs: swaks, curl, msmtp, postfix (for smtp-source; nothing of it is started), python3, valgrind,
# strace and faketime.
set -eu
[ $# -ge 1 ] || { echo "usage: run.sh BUILD-DIRECTORY [WORD...]" >&2; exit 64; }
STDIO_SERVER=$(cd "$1" && pwd)/examples/stdio-server
[ -x "$STDIO_SERVER" ] || { echo "$STDIO_SERVER: not built" >&2; exit 66; }
shift
PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH # smtp-source
LC_ALL=C.UTF-8
PYTHONDONTWRITEBYTECODE=1
export STDIO_SERVER PATH LC_ALL PYTHONDONTWRITEBYTECODE
exec python3 "$(dirname "$0")/run.py" "$@"
