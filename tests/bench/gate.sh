#!/bin/sh
# gate.sh: holds the instruction counts and the sizes to goals.tsv. Times nothing.
exec sh "$(dirname "$0")/run.sh" --gate "$@"
