"""test_send.py: what examples/send tells of servers that go their own way, and what it makes of its surroundings.

A Server plays a script: octets are said; a str is a command that must come next, CONTENT a whole message, END the end
of the connection; at HOLD it reads nothing until send has gone. At the end of its script it closes.
"""

import os
import re
import subprocess
import tempfile
import threading
import unittest

from harness import PATIENCE, Led

SEND = os.environ['SEND']
MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../examples/send/send.1')
SENDER = 'sender@example.com'
RECIPIENT = 'recipient@example.org'
MESSAGE = b'Subject: x\n\n.\nbody\n'
LARGE = b'x' * 70 + b'\n'
LARGE *= 16 * 1048576 // len(LARGE)  # more than the buffers of any socket

CONTENT, END, HOLD = object(), object(), object()
OPEN = (b'220 server.example\r\n', 'EHLO', b'250-server.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n'
        b'250-8BITMIME\r\n250 SMTPUTF8\r\n', 'MAIL', 'RCPT', 'DATA', b'250 ok\r\n250 ok\r\n354 go ahead\r\n')
DELIVERED = (*OPEN, CONTENT, b'250 2.0.0 taken\r\n')
QUIT = ('QUIT', b'221 bye\r\n', END)
TAKEN = f'{RECIPIENT}\t250\t2.0.0\ttaken\n'


class Server(Led):
    """Serves one connection. What it did not get as the script has it is an error."""

    def __init__(self, *script):
        self.script = script
        self.over = threading.Event()

    @property
    def where(self):
        return f'127.0.0.1:{self.port}'

    def __exit__(self, *error):
        self.over.set()
        super().__exit__(*error)

    def lead(self):
        connection = self.accept()
        with connection, connection.makefile('rb') as lines:
            for step in self.script:
                self.play(step, connection, lines)

    def play(self, step, connection, lines):
        if isinstance(step, bytes):
            connection.sendall(step)
        elif step is CONTENT:
            while (line := lines.readline()) != b'.\r\n':
                assert line.endswith(b'\r\n'), line
        elif step is END:
            rest = lines.read()
            assert rest == b'', rest
        elif step is HOLD:
            assert self.over.wait(PATIENCE)
        else:
            line = lines.readline()
            assert line.startswith(step.encode()), (line, step)


