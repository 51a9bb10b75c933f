#!/bin/sh
# Real senders deliver to examples/stdio-server and examples/maild, examples/send and
# examples/load deliver to real receivers, and they are tested themselves.
#
#   sh tests/interop/run.sh BUILD-DIRECTORY [WORD...]
#
# BUILD-DIRECTORY is where meson and ninja have built. WORDs choose tests by their function's name. At the end comes a
# table of what they have shown of the matrix of peers and modes (matrix.py). Needs what tests/run.sh installs: swaks with
# libnet-ssleay-perl, curl, msmtp, node with nodemailer, openssl with its headers, postfix with Cyrus SASL and its
# saslpasswd2 (nothing of it is started but by the tests, with a configuration of their own), python3, python3-aiosmtpd,
# valgrind, strace and faketime; Exim, sendmail and OpenSMTPD are fetched, and nodemailer's smtp-server is by npm. As
# root, for the descriptors, for Postfix, for sendmail and for OpenSMTPD's root directory. Where the programs have ASan
# in them the tests that cannot be had with that are left out, and named.
set -eu
[ $# -ge 1 ] || { echo "usage: run.sh BUILD-DIRECTORY [WORD...]" >&2; exit 64; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
STDIO_SERVER=$build/examples/stdio-server
MAILD=$build/examples/maild
SEND=$build/examples/send
LOAD=$build/examples/load
PROXY=$build/examples/proxy
TLS_SERVER=$build/tests/tls/tls-server
TLS_CLIENT=$build/tests/tls/tls-client
for program in "$STDIO_SERVER" "$MAILD" "$SEND" "$LOAD" "$PROXY" "$TLS_SERVER" "$TLS_CLIENT"; do
  [ -x "$program" ] || { echo "$program: not built" >&2; exit 66; }
done
shift
SANITIZED=$(grep -q __asan_init "$MAILD" && echo yes || :)
SHIM=$build/shim.so
cc -std=c11 -O2 -shared -fPIC "$here/shim.c" -o "$SHIM" -ldl
EXIM=$(sh "$here/exim.sh" "$build/exim")
SENDMAIL=$(sh "$here/sendmail.sh" "$build/sendmail")
OPENSMTPD=$(sh "$here/opensmtpd.sh" "$build/opensmtpd")
SMTP_SERVER=$(sh "$here/smtp_server.sh" "$build/smtp-server")
PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH # smtp-source, smtp-sink
LC_ALL=C.UTF-8
PYTHONDONTWRITEBYTECODE=1
export SANITIZED STDIO_SERVER MAILD SEND LOAD PROXY TLS_SERVER TLS_CLIENT SHIM EXIM SENDMAIL OPENSMTPD SMTP_SERVER PATH
export LC_ALL PYTHONDONTWRITEBYTECODE
exec python3 "$here/run.py" "$@"
