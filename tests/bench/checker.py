"""checker.py: a recipient checker for maild that knows the answer MILLISECONDS after it was asked, whatever else it has
been asked meanwhile, as one does that asks a database. It accepts everybody.

    maild --check-recipients 'exec python3 tests/bench/checker.py 20'
"""
import collections
import os
import select
import sys
import time


def main():
    delay = int(sys.argv[1]) / 1000
    due = collections.deque()  # of (time, id): in order, because all take the same time
    gone = set()
    rest = b''
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else None
        if select.select([0], [], [], wait)[0]:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b'\n')
            now = time.monotonic()
            for line in lines:
                verb, number, *_ = line.split(b'\t')
                if verb == b'check':
                    due.append((now + delay, number))
                elif verb == b'cancel':
                    gone.add(number)
        now = time.monotonic()
        answers = []
        while due and due[0][0] <= now:
            number = due.popleft()[1]
            if number in gone:
                gone.remove(number)
            else:
                answers.append(number + b' 250 2.1.5 known\n')
        if answers:
            os.write(1, b''.join(answers))


if __name__ == '__main__':
    main()
