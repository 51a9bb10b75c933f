#!/bin/sh
# exim.sh DIRECTORY: unpacks Exim there, and says where its program is. Its package cannot be installed beside
# Postfix's; the libraries that it needs can (tests/run.sh does that).
set -eu
mkdir -p "$1"
cd "$1"
if [ ! -x usr/sbin/exim4 ]; then
  [ "$(id -u)" -ne 0 ] || chown _apt . 2>/dev/null || : # who fetches it as root
  apt-cache show exim4-daemon-light >/dev/null 2>&1 || apt-get -q -o Acquire::Retries=3 update >&2
  apt-get -q -o Acquire::Retries=3 download exim4-daemon-light >&2
  dpkg -x exim4-daemon-light_*.deb .
fi
# Without a user of its package's name it does not start.
id Debian-exim >/dev/null 2>&1 ||
  useradd --system --user-group --no-create-home --shell /usr/sbin/nologin Debian-exim >&2
echo "$PWD/usr/sbin/exim4"
