"""extract.py: writes the C program of README.md (its one ```c block) to standard output.

It must stay what the page says it is, 30 lines of code.
"""

import re
import sys

with open(sys.argv[1], encoding='utf-8') as file:
    programs = re.findall(r'^```c\n(.*?)^```$', file.read(), re.DOTALL | re.MULTILINE)
if len(programs) != 1:
    sys.exit(f'README.md has {len(programs)} C programs, not one')
lines = [line for line in programs[0].splitlines() if line.strip()]
if len(lines) > 30 or max(map(len, lines)) > 120:
    sys.exit(f'the program has {len(lines)} lines, the longest of {max(map(len, lines))} columns')
sys.stdout.write(programs[0])
