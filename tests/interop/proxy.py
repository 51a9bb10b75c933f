"""proxy.py: what the tests of examples/proxy share: a running proxy, and next hops that go their own way."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

from harness import PATIENCE, Port
from maild import Peer, wait_for

PROXY = os.environ['PROXY']


class Proxy:
    """In front of `where`, a port or the path of a socket. At the end it has to stop in order."""

    def __init__(self, where, *options, listen=('--listen', '127.0.0.1:0'), stops=True, under=()):
        where = where if isinstance(where, str) else f'127.0.0.1:{where}'
        self.command = [*under, PROXY, *listen, '--next', where, '--hostname', 'proxy.example', *options]
        self.stops = stops

    def __enter__(self):
        self.file = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=self.file)
        pattern = r'(?m)^proxy: listening on .*?([^:\n]*)$'
        expected = sum(word in ('--listen', '--tls-listen') for word in self.command)
        def listens():
            assert self.process.poll() is None, self.log()
            return len(re.findall(pattern, self.log())) == expected
        try:
            wait_for(listens, 20, self.log)
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.file.close()
            raise
        self.places = re.findall(pattern, self.log())
        self.port = int(self.places[0]) if self.places[0].isdigit() else self.places[0]
        return self

    def log(self):
        self.file.seek(0)
        return self.file.read().decode()

    def memory(self):
        with open(f'/proc/{self.process.pid}/status') as file:
            return int(re.search(r'(?m)^VmRSS:\s+(\d+) kB', file.read())[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def peer(self):
        return Peer(self.port)

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE if kind is None and self.stops else 1)
            if kind is None:
                assert status == 0, (status, self.log()[-4000:])
                assert self.log().endswith('proxy: stopped\n'), self.log()[-4000:]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            assert kind is not None or not self.stops, f'does not stop: {self.log()[-4000:]}'
        finally:
            self.file.close()


class NextHop(Port):
    """Answers commands by these, the longest prefix first; a message by `end`. None: it closes the connection; HOLD: it
    says nothing more. `said` has the lines of all connections, a list for each; `contents` the messages that were
    ended; `ends` how connections ended: 'quit', 'closed' (by the proxy), 'cut' (within content), 'dropped'."""
    HOLD = object()

    def __init__(self, answers=(), end='250 2.6.0 Stored', greeting='220 next.example ESMTP', offers='', before=None,
                 during=None):
        self.answers = {'LHLO': '', 'EHLO': '', 'MAIL': '250 2.1.0 ok', 'RCPT': '250 2.1.5 ok', 'DATA': '354 go',
                        'RSET': '250 2.0.0 ok', 'QUIT': '221 2.0.0 bye', **dict(answers)}
        hello = '\r\n'.join(f'250-{word}' for word in ('next.example', *offers.split(', ')) if word)
        for verb in 'EHLO', 'LHLO':
            if self.answers[verb] == '':
                self.answers[verb] = hello + '\r\n250 HELP'
        self.end, self.greeting, self.before, self.during = end, greeting, before, during
        self.said, self.contents, self.ends = [], [], []
        self.over = threading.Event()

    def __exit__(self, *_):
        self.over.set()
        super().__exit__()

    def talk(self, connection):
        connection.settimeout(PATIENCE)
        said = []
        self.said.append(said)
        end = 'dropped'
        with contextlib.suppress(OSError), connection, connection.makefile('rb') as lines:
            if self.reply(connection, self.greeting):
                end = self.serve(connection, lines, said)
        self.ends.append(end)

    def reply(self, connection, answer):
        if answer is self.HOLD:
            self.over.wait(PATIENCE)
            return False
        if answer is None:
            return False
        connection.sendall(answer.encode() + b'\r\n')
        return True

    def serve(self, connection, lines, said):
        while line := lines.readline():
            line = line.decode().rstrip('\r\n')
            said.append(line)
            if self.before is not None:
                self.before(line)
            known = [prefix for prefix in self.answers if line.upper().startswith(prefix.upper())]
            answer = self.answers[max(known, key=len)] if known else '500 5.5.1 What?'
            if not self.reply(connection, answer):
                return 'dropped'
            if line.upper() == 'QUIT':
                return 'quit'
            if answer.startswith('354'):
                content = []
                if self.during is not None and not self.during(connection, lines):
                    return 'dropped'
                while (piece := lines.readline()) not in (b'.\r\n', b''):
                    content.append(piece[1:] if piece.startswith(b'.') else piece)
                if piece == b'':
                    return 'cut'
                self.contents.append(b''.join(content))
                if not self.reply(connection, self.end):
                    return 'dropped'
        return 'closed'

    def ended(self, count=1):
        """How all connections have ended, once there are so many."""
        wait_for(lambda: len(self.ends) >= count, 20, f'{count} connections to end: {self.said}')
        return self.ends
