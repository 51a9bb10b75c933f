"""python.py: what the Python package costs: a receiver on ehlo.aio.serve beside aiosmtpd's, a sender on ehlo.aio beside
smtplib.

    PYTHON tests/bench/python.py [--rounds N] [--only receiving,sending] [--no-pin] [--check]

PYTHON is an interpreter that has the package ehlo, and aiosmtpd; smtp-source and smtp-sink come with Postfix.

receiving:   smtp-source sends each the same, one after the other, in rounds; all have a handler that is given the whole
             message and takes it: ehlo an async one, as aiosmtpd must, and a plain one. Beside them the floor: asyncio
             alone, a protocol that answers by rote and keeps nothing. The CPU seconds of the receiver's process are
             counted, user and system. What has a goal is aiosmtpd's by those of ehlo.
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

# What is sent: label, octets, connections, messages, fewer to aiosmtpd, which takes long; and the goal.
RECEIVING = [
    ('1 KB, 1 connection', 1000, 1, 1000, 200, 5),
    ('1 KB, 50 connections', 1000, 50, 1500, 300, 5),
    ('1 MB, 1 connection', 1000000, 1, 60, 5, 20),
    ('1 MB, 50 connections', 1000000, 50, 150, 50, 20),
]
# Label, octets, messages.
SENDING = [('1 KB', 1000, 1000), ('1 MB', 1000000, 100)]


# ---- the processes that are measured ----

def listening(port):
    print(f'listening on 127.0.0.1:{port}', file=sys.stderr, flush=True)


def receive_floor():
    class Floor(asyncio.BufferedProtocol):
        octets = memoryview(bytearray(131072))

        def connection_made(self, transport):
            self.transport = transport
            self.content = False
            transport.write(b'220 floor\r\n')

        def get_buffer(self, sizehint):
            return self.octets

        def buffer_updated(self, count):
            if self.content:
                if self.octets[count - 5:count] == b'\r\n.\r\n':
                    self.content = False
                    self.transport.write(b'250 2.6.0 Message accepted\r\n')
            elif self.octets[:1] == b'D':
                self.content = True
                self.transport.write(b'354 Start mail input; end with <CRLF>.<CRLF>\r\n')
            elif self.octets[:1] == b'Q':
                self.transport.write(b'221 2.0.0 Bye\r\n')
                self.transport.close()
            else:
                self.transport.write(b'250 2.1.0 Okay\r\n')

    async def main():
        server = await asyncio.get_running_loop().create_server(Floor, '127.0.0.1', 0)
        listening(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def receive_ehlo(handler):
    import ehlo.aio

    async def main():
        async with ehlo.aio.serve(handler, port=0) as server:
            listening(server.port)
            await server.serve_forever()

    asyncio.run(main())


def receive_ehlo_async():
    class Handler:
        async def deliver(self, envelope):
            assert envelope.content

    receive_ehlo(Handler())


def receive_ehlo_plain():
    class Handler:
        def deliver(self, envelope):
            assert envelope.content

    receive_ehlo(Handler())


def receive_aiosmtpd():
    from aiosmtpd.controller import Controller

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            assert envelope.content
            return '250 OK'

    controller = Controller(Handler(), hostname='127.0.0.1', port=end_to_end.free_port())
    controller.start()
    listening(controller.port)
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


RECEIVERS = {'ehlo, async': receive_ehlo_async, 'ehlo, plain': receive_ehlo_plain, 'aiosmtpd': receive_aiosmtpd,
             'floor': receive_floor}
SENDERS = {'ehlo': send_ehlo, 'smtplib': send_smtplib}


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
    names = list(RECEIVERS)
    running, seen = {}, {}
    try:
        for name in names:
            running[name] = end_to_end.Server(name, command(name), server_processor)
        for number in range(-1, arguments.rounds):  # once unseen
            for cell in RECEIVING:
                for place in range(len(names)):  # each is first, and each is last, in its turn
                    name = names[(place + number) % len(names)]
                    count = cell[4 if name == 'aiosmtpd' else 3]
                    count = max(cell[2], count // 10) if number < 0 else count
                    run = received(running[name], cell, count, sender_processor)
                    if number >= 0:
                        seen.setdefault((cell[0], name), []).append(run)
    finally:
        for server in running.values():
            server.stop()
    print(f'\nreceiving: a message from smtp-source, loopback; medians of {arguments.rounds} interleaved rounds')
    print(f'{"":26}{"":14}{"CPU us":>8}{"messages/s":>12}{"CPU, of aiosmtpd":>18}{"goal":>6}')
    missed = []
    for cell in RECEIVING:
        for name in names:
            runs = seen[cell[0], name]
            cpu, wall = (statistics.median(run[i] for run in runs) for i in (0, 1))
            ratio = statistics.median(b[0] / a[0] for a, b in zip(runs, seen[cell[0], 'aiosmtpd']))
            line = f'  {cell[0] if name == names[0] else "":24}{name:14}{cpu * 1e6:8.0f}{1 / wall:12.0f}'
            if name != 'aiosmtpd':
                line += f'{ratio:16.1f} x'
            if name.startswith('ehlo'):
                line += f'{cell[5]:6}'
                if ratio < cell[5]:
                    missed.append(f'{cell[0]} ({name})')
            print(line)
    print(f'  below the goal: {"; ".join(missed) or "none"}')
    return missed


# ---- sending ----

def sending(arguments):
    sink_processor, processor = processors(arguments.pin)
    names = list(SENDERS)
    seen = {}
    servers = end_to_end.Servers(arguments)
    with servers.sink(sink_processor) as sink:
        for number in range(arguments.rounds):
            for label, size, count in SENDING:
                for name in names if number % 2 else reversed(names):
                    begun = time.monotonic()
                    run = subprocess.run(pinned(command(name, sink.port, size, count), processor),
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
    parser.add_argument('--role', choices=[*RECEIVERS, *SENDERS], help=argparse.SUPPRESS)
    parser.add_argument('numbers', nargs='*', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        said = {**RECEIVERS, **SENDERS}[arguments.role](*arguments.numbers)
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
