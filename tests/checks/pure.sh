#!/bin/sh
# pure.sh BUILD: the static library in the build directory calls nothing but the mem* and strlen family, and holds no
# data that can be written (law 1).
cd "$(dirname "$0")/../.." || exit 1
archive=$1/lib/libehlo.a
[ -r "$archive" ] || { echo "no $archive"; exit 1; }

# The offset table is the linker's own, not a call.
foreign=$(nm "$archive" | awk '
  NF == 2 && ($1 == "U" || $1 == "w" || $1 == "v") { needed[$2] }
  NF == 3 && $2 ~ /[A-Z]/ { defined[$3] }
  END { for (name in needed) if (!(name in defined)) print name }' |
  LC_ALL=C sort | grep -vxE 'memcpy|memmove|memset|memcmp|memchr|strlen|_GLOBAL_OFFSET_TABLE_')
writable=$(size -A "$archive" | awk '
  $1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print $1 ": " $2 " octets" }
  $1 ~ /^\.text/ { text += $2 }
  END { if (text == 0) print "no code was found" }'
  nm "$archive" | awk 'NF == 3 && $2 ~ /[bBcCsSgG]/ { print $3 " can be written" }')

[ -z "$foreign" ] || printf 'lib/ needs what it may not call:\n%s\n' "$foreign"
[ -z "$writable" ] || printf 'lib/ holds writable data:\n%s\n' "$writable"
[ -z "$foreign$writable" ]
