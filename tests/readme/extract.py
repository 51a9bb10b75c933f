"""extract.py README.md NUMBER LINES: writes the NUMBERth C program of the page (```c blocks) to standard output.

It must stay what the page says it is, LINES lines of code at most.
"""

import re
import sys

path, number, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, encoding='utf-8') as file:
    programs = re.findall(r'^```c\n(.*?)^```$', file.read(), re.DOTALL | re.MULTILINE)
if len(programs) != 2:
    sys.exit(f'README.md has {len(programs)} C programs, not two')
program = programs[number - 1]
lines = [line for line in program.splitlines() if line.strip()]
if len(lines) > most or max(map(len, lines)) > 120:
    sys.exit(f'the program has {len(lines)} lines, the longest of {max(map(len, lines))} columns')
sys.stdout.write(program)
