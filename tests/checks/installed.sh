#!/bin/sh
# installed.sh BUILD: what the build directory installs is found by pkg-config from outside of the tree, shared and
# static, from C and C++; the examples, which BUILD has to install, run and have their manual pages.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

meson install -C "$build" --no-rebuild --destdir "$work/root"
PKG_CONFIG_LIBDIR=$(dirname "$(find root -name libehlo.pc)")
PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
libraries=$(dirname "$PKG_CONFIG_LIBDIR")

cat >program.c <<'PROGRAM'
#include <ehlo.h>
#include <stdio.h>

int main(void)
{
  ehlo_server_config config;
  if (ehlo_server_config_init(&config, sizeof config) != EHLO_OK) {
    return 1;
  }
  config.hostname = ehlo_span_of("mail.example.org");
  puts(ehlo_version());
  return ehlo_server_size(&config) == 0;
}
PROGRAM

for compiler in 'gcc -std=c11' 'g++ -x c++ -std=c++11'; do
  $compiler -Wall -Wextra -pedantic -Werror $(pkg-config --cflags libehlo) -c program.c
  gcc -o shared program.o $(pkg-config --libs libehlo)
  readelf -d shared | grep -q 'NEEDED.*libehlo\.so\.0'
  gcc -o static program.o -Wl,-Bstatic $(pkg-config --static --libs libehlo) -Wl,-Bdynamic
  if readelf -d static | grep 'NEEDED.*libehlo'; then
    exit 1
  fi
  version=$(pkg-config --modversion libehlo)
  [ "$(LD_LIBRARY_PATH=$libraries ./shared)" = "$version" ]
  [ "$(./static)" = "$version" ]
done

LD_LIBRARY_PATH=$libraries
export LD_LIBRARY_PATH
for program in sbin/maild sbin/proxy sbin/stdio-server bin/send bin/load; do
  "$(find root -path "*/$program")" --version | grep -q "^$(basename "$program") (libehlo) $version\$"
done
for page in man8/maild.8 man8/proxy.8 man1/send.1 man1/load.1; do
  [ -n "$(find root -path "*/man/$page")" ]
done
