#!/bin/sh
# rules.sh: which test shows which rule of rules.tsv.
#
# Lists the rules that bind the server, the client, the parser or both, of the core (tier A) and of the extensions that this version
# offers, and behind each the places in the tests that cite its id, or else the reason that tests/README.md gives. Fails
# if a rule has neither or both, if a reason is none, or if an id is cited that there is not.
cd "$(dirname "$0")/.." || exit 1
offered='PIPE SIZE 8BIT ESC UTF8 LMTP CHNK TLS DLBY FREL NSOL RRVS NULL AUTH ETRN ATRN BURL DSN MTPR RTLS LIMT SUBM MISC'
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

find tests -type f \( -name '*.[ch]' -o -path 'tests/transcripts/*.txt' -o -path 'tests/interop/*' \) -print0 |
  sort -z | xargs -0 grep -nHoE '\b[SCPBH]-[A-Z0-9]+-[0-9][0-9]\b' >"$work/cited"

awk -F '\t' -v offered="$offered" '
  FILENAME ~ /cited$/ {
    split($0, part, ":")
    place = part[1] ":" part[2]
    cited[part[3]] = cited[part[3]] "  " place
    where[part[3]] = place
    next
  }
  FILENAME ~ /README/ {
    # | id | reason |
    if (match($0, /^\| [SCPBH]-[A-Z0-9]+-[0-9][0-9] \| /)) {
      id = substr($0, 3, RLENGTH - 5)
      reason[id] = substr($0, RLENGTH + 1)
      sub(/ *\| *$/, "", reason[id])
    }
    next
  }
  FNR == 1 { next }
  { known[$1] }
  $4 ~ /^(server|client|parser|both)$/ {
    split($1, part, "-")
    if ($5 != "A" && index(" " offered " ", " " part[2] " ") == 0)
      next
    bound[$1]
    if ($1 in cited && $1 in reason)
      wrong($1 ": is shown, and tests/README.md says why it is not")
    else if ($1 in cited) {
      print $1 cited[$1]
      shown++
    } else if ($1 in reason) {
      print $1 "  (" reason[$1] ")"
      excused++
      if (tolower(reason[$1]) ~ /not yet|later issue/ || reason[$1] == "")
        wrong($1 ": this is no reason")
    } else
      wrong($1 ": is not shown: " $2 ": " $6)
  }
  function wrong(what) {
    fault[++faults] = what
  }
  END {
    for (id in cited)
      if (!(id in known))
        wrong(id ": cited at " where[id] ", but no such rule")
    for (id in reason)
      if (!(id in bound))
        wrong(id ": tests/README.md gives a reason, but it is none of the rules listed here")
    printf "\n%d rules shown by tests, %d with a reason, %d faults\n", shown, excused, faults
    for (i = 1; i <= faults; i++)
      print fault[i]
    exit faults > 0 || shown == 0
  }' "$work/cited" tests/README.md tests/rules.tsv
