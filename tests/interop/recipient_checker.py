"""recipient_checker.py LOG: what maild asks about recipients in test_maild.py. The name tells what to do with it:

ok@, later300-550@ (after so many milliseconds this code), silent@, garbage@ (a line that is no answer), odd@ (a code
that is none), long@ (a text that fits no line), die@. All that comes is written to LOG.
"""

import heapq
import os
import re
import select
import sys
import time

TEXT = {250: '250 2.1.5 Fine', 450: '450 4.2.1 Come again', 550: '550 5.1.1 No such mailbox here'}


def main():
    log = open(sys.argv[1], 'a', buffering=1)
    due, rest = [], b''
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            os.write(1, heapq.heappop(due)[1])
        if not select.select([0], [], [], due[0][0] - now if due else None)[0]:
            continue
        octets = os.read(0, 65536)
        if not octets:
            return
        *lines, rest = (rest + octets).split(b'\n')
        for line in lines:
            log.write(line.decode() + '\n')
            word, number, *fields = line.decode().split('\t')
            if word != 'check':
                continue
            name = fields[0].partition('@')[0]
            delay, answer = 0, f'{number} {TEXT[250]}'
            if later := re.match(r'later(\d+)-(\d+)', name):
                delay, answer = int(later[1]) / 1000, f'{number} {TEXT[int(later[2])]}'
            elif name == 'silent':
                continue
            elif name == 'garbage':
                answer = 'what?'
            elif name == 'odd':
                answer = f'{number} 999 odd'
            elif name == 'long':
                answer = f'{number} 550 ' + 'x' * 5000
            elif name == 'die':
                os._exit(1)
            heapq.heappush(due, (time.monotonic() + delay, answer.encode() + b'\n'))


main()
