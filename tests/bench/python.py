"""python.py: what the Python package costs: a receiver on ehlo.aio.serve beside aiosmtpd's, a sender on ehlo.aio beside
smtplib.

    PYTHON tests/bench/python.py [--rounds N] [--only receiving,sending] [--no-pin] [--check]

PYTHON is an interpreter that has the package ehlo, and aiosmtpd; smtp-source and smtp-sink come with Postfix.

receiving:   smtp-source sends both the same, one after the other, in rounds; both have a handler that is given the whole
             message and takes it. The CPU seconds of the receiver's process are counted, user and system.
sending:     both send smtp-sink the same octets over one connection; the CPU seconds of the sender's process are counted,
             from behind its imports.

Of all rounds the medians are shown; the ratio is the median of what each round gives. Everything is on the loopback
interface. --check: the end is 1 if a goal is missed.
"""
import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time

import end_to_end
from end_to_end import Failed, pinned, processors

# What is sent: label, octets, connections, messages to ehlo and to aiosmtpd, which takes long; and the goal.
RECEIVING = [
    ('1 KB, 1 connection', 1000, 1, 2000, 400, 5),
    ('1 KB, 50 connections', 1000, 50, 3000, 600, 5),
    ('1 MB, 1 connection', 1000000, 1, 200, 10, 20),
    ('1 MB, 50 connections', 1000000, 50, 300, 50, 20),
]
# Label, octets, messages.
SENDING = [('1 KB', 1000, 1000), ('1 MB', 1000000, 100)]


# ---- the processes that are measured ----

def receive_ehlo():
    import ehlo.aio

    class Handler:
        async def deliver(self, envelope):
            assert envelope.content

    async def main():
        async with ehlo.aio.serve(Handler(), port=0) as server:
            print(f'listening on 127.0.0.1:{server.port}', file=sys.stderr, flush=True)
            await server.serve_forever()

    asyncio.run(main())


def receive_aiosmtpd():
    from aiosmtpd.controller import Controller

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            assert envelope.content
            return '250 OK'

    controller = Controller(Handler(), hostname='127.0.0.1', port=end_to_end.free_port())
    controller.start()
    print(f'listening on 127.0.0.1:{controller.port}', file=sys.stderr, flush=True)
    time.sleep(1e6)


