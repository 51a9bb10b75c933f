#!/bin/sh
# quickstart.sh: a message on its way, through libehlo from end to end: from send by way of maild into a Maildir.
#
#   sh examples/quickstart.sh
#
# Installs what is missing (on Debian, by apt-get), builds, starts maild on a free port of this machine alone, and has
# send log in under TLS and give it a message; where there is no OpenSSL, that goes in clear, without a login. Everything
# it makes is in build-quickstart/, or in a temporary directory if it may not write here. Run it as often as you like.
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
server=
trap 'rm -f "$log"; [ -z "$server" ] || kill "$server" 2>/dev/null || :' EXIT
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

if [ -z "$missing" ]; then
  say 'Needed' 'cc, meson and ninja: all here'
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
quietly ninja -C $build examples/maild examples/send
say 'Built' "$build/examples/maild and send, from lib/ and examples/"

# ---- a certificate and a password ----

send="$build/examples/send --from ada@client.example --to grace@example.org"
maild="$build/examples/maild --hostname mail.example.org --domain example.org --maildir $build/mail"
rm -rf $build/secret
(umask 077 && mkdir $build/secret && echo 'correct horse' >$build/secret/password)
# Only a build with OpenSSL can make the line for --passwords.
if command -v openssl >/dev/null &&
  $build/examples/maild --hash-password ada <$build/secret/password >$build/secret/passwords 2>/dev/null; then
  quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mail.example.org \
    -addext subjectAltName=DNS:mail.example.org -keyout $build/secret/key.pem -out $build/secret/certificate.pem
  service=submission
  maild="$maild --tls-cert $build/secret/certificate.pem --tls-key $build/secret/key.pem"
  maild="$maild --passwords $build/secret/passwords"
  send="$send --starttls require --cafile $build/secret/certificate.pem --tls-name mail.example.org"
  send="$send --auth-user ada --auth-pass-file $build/secret/password"
  say 'Made' "$build/secret/: a certificate for mail.example.org, by openssl"
  say '' 'a password for ada; what maild keeps of it, by maild --hash-password:'
  say '' "$(cut -c 1-60 $build/secret/passwords)..."
else
  service=smtp
  say 'In clear' 'OpenSSL is not there: no TLS, no login. To see them: install openssl and libssl-dev,'
  say '' "remove $build/, run this again"
fi

# ---- a server ----

case $service in
submission) listen=--submission ;;
*) listen=--listen ;;
esac
rm -rf $build/mail
mkdir $build/mail
: >$build/maild.log # else the port of the last time might be read from it
$maild $listen 127.0.0.1:0 2>$build/maild.log &
server=$!
port=
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  port=$(sed -n 's/.*listening on .*:\([0-9]*\) for '$service'/\1/p' $build/maild.log)
  [ -z "$port" ] || break
  sleep 0.2
done
if [ -z "$port" ]; then
  cat $build/maild.log >&2
  echo 'quickstart: maild did not start; what it said is above' >&2
  exit 1
fi
say 'Started' "maild on port $port of 127.0.0.1, for $service"

# ---- a message ----

cat >$build/message.eml <<'MESSAGE'
From: Ada <ada@client.example>
To: Grace <grace@example.org>
Subject: Bytes in, message out

The next line begins with a dot, and must arrive with just that one.
.like this
MESSAGE

say 'Sending' "$build/message.eml; what send and maild say to each other:"
echo
$send --server "127.0.0.1:$port" --hello client.example --trace $build/message.eml >$build/outcome 2>"$log" || {
  cat "$log" $build/outcome >&2
  exit 1
}
sed 's/^/  /' "$log"
echo
say 'Outcome' "$(cat $build/outcome)"

# ---- what became of it ----

kill "$server"
wait "$server"
server=
say 'Logged' "$build/maild.log"
echo
sed 's/^/  /' $build/maild.log
echo
for stored in $build/mail/*/new/*; do
  say 'Stored' "$stored"
  echo
  sed 's/^./  &/' "$stored"
  echo
done
say 'Yours' "$maild $listen 127.0.0.1:2525"
say '' "$send --server 127.0.0.1:2525 $build/message.eml"
say 'Next' 'README.md has a server in 30 lines and a client in 45; sh tests/run.sh shows that all this holds'
