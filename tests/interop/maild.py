"""maild.py: what the tests of examples/maild share.

A Maild is one server with a Maildir of its own, stopped at the end of the with statement and looked at then: exit code
0, nothing left in any tmp/. A Peer is a client that is talked to line by line.
"""

import contextlib
import glob
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from harness import PATIENCE, Session

MAILD = os.environ['MAILD']
HOSTS = ('--hostname', 'mail.example.org', '--domain', 'example.org')
OPEN = ('EHLO client.example', 'MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>')
MESSAGE = b'Subject: a test\r\n\r\nHello\r\n'
PLACES = '--listen', '--lmtp', '--lmtp-listen', '--submission', '--submissions', '--smtps'
STORED = MESSAGE.replace(b'\r\n', b'\n')

# What maild puts in front.
ADDED = re.compile(rb'\AReturn-Path: <(?P<sender>[^\n]*)>\n(?:Delivered-To: (?P<recipient>[^\n]*)\n)?'
                   rb'Received: from [^\n]*\n(?:[ \t][^\n]*\n)*')


def wait_for(what, patience=PATIENCE, because=''):
    """What `what` returns, as soon as it is true."""
    end = time.monotonic() + patience
    while not (result := what()):
        assert time.monotonic() < end, f'waited for {because() if callable(because) else because or what} in vain'
        time.sleep(0.01)
    return result


def many_descriptors(count):
    """Lets this process, and with it those it starts, have so many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        most = max(most, count)  # root may
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))


class Maild:
    """`maildir`: a directory to be used in place of a fresh one. `clean`: nothing may be left in tmp/ at the end."""

    def __init__(self, *options, listen=('--listen', '127.0.0.1:0'), maildir=None, clean=True, hosts=HOSTS,
                 program=MAILD, **more):
        self.program = program
        self.kept = maildir is not None
        self.maildir = maildir
        self.options = [*listen, *hosts, *options]
        self.clean = clean
        self.more = more
        self.process = None

    def __enter__(self):
        if not self.kept:
            self.maildir = tempfile.mkdtemp(prefix='ehlo-maild-')
        try:
            self.start()
        except BaseException:
            self.kill()
            self.forget()
            raise
        return self

    def start(self):
        options = list(self.options)
        if '--discard' not in options:
            options += ['--maildir', self.maildir]
        descriptor, self.log_name = tempfile.mkstemp(prefix='ehlo-log-')
        with open(descriptor, 'wb') as log:
            self.process = subprocess.Popen([self.program, *options], stdin=subprocess.DEVNULL, stderr=log,
                                            start_new_session=True, **self.more)
        self.wait_log('listening on', sum(option in PLACES for option in options))
        places = re.findall(r'^maild: listening on (.*) for ([a-z]+)$', self.log(), re.MULTILINE)
        self.ports = {}
        for where, protocol in places:
            self.ports.setdefault(protocol, where if '/' in where else int(where.rpartition(':')[2]))
        self.port = self.ports.get('smtp')
        self.lmtp_port = self.ports.get('lmtp')

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_name, encoding='utf-8', errors='replace') as file:
            return file.read()

    def wait_log(self, text, count=1, patience=PATIENCE):
        def there():
            assert self.log().count(text) >= count or self.process.poll() is None, self.log()
            return self.log().count(text) >= count
        wait_for(there, patience, f'"{text}" in the log:\n{self.log()}')

    def children(self):
        with open(f'/proc/{self.pid}/task/{self.pid}/children') as file:
            return [int(word) for word in file.read().split()]

    def memory(self):
        """Octets of the server and its writers, what they share counted once."""
        total = 0
        for pid in self.pid, *self.children():
            with open(f'/proc/{pid}/smaps_rollup') as file:
                total += int(re.search(r'^Pss: +(\d+) kB', file.read(), re.MULTILINE)[1]) * 1024
        return total

    def status(self):
        """The figures that it logs at SIGUSR1."""
        before = self.log().count('maild: status ')
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log('maild: status ', before + 1)
        line = re.findall(r'^maild: status (.*)$', self.log(), re.MULTILINE)[-1]
        return {name: int(value) for name, value in (pair.split('=') for pair in line.split())}

    # ---- Maildirs ----

    def files(self, part='new', address='*'):
        return sorted(glob.glob(os.path.join(self.maildir, address, part, '*')))

    def messages(self, address='*'):
        """[(sender, recipient named in the header or None, octets of the content)] in the order of the names."""
        found = []
        for name in self.files(address=address):
            with open(name, 'rb') as file:
                octets = file.read()
            added = ADDED.match(octets)
            assert added, octets[:1000]
            assert f',S={len(octets)}' in name, name
            recipient = added['recipient']
            found.append((added['sender'].decode(), recipient and recipient.decode(), octets[added.end():]))
        return found

    # ---- the end ----

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, patience=PATIENCE):
        return self.process.wait(patience)

    def kill(self):
        """At once, with its helpers."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def forget(self):
        if self.process is not None:
            os.unlink(self.log_name)
        if not self.kept:
            shutil.rmtree(self.maildir)

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                if self.process.poll() is None:
                    self.terminate()
                status = self.wait()
                log = self.log()
                assert status == 0, (status, log[-4000:])
                assert log.endswith('maild: stopped\n'), log[-4000:]
                wait_for(self.alone, 10, 'the helpers to end')
                assert not self.clean or self.files('tmp') == [], (self.files('tmp'), log[-4000:])
        except subprocess.TimeoutExpired as expired:
            raise AssertionError(f'does not stop: {self.log()[-4000:]}') from expired
        finally:
            self.kill()
            self.forget()

    def alone(self):
        """Has all of its process group ended? (Whether init has buried them is not ours to wait for.)"""
        for name in glob.glob('/proc/[0-9]*/stat'):
            with contextlib.suppress(OSError), open(name) as file:
                state, _, group = file.read().rpartition(') ')[2].split()[:3]
                if int(group) == self.process.pid and state != 'Z':
                    return False
        return True


class Peer(Session):
    """A connection to a port or a Unix socket. Talks as Session does."""

    def __init__(self, where, host='127.0.0.1', source=None, greet=True):
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(where)
        else:
            self.socket = socket.create_connection((host, where), PATIENCE, source)
        self.output = self.socket.makefile('rb')
        self.greeting = self.reply() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.output.close()
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets.encode() + b'\r\n' if isinstance(octets, str) else octets)

    def replies(self, count):
        return [self.reply()[0][0] for _ in range(count)]

    def deliver(self, content=MESSAGE, opening=OPEN):
        """The code that the message gets."""
        codes = self.codes(*opening)
        assert codes == [250] * len(opening), codes
        assert (code := self.code('DATA')) == 354, code
        self.send(content)
        return self.code('.')

    def gone(self):
        """Has the server closed? Waits for it; what it still says is thrown away."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True
