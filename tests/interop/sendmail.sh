#!/bin/sh
# sendmail.sh DIRECTORY: unpacks sendmail there, and says where its program is. Its package cannot be installed beside
# Postfix's; the libraries that it needs can (tests/run.sh does that).
set -eu
mkdir -p "$1"
cd "$1"
program=usr/libexec/sendmail/sendmail
if [ ! -x $program ]; then
  [ "$(id -u)" -ne 0 ] || chown _apt . 2>/dev/null || : # who fetches it as root
  apt-cache show sendmail-bin >/dev/null 2>&1 || apt-get -q -o Acquire::Retries=3 update >&2
  apt-get -q -o Acquire::Retries=3 download sendmail-bin >&2
  dpkg -x sendmail-bin_*.deb .
  chmod g-s $program # with a group of its own it would take neither shim.so nor SASL_CONF_PATH
fi
echo "$PWD/$program"