def content_of(size):
    line = b'x' * 76 + b'\r\n'
    return (line * (size // len(line) + 1))[:size - 2] + b'\r\n'


def send_ehlo(port, size, count):
    import ehlo.aio

    content = content_of(size)

    async def main():
        begun = time.process_time()
        async with ehlo.aio.connect('127.0.0.1', port) as connection:
            for _ in range(count):
                await connection.send(content, sender='sender@example.org', recipients=['recipient@example.com'])
        return time.process_time() - begun

    return asyncio.run(main())


def send_smtplib(port, size, count):
    import smtplib

    content = content_of(size)
    begun = time.process_time()
    with smtplib.SMTP('127.0.0.1', port) as connection:
        for _ in range(count):
            connection.sendmail('sender@example.org', ['recipient@example.com'], content)
    return time.process_time() - begun


ROLES = {'receive-ehlo': receive_ehlo, 'receive-aiosmtpd': receive_aiosmtpd,
         'send-ehlo': send_ehlo, 'send-smtplib': send_smtplib}


def command(role, *arguments):
    return [sys.executable, os.path.abspath(__file__), '--role', role, *map(str, arguments)]


# ---- receiving ----

def received(server, cell, count, processor):
    """CPU seconds, and seconds by the clock, for one message."""
    label, size, connections = cell[:3]
    # end_to_end counts for COUNT messages, and has another number for its sink.
    cpu, wall = end_to_end.send(server, (label, size, connections, False, count, count), processor)
    return cpu / end_to_end.COUNT, wall / end_to_end.COUNT


def receiving(arguments):
    server_processor, sender_processor = processors(arguments.pin)
    names = ('ehlo', 'aiosmtpd')
    running, seen = {}, {}
    try:
        for name in names:
            running[name] = end_to_end.Server(name, command(f'receive-{name}'), server_processor)
        for number in range(-1, arguments.rounds):  # once unseen
            for cell in RECEIVING:
                counts = dict(zip(names, cell[3:5]))
                for name in names if number % 2 else reversed(names):
                    count = counts[name] if number >= 0 else max(cell[2], counts[name] // 10)
                    run = received(running[name], cell, count, sender_processor)
                    if number >= 0:
                        seen.setdefault((cell[0], name), []).append(run)
    finally:
        for server in running.values():
            server.stop()
    print(f'\nreceiving: a message from smtp-source, loopback; medians of {arguments.rounds} interleaved rounds')
    print(f'{"":26}{"":12}{"CPU us":>10}{"messages/s":>12}{"CPU ratio":>11}{"goal":>7}')
    missed = []
    for cell in RECEIVING:
        ratio = statistics.median(b[0] / a[0] for a, b in zip(*(seen[cell[0], name] for name in names)))
        for name in names:
            cpu, wall = (statistics.median(run[i] for run in seen[cell[0], name]) for i in (0, 1))
            line = f'  {cell[0] if name == "ehlo" else "":24}{name:12}{cpu * 1e6:10.0f}{1 / wall:12.0f}'
            print(line + (f'{ratio:11.1f}{cell[5]:7}' if name == 'ehlo' else ''))
        if ratio < cell[5]:
            missed.append(cell[0])
    print(f'  below the goal: {"; ".join(missed) or "none"}')
    return missed


# ---- sending ----

def sending(arguments):
    sink_processor, processor = processors(arguments.pin)
    names = ('ehlo', 'smtplib')
    seen = {}
    servers = end_to_end.Servers(arguments)
    with servers.sink(sink_processor) as sink:
        for number in range(arguments.rounds):
            for label, size, count in SENDING:
                for name in names if number % 2 else reversed(names):
                    begun = time.monotonic()
                    run = subprocess.run(pinned(command(f'send-{name}', sink.port, size, count), processor),
                                         capture_output=True, text=True, timeout=120, check=False)
                    if run.returncode != 0:
                        raise Failed(f'{name}: {run.stderr[-2000:]}')
                    wall = time.monotonic() - begun
                    seen.setdefault((label, name), []).append((float(run.stdout) / count, wall / count))
    print(f'\nsending: a message to smtp-sink, one connection; medians of {arguments.rounds} interleaved rounds')
    print(f'{"":26}{"":12}{"CPU us":>10}{"CPU ratio":>11}')
    for label, _, _ in SENDING:
        ratio = statistics.median(b[0] / a[0] for a, b in zip(*(seen[label, name] for name in names)))
        for name in names:
            cpu = statistics.median(run[0] for run in seen[label, name])
            print(f'  {label if name == "ehlo" else "":24}{name:12}{cpu * 1e6:10.0f}'
                  + (f'{ratio:11.1f}' if name == 'ehlo' else ''))
    return []


PARTS = {'receiving': receiving, 'sending': sending}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', default=','.join(PARTS), help='parts, by commas: ' + ', '.join(PARTS))
    parser.add_argument('--no-pin', dest='pin', action='store_false', help='let both sides share processors')
    parser.add_argument('--check', action='store_true', help='fail if a goal is missed')
    parser.add_argument('--role', choices=list(ROLES), help=argparse.SUPPRESS)
    parser.add_argument('numbers', nargs='*', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        said = ROLES[arguments.role](*arguments.numbers)
        if said is not None:
            print(said)
        return 0
    missing = [name for name in ('smtp-source', 'smtp-sink') if not shutil.which(name, path=end_to_end.PATH)]
    if missing:
        print(f'\nPython: skipped, there is no {missing[0]} (it comes with Postfix)')
        return 0
    missed = []
    for name in arguments.only.split(','):
        missed += PARTS[name](arguments)
        sys.stdout.flush()
    return 1 if missed and arguments.check else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f'python: {error}')
