#!/bin/sh
# opensmtpd.sh DIRECTORY: makes DIRECTORY/root a tree that OpenSMTPD can have for its root directory, and says where it
# is. Its package cannot be installed beside Postfix's, and all its paths are fixed; the libraries that it needs can be
# installed (tests/run.sh does that), and are copied.
set -eu
mkdir -p "$1"
cd "$1"
if [ ! -d root ]; then
  [ "$(id -u)" -ne 0 ] || chown _apt . 2>/dev/null || : # who fetches it as root
  apt-cache show opensmtpd >/dev/null 2>&1 || apt-get -q -o Acquire::Retries=3 update >&2
  apt-get -q -o Acquire::Retries=3 download opensmtpd >&2
  rm -rf unfinished
  dpkg -x opensmtpd_*.deb unfinished
  cd unfinished
  rm -rf usr/share etc/init.d lib/systemd
  mkdir -p bin dev mail tmp run var/run var/spool/smtpd
  cp /bin/sh bin/sh # runs mail.maildir
  for program in usr/sbin/smtpd usr/libexec/opensmtpd/mail.maildir bin/sh; do
    ldd "$program"
  done >libraries
  if grep 'not found' libraries >&2; then exit 1; fi
  for library in $(grep -oE '/[^ :]+' libraries | grep '\.so' | sort -u); do
    mkdir -p ".$(dirname "$library")"
    cp -L "$library" ".$library"
  done
  rm libraries
  # Users of its own: the machine needs none.
  for user in root:0 opensmtpd:901 opensmtpq:902 mail:903; do
    echo "${user%:*}:x:${user#*:}:${user#*:}::/var/lib/opensmtpd/empty:/bin/false" >>etc/passwd
    echo "${user%:*}:x:${user#*:}:" >>etc/group
  done
  cd ..
  mv unfinished root
fi
echo "$PWD/root"
