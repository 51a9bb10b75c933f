#!/bin/sh
# quickstart.sh: a message on its way, from a stock mail client through libehlo to the disk.
#
#   sh examples/quickstart.sh
#
# Installs what is missing (on Debian, by apt-get), builds, and has swaks send stdio-server a message. Everything it
# makes is in build-quickstart/, or in a temporary directory if it may not write here. Run it as often as you like.
set -eu
cd "$(dirname "$0")/.."

bold= faint= plain=
if [ -t 1 ]; then
  bold=$(printf '\033[1m') faint=$(printf '\033[2m') plain=$(printf '\033[0m')
fi

say() {
  printf '%s%-12s%s %s\n' "$bold" "$1" "$plain" "$2"
}

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
  "$@" >"$log" 2>&1 && return
  cat "$log" >&2
  echo "quickstart: $1 failed; what it said is above" >&2
  exit 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# ---- what is missing ----

missing=
need() { # PACKAGE COMMAND...
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}
need gcc command -v cc
need libc6-dev test -e /usr/include/stdio.h
need meson command -v meson
need ninja-build command -v ninja
need swaks command -v swaks

if [ -z "$missing" ]; then
  say 'Needed' 'cc, meson, ninja and swaks: all here'
else
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root=sudo
  if ! command -v apt-get >/dev/null || ! command -v ${as_root:-env} >/dev/null; then
    echo "quickstart: please install$missing, then run this again" >&2
    exit 1
  fi
  say 'Needed' "installing$missing${as_root:+ (with sudo)}"
  quietly $as_root apt-get -q update
  quietly $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing
fi

# ---- building ----

build=build-quickstart
[ -w . ] || build=$(mktemp -d)
[ -e $build/build.ninja ] || quietly meson setup -Dtests=false -Dbuildtype=release $build
quietly ninja -C $build examples/stdio-server
say 'Built' "$build/examples/stdio-server, from lib/ and examples/stdio-server.c"

# ---- a message ----

rm -rf $build/spool
mkdir $build/spool
message='From: Ada <ada@client.example>
To: Grace <grace@example.org>
Subject: Bytes in, message out

The next line begins with a dot, and must arrive with just that one.
.like this'

server="$build/examples/stdio-server --hostname mail.example.org --domain example.org --spool $build/spool"
say 'Sending' 'swaks talks to stdio-server through a pipe; set in are the events that the library gives it'
echo
quietly swaks --pipe "$server --trace 2>$build/trace" --ehlo client.example \
  --from ada@client.example --to grace@example.org --data "$message" --hide-all
sed "s/^ .*/$faint&$plain/; s/^/  /" $build/trace
echo

# ---- what became of it ----

for envelope in $build/spool/*.env; do
  say 'Stored' "$envelope"
  echo
  sed 's/^/  /' "$envelope"
  echo
  say 'and' "${envelope%.env}.eml"
  echo
  tr -d '\r' <"${envelope%.env}.eml" | sed 's/^./  &/'
  echo
done
say 'Yours' "$server"
say 'Next' 'README.md has a host in 30 lines; sh tests/run.sh shows that all this holds'
