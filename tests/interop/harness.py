"""harness.py: what the tests of this directory share.

A Spool is a directory that stdio-server stores into. A Session is one stdio-server on two pipes, talked to line by
line. A Listener is a loopback port that starts one stdio-server for each connection, as inetd would.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

PROGRAM = os.environ['STDIO_SERVER']
PATIENCE = 60  # seconds for anything that takes none; a test that waits longer fails


def native(why):
    """A decorator: the test cannot be had with programs that sanitizers are built into."""
    def mark(test):
        test.native = why
        return test
    return mark


class Spool:
    """A fresh directory, removed at the end of the with statement."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='ehlo-spool-')
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def files(self):
        return sorted(os.listdir(self.path))

    def messages(self):
        """[(lines of the envelope, octets of the content)] in the order of the names. There must be no other file."""
        files = self.files()
        names = sorted({os.path.splitext(name)[0] for name in files})
        assert files == sorted([name + suffix for name in names for suffix in ('.eml', '.env')]), files
        return [(self.read(name + '.env').decode().splitlines(), self.read(name + '.eml')) for name in names]

    def read(self, name):
        with open(os.path.join(self.path, name), 'rb') as file:
            return file.read()


class Session:
    """One stdio-server. `reply` and `command` give a reply as [(code, text), ...], one pair a line."""

    def __init__(self, *options, under=(), **more):
        self.process = subprocess.Popen([*under, PROGRAM, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, start_new_session=True, **more)
        self.output = os.fdopen(os.dup(self.process.stdout.fileno()), 'rb')
        self.alarm = threading.Timer(PATIENCE, self.kill)
        self.alarm.daemon = True
        self.alarm.start()
        self.greeting = self.reply()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # with what it runs under

    def reply(self):
        lines = []
        while True:
            line = self.output.readline()
            if line == b'' and not lines:
                return []
            assert line.endswith(b'\r\n') and line[3:4] in b'- \r', line
            lines.append((int(line[:3]), line[4:-2].decode()))
            if line[3:4] != b'-':
                return lines

    def send(self, octets):
        """A str is a line and gets its CRLF."""
        octets = octets.encode() + b'\r\n' if isinstance(octets, str) else octets
        while octets:
            octets = octets[os.write(self.process.stdin.fileno(), octets):]

    def command(self, line):
        self.send(line)
        return self.reply()

    def code(self, line):
        reply = self.command(line)
        assert len({code for code, _ in reply}) == 1, reply
        return reply[0][0]

    def codes(self, *lines):
        return [self.code(line) for line in lines]

    def end(self):
        """Ends the input and returns (rest of the output, standard error, exit code)."""
        self.process.stdin.close()
        rest = self.output.read()
        self.output.close()
        self.process.stdout.close()
        errors = self.process.stderr.read().decode()
        self.process.stderr.close()
        status = self.process.wait()
        self.alarm.cancel()
        return rest, errors, status


class Port:
    """A port of the loopback interface. Each connection is given to `talk`, in a thread of its own."""

    def __enter__(self):
        self.socket = socket.create_server(('127.0.0.1', 0), backlog=100)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(PATIENCE)  # else it takes what comes to whoever has this descriptor next
        self.socket.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connected(connection)

    def connected(self, connection):
        threading.Thread(target=self.talk, args=(connection,), daemon=True).start()


class Led:
    """A port of the loopback interface whose connections are led by `lead`, in a thread. What goes wrong there is an error
    at the end of the with statement."""
    error = None

    def __enter__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.socket.settimeout(PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.thread.join()
        self.socket.close()
        if kind is None and self.error is not None:
            raise self.error

    def run(self):
        try:
            self.lead()
        except (OSError, AssertionError) as error:
            self.error = error

    def accept(self):
        connection, _ = self.socket.accept()
        connection.settimeout(PATIENCE)
        return connection


class Listener(Port):
    """One stdio-server for each connection, all at the same time."""
    PROGRAM = PROGRAM
    TALKS = False  # on standard error, without --trace too

    def __init__(self, *options):
        self.options = options
        self.processes = []
        self.errors = tempfile.TemporaryFile()

    def connected(self, connection):
        with connection:
            self.processes.append(subprocess.Popen([self.PROGRAM, *self.options], stdin=connection, stdout=connection,
                                                   stderr=self.errors))

    def __exit__(self, kind, *_):
        super().__exit__()
        statuses = [process.wait(PATIENCE) for process in self.processes]
        self.errors.seek(0)
        errors = self.errors.read().decode()
        self.errors.close()
        if kind is None:
            assert self.processes and not any(statuses), statuses
            assert errors == '' or self.TALKS or '--trace' in self.options, errors
