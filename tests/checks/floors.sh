#!/bin/sh
# floors.sh: each file of lib/ uses its own floor and those below, never one above; the server and the client never
# meet; and of the compiler's headers only those that need no C library but mem* and strlen are included.
cd "$(dirname "$0")/../.." || exit 1

find lib -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) | LC_ALL=C sort | xargs awk '
  BEGIN {
    level["bytes"] = 1; level["grammar"] = 2; level["mechanism"] = 3; level["session"] = 4
    # A public header belongs to the lowest floor that implements a part of it.
    level["ehlo/base.h"] = 1; level["ehlo/grammar.h"] = 2
    level["ehlo/parameters.h"] = 2; level["ehlo/content.h"] = 3; level["ehlo/sasl.h"] = 3
    level["ehlo/server.h"] = 4; level["ehlo/client.h"] = 4; level["ehlo.h"] = 4
    system_header["stddef.h"]; system_header["stdint.h"]; system_header["string.h"]
    vector_header["immintrin.h"]; vector_header["emmintrin.h"]; vector_header["arm_neon.h"]
  }
  function wrong(what) {
    print FILENAME ":" FNR ": " what
    failed = 1
  }
  function side(path) {
    return path ~ /(^|\/)server[^\/]*$/ ? "server" : path ~ /(^|\/)client[^\/]*$/ ? "client" : ""
  }
  FNR == 1 {
    split(FILENAME, part, "/")
    floor = part[2]
    files++
    if (!(floor in level) || part[3] == "" || part[4] != "")
      wrong("stands on none of the floors")
  }
  side(FILENAME) == "server" && /ehlo_client/ || side(FILENAME) == "client" && /ehlo_server/ {
    wrong("the server and the client meet")
  }
  /^[ \t]*#[ \t]*include/ {
    if (match($0, /<[^>]*>/)) {
      name = substr($0, RSTART + 1, RLENGTH - 2)
      if (!(name in system_header) && !(name in vector_header && FILENAME == "lib/bytes/scan.c"))
        wrong("includes <" name ">")
      next
    }
    if (!match($0, /"[^"]*"/)) {
      wrong("includes what cannot be told")
      next
    }
    name = substr($0, RSTART + 1, RLENGTH - 2)
    if (name in level)
      target = name
    else if (name ~ /^\.\.\/[a-z]+\/[^\/]+$/) {
      split(name, part, "/")
      target = part[2]
    } else if (name !~ /\//)
      target = floor
    else
      target = ""
    if (!(target in level))
      wrong("includes \"" name "\", which is on none of the floors")
    else if (level[target] > level[floor])
      wrong("includes \"" name "\", which is on a floor above")
    if (side(FILENAME) != "" && side(name) != "" && side(FILENAME) != side(name))
      wrong("the server and the client meet")
  }
  END {
    if (files == 0) {
      print "no files were found in lib/"
      failed = 1
    }
    exit failed
  }'
