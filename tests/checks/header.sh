#!/bin/sh
# header.sh BUILD: each public header compiles alone, as C99, C11 and C++; with EHLO_BINDING the whole is plain enough
# for a foreign function interface, shown with cffi, through which every function is found in the library.
cd "$(dirname "$0")/../.." || exit 1
build=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

compile() { # compile HEADER COMPILER OPTION...
  printf '#include "%s"\nextern int unit;\nint unit = sizeof(ehlo_span);\n' "$1" >"$work/unit.c"
  shift
  "$@" -Wall -Wextra -Wconversion -pedantic -Werror -Iinclude -fsyntax-only "$work/unit.c" || failed=1
}

for header in ehlo.h ehlo/base.h ehlo/client.h ehlo/content.h ehlo/grammar.h ehlo/parameters.h \
  ehlo/sasl.h ehlo/server.h; do
  for compiler in gcc clang; do
    compile "$header" "$compiler" -std=c99 -Wstrict-prototypes
    compile "$header" "$compiler" -std=c11 -Wstrict-prototypes
    compile "$header" "$compiler" -x c++ -std=c++98 -Wno-long-long
    compile "$header" "$compiler" -x c++ -std=c++20
  done
done
[ "$(find include -name '*.h' | wc -l)" -eq 8 ] || { echo "a header of include/ is not compiled here"; failed=1; }

# Without a -I nothing can be included but the headers' own neighbours; of the standard's there must be none.
gcc -E -nostdinc -DEHLO_BINDING -o "$work/binding.i" include/ehlo.h || failed=1
sed '/^#/d' "$work/binding.i" >"$work/binding.h"
forbid() { # forbid WHAT PATTERN
  if grep -nE "$2" "$work/binding.h"; then
    echo "the header as a binding sees it holds $1"
    failed=1
  fi
}
forbid 'an attribute or a declaration specifier' '__[a-z]+|\b(inline|static|extern|_Static_assert)\b'
forbid 'an enum-typed field or parameter' '\benum +[a-z_]+'
forbid 'a bit-field' ':'
forbid 'a variadic function' '\.\.\.'
forbid 'a type that not every C has' '\b(ssize_t|bool|_Bool|long|wchar_t|off_t|time_t|max_align_t)\b'
grep -q 'ehlo_server_feed' "$work/binding.h" || { echo "the header as a binding sees it is empty"; failed=1; }

python3 - "$work/binding.h" "$build/lib/libehlo.so" lib/ehlo.map <<'PYTHON' || failed=1
import re
import sys

import cffi

header, library, symbols = sys.argv[1:]
ffi = cffi.FFI()
ffi.cdef(open(header).read())
ehlo = ffi.dlopen(library)
for name in re.findall(r"^ +(ehlo_\w+);", open(symbols).read(), re.M):
    getattr(ehlo, name)
config = ffi.new("ehlo_server_config *")
assert ehlo.ehlo_server_config_init(config, ffi.sizeof("ehlo_server_config")) == ehlo.EHLO_OK
hostname = ffi.new("char[]", b"mail.example.org")
config.hostname.ptr, config.hostname.len = hostname, 16
size = ehlo.ehlo_server_size(config)
assert size > 0
server = ffi.new("ehlo_server **")
memory = ffi.new("char[]", size + 64)
block = memory + -int(ffi.cast("uintptr_t", memory)) % 64  # aligned for max_align_t, wherever that is


@ffi.callback("ehlo_server_event_fn", error=1)
def on_event(server, event, user):
    return ehlo.EHLO_HANDLED


assert ehlo.ehlo_server_init(server, block, size, config, on_event, ffi.NULL) == ehlo.EHLO_OK
assert ehlo.ehlo_server_start(server[0]) == ehlo.EHLO_OK
length = ffi.new("size_t *")
greeting = ffi.buffer(ehlo.ehlo_server_output(server[0], length), length[0])[:]
assert greeting.startswith(b"220 mail.example.org "), greeting
PYTHON
exit $failed