class Send(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix='ehlo-send-'))

    def file(self, name, content=MESSAGE):
        path = os.path.join(self.directory, name)
        with open(path, 'wb') as file:
            file.write(content)
        return path

    def send(self, where, *words, recipient=RECIPIENT, redirect='', **more):
        """`redirect` is what a shell is told about descriptors."""
        command = ['sh', '-c', f'exec "$@" {redirect}', 'sh', SEND, '--server', where, '--from', SENDER, '--to',
                   recipient, '--hello', 'client.example', '--timeout', str(PATIENCE // 2), *words]
        if 'input' not in more:
            more['stdin'] = subprocess.DEVNULL
        return subprocess.run(command, capture_output=True, encoding='utf-8', timeout=PATIENCE, check=False, **more)

    def told(self, done, status, output, errors=''):
        self.assertEqual((done.returncode, done.stdout), (status, output), done)
        self.assertRegex(done.stderr, f'^{errors}$', done)

    # ---- servers ----

    def test_send_refused_early(self):
        """send: content is refused before its end: the messages behind it are 451, and it is said why"""
        with Server(*OPEN, b'552 5.3.4 too big\r\n', HOLD) as server:
            done = self.send(server.where, self.file('large', LARGE), self.file('small'), self.file('other'))
        why = 'The connection was closed: the message before was refused while it was being sent'
        self.told(done, 1, f'{RECIPIENT}\t552\t5.3.4\ttoo big\n' + f'{RECIPIENT}\t451\t4.4.2\t{why}\n' * 2)

    def test_send_nonsense_at_quit(self):
        """send: nonsense in answer to QUIT changes no exit code, but is complained of"""
        with Server(*DELIVERED, 'QUIT', b'nonsense\r\n', END) as server:
            self.told(self.send(server.where, self.file('a')), 0, TAKEN, r'send: [0-9.:]*: syntax\n')
        with Server(*OPEN, CONTENT, b'554 5.6.0 no\r\n', 'QUIT', b'nonsense\r\n', END) as server:
            done = self.send(server.where, self.file('a'))
        self.told(done, 1, f'{RECIPIENT}\t554\t5.6.0\tno\n', r'send: [0-9.:]*: syntax\n')

    def test_send_nonsense_in_between(self):
        """send: nonsense that keeps an outcome from being decided is exit code 76"""
        with Server(*DELIVERED, 'MAIL', 'RCPT', 'DATA', b'nonsense\r\n', END) as server:
            done = self.send(server.where, self.file('a'), self.file('b'))
        self.told(done, 76, f'{TAKEN}{RECIPIENT}\t451\t4.5.0\tThe server broke the protocol: syntax\n',
                  r'send: [0-9.:]*: syntax\n')

    # ---- descriptors ----

    def test_send_closed_descriptors(self):
        """send: with standard input, output or error closed nothing of what it tells goes to the server"""
        for closed in '<&-', '>&-', '2>&-', '<&- >&-', '<&- >&- 2>&-':
            with self.subTest(closed), Server(*DELIVERED, *QUIT) as server:
                done = self.send(server.where, '--trace', self.file('a'), redirect=closed)
                self.assertEqual((done.returncode, done.stdout), (0, '' if ' >' in f' {closed}' else TAKEN), done)
                self.assertEqual(done.stderr == '', '2>' in closed, done)

    def test_send_closed_input(self):
        """send: a closed standard input is no empty message"""
        self.told(self.send('127.0.0.1:1', '-', redirect='<&-'), 64, '', 'send: -: Bad file descriptor\n')

    def test_send_full_output(self):
        """send: exit code 74 when standard output does not take the outcomes, one complaint; messages still go out"""
        second = 'MAIL', 'RCPT', 'DATA', b'250 ok\r\n250 ok\r\n354 go ahead\r\n', CONTENT, b'554 5.6.0 no\r\n'
        complaint = 'send: standard output: No space left on device\n'
        with Server(*DELIVERED, *second, *QUIT) as server:
            done = self.send(server.where, self.file('a'), self.file('b'), redirect='>/dev/full')
        self.told(done, 74, '', complaint)
        for option in '--help', '--version':
            self.told(self.send('127.0.0.1:1', option, redirect='>/dev/full'), 74, '', complaint)
            self.assertEqual(self.send('127.0.0.1:1', option).returncode, 0)

    # ---- chunks ----

    def test_send_chunk_refused(self):
        """send: a chunk is refused: its answer is the outcome, and the next message goes on behind RSET"""
        hello = OPEN[2].replace(b'250 SMTPUTF8', b'250 CHUNKING')
        begin = 'MAIL', 'RCPT', b'250 ok\r\n250 ok\r\n'
        with Server(OPEN[0], 'EHLO', hello, *begin, 'BDAT 23', 'Subject', '', '.', 'body', 'BDAT 0 LAST',
                    b'552 5.3.4 too big\r\n503 5.5.1 RSET first\r\n', 'RSET', b'250 ok\r\n', *begin, 'BDAT 23',
                    'Subject', '', '.', 'body', 'BDAT 0 LAST', b'250 ok\r\n250 2.0.0 taken\r\n', *QUIT) as server:
            done = self.send(server.where, '--bdat', 'always', self.file('a'), self.file('b'))
        self.told(done, 1, f'{RECIPIENT}\t552\t5.3.4\ttoo big\n{TAKEN}')

    # ---- the command line ----

    def test_send_bad_parameters(self):
        """send: values that no server could read, and what may not stand together, are bad usage"""
        for words in (('--bdat', 'yes'), ('--dsn-notify', 'sometimes'), ('--dsn-notify', 'never,delay'),
                      ('--dsn-notify', ''), ('--dsn-ret', 'all'), ('--envid', ''), ('--envid', 'x' * 101),
                      ('--envid', 'a\u00e4'), ('--deliver-by', ''), ('--deliver-by', '10,x'), ('--deliver-by', '0,r'),
                      ('--deliver-by', '10;N'), ('--hold-for', '0'), ('--hold-for', '1h'), ('--priority', '10'),
                      ('--submitter', 'nobody'), ('--submitter', ''), ('--hold-for', '20', '--deliver-by', '10,r'),
                      ('--dsn-ret', 'full', '--dsn-ret', 'hdrs')):
            with self.subTest(words):
                self.told(self.send('127.0.0.1:1', *words, self.file('a')), 64, '', 'send: [^\\n]*\n')

    def test_send_manual(self):
        """send: its manual page knows the options that --help does, and no others"""
        with open(MANUAL) as file:
            manual = file.read()
        said = self.send('127.0.0.1:1', '--help').stdout
        options = set(re.findall(r'(?m)(?:^  |, )--([a-z-]+)', said))
        self.assertGreater(len(options), 30)
        self.assertEqual(set(re.findall(r'Fl Fl ([a-z-]+)', manual)), options)
        for code in re.findall(r'(?<!\d)(\d|6\d|7\d)(?= [a-zT])', said[said.index('Exit codes'):]):
            self.assertIn(f'\n.It {code}\n', manual)

    def test_send_input_twice(self):
        """send: standard input can be named but once"""
        self.told(self.send('127.0.0.1:1', '-', self.file('a'), '-', input=MESSAGE.decode()), 64, '',
                  'send: -: standard input can be sent but once\n')

    def test_send_bad_server(self):
        """send: what is no HOST:PORT is bad usage"""
        for where in ('127.0.0.1:smtpx', '127.0.0.1:', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:99999',
                      '127.0.0.1:4294967321', '127.0.0.1:-1', '127.0.0.1:+25', '127.0.0.1: 25', '127.0.0.1:25x',
                      '[::1]', '::1:25', '[::1:25', '[]:25', ':25'):
            with self.subTest(where):
                self.told(self.send(where, self.file('a')), 64, '', 'send: --server: HOST:PORT is needed, .*\n')

    def test_send_service_name(self):
        """send: a port can be a name that the system knows"""
        done = self.send('127.0.0.1:tcpmux', self.file('a'))
        self.told(done, 75, f'{RECIPIENT}\t451\t4.4.1\tCannot connect: Connection refused\n')

    def test_send_controls(self):
        """send: no control character of an address in UTF-8 is shown as it is; the rest of it is"""
        for recipient, shown in (('j\u00fcrgen@example.org', 'j\u00fcrgen@example.org'),
                                 ('a\u009b31m\u0080\u009f\u00a0@example.org',
                                  'a\\xC2\\x9B31m\\xC2\\x80\\xC2\\x9F\u00a0@example.org')):
            with self.subTest(shown), Server(*DELIVERED, *QUIT) as server:
                done = self.send(server.where, '--smtputf8', self.file('a'), recipient=recipient)
                self.told(done, 0, f'{shown}\t250\t2.0.0\ttaken\n')
