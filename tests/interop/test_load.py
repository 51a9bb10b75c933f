"""test_load.py: examples/load counts what arrived: against maild, stdio-server, smtp-sink, aiosmtpd and TLS; and
against servers that refuse, drop and stall.

Every message of load has its number in it, so what is missing, and what is there twice, is seen in what was stored.
"""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import test_tls
from harness import PATIENCE, Listener, Port, Spool
from maild import HOSTS, Maild
from receivers import Aiosmtpd, SmtpSink
from test_tls import TlsServer

setUpModule, tearDownModule = test_tls.setUpModule, test_tls.tearDownModule

LOAD = os.environ['LOAD']
CONTENT = re.compile(rb'Message-ID: <(\d{12})\.\d+@load\.invalid>\r\nSubject: (\d{12})\r\n\r\n'
                     rb'(?:x{62}\r\n)*x{0,63}\r\n')


class Figures:
    """What load told."""

    def __init__(self, done):
        self.status, self.text, self.errors = done.returncode, done.stdout, done.stderr
        found = re.findall(r'(?m)^(accepted|in part|not accepted|not sent|connections) +(\d+)$', done.stdout)
        self.counts = {name: int(count) for name, count in found}
        self.unexpected = {text: int(count) for count, text in re.findall(r'(?m)^ *(\d+) x (.*)$', done.stdout)}
        self.latencies = [float(value) for value in re.findall(r'([\d.]+) (?:median|99th|worst)', done.stdout)]

    @property
    def fates(self):
        return [self.counts[name] for name in ('accepted', 'in part', 'not accepted', 'not sent')]


def command(where, *options):
    where = where if isinstance(where, str) else f'127.0.0.1:{where}'
    return [LOAD, '--server', where, '--hello', 'client.example', *map(str, options)]


def load(where, *options):
    return Figures(subprocess.run(command(where, *options), stdin=subprocess.DEVNULL, capture_output=True,
                                  encoding='utf-8', timeout=PATIENCE, check=False))


class Scripted(Port):
    """A server whose every connection is served by `serve(connection, lines)`, in a thread of its own."""

    def __init__(self, serve):
        self.serve = serve
        self.count = 0
        self.over = threading.Event()

    def connected(self, connection):
        self.count += 1
        super().connected(connection)

    def talk(self, connection):
        connection.settimeout(PATIENCE)
        try:
            with connection, connection.makefile('rb') as lines:
                self.serve(self, connection, lines)
        except OSError:
            pass

    def __exit__(self, *_):
        self.over.set()
        super().__exit__()


def until(answers, greeting=b'220 server.example\r\n', then=None):
    """Answers commands by these; at one that is missing `then` is called, or the connection closed."""
    def serve(server, connection, lines):
        connection.sendall(greeting)
        while line := lines.readline():
            answer = answers.get(line[:4].upper())
            if answer is None:
                if then is not None:
                    then(server, connection, lines)
                return
            connection.sendall(answer)
            if answer.startswith(b'354'):
                while lines.readline() not in (b'.\r\n', b''):
                    pass
                if b'.' not in answers:
                    return
                connection.sendall(answers[b'.'])
            if line[:4].upper() == b'QUIT':
                return
    return serve


GOOD = {b'EHLO': b'250 server.example\r\n', b'MAIL': b'250 ok\r\n', b'RCPT': b'250 ok\r\n', b'DATA': b'354 go\r\n',
        b'.': b'250 ok\r\n', b'RSET': b'250 ok\r\n', b'QUIT': b'221 bye\r\n'}


def without(*verbs, **more):
    return {verb: answer for verb, answer in {**GOOD, **{k.encode(): v for k, v in more.items()}}.items()
            if verb not in verbs}


def stall(server, connection, lines):
    server.over.wait(PATIENCE)


class Load(unittest.TestCase):
    def check(self, figures, accepted, **more):
        self.assertEqual((figures.status, figures.counts['accepted'], figures.unexpected), (0, accepted, {}),
                         (figures.text, figures.errors))
        self.assertEqual(figures.fates[1:], [0, 0, 0])
        for name, count in more.items():
            self.assertEqual(figures.counts[name], count, figures.text)
        median, most, worst = figures.latencies
        self.assertTrue(0 < median <= most <= worst, figures.text)

    def check_numbers(self, contents, count, copies=1, size=None):
        """Each number once (or so often), each message of that size."""
        numbers = []
        for octets in contents:
            found = CONTENT.fullmatch(octets)
            self.assertIsNotNone(found, octets[:200])
            self.assertEqual(found[1], found[2])
            self.assertIn(len(octets), (size, len(octets)) if size is None else (size,))
            numbers.append(int(found[1]))
        self.assertEqual(sorted(numbers), sorted(list(range(1, count + 1)) * copies))

    # ---- what arrives ----

    def test_load_maild(self):
        """load: maild: 2,000 messages over 20 connections, each in the Maildir once, with PIPELINING and without"""
        for options in ('--pipelining',), ('--no-pipelining',):
            with Maild('--max-per-address', '0') as maild:
                figures = load(maild.port, '--connections', 20, '--messages', 1000, '--size', 700, *options)
                stored = [octets.replace(b'\n', b'\r\n') for _, _, octets in maild.messages()]
            self.check(figures, 1000, connections=20)
            self.check_numbers(stored, 1000, size=700)

    def test_load_recipients(self):
        """load: maild: %d makes recipients of its own; sizes around what a line and a write hold"""
        for size in 0, 1, 79, 80, 81, 143, 144, 145, 4096, 4097, 65536 + 80, 200001:
            with Maild() as maild:
                figures = load(maild.port, '--connections', 2, '--messages', 4, '--size', size, '--recipients', 3,
                               '--to', 'u%d@example.org', '--from', '')
                for number in 1, 2, 3:
                    messages = maild.messages(f'u{number}@example.org')
                    stored = [octets.replace(b'\n', b'\r\n') for _, _, octets in messages]
                    self.assertEqual(len(stored), 4)
                    if size >= 85:
                        self.check_numbers(stored, 4, size=size)
                    else:
                        self.assertEqual({len(octets) for octets in stored}, {size if size != 1 else 3})
            self.check(figures, 4)

    def test_load_connections(self):
        """load: maild: --messages-per-connection, and LIMITS of stdio-server, make connections"""
        with Maild('--max-per-address', '0') as maild:
            figures = load(maild.port, '--messages', 100, '--messages-per-connection', 4)
            self.assertEqual(len(maild.files()), 100)
            self.check(figures, 100, connections=25)
            figures = load(maild.port, '--connections', 5, '--messages', 100, '--messages-per-connection', 4)
            self.assertEqual(len(maild.files()), 200)
        self.check(figures, 100)
        self.assertIn(figures.counts['connections'], range(25, 30))  # the last of each may have been left with fewer
        with Spool() as spool, Listener('--spool', spool.path, *HOSTS, '--extension', 'LIMITS=MAILMAX=5') as server:
            figures = load(server.port, '--messages', 20)
            self.assertEqual(len(spool.messages()), 20)
            self.check(figures, 20, connections=4)

    def test_load_stdio_server(self):
        """load: stdio-server: by DATA and by BDAT, small and 1 MB, octets as they were made"""
        for options in (), ('--bdat',):
            for size in 1000, 1000000:
                with Spool() as spool, Listener('--spool', spool.path, *HOSTS) as server:
                    figures = load(server.port, '--connections', 4, '--messages', 20, '--size', size, *options)
                    self.check(figures, 20)
                    self.check_numbers([octets for _, octets in spool.messages()], 20, size=size)

    def test_load_lmtp(self):
        """load: LMTP: maild, by a Unix socket and TCP, and smtp-sink: a verdict for each recipient"""
        for listen in '127.0.0.1:0', '/tmp/ehlo-load-lmtp':
            with Maild('--max-per-address', '0', listen=('--lmtp-listen', listen)) as maild:
                figures = load(maild.lmtp_port, '--lmtp', '--connections', 5, '--messages', 50, '--recipients', 3)
                self.assertEqual(len(maild.files()), 150)
            self.check(figures, 50)
        with SmtpSink(at='lmtp') as sink:
            figures = load(sink.where['lmtp'], '--lmtp', '--messages', 20, '--recipients', 2)
            self.check(figures, 20)
            self.assertEqual(len(sink.take(40)), 40)

    def test_load_receivers(self):
        """load: smtp-sink and aiosmtpd store what load has counted"""
        with SmtpSink() as sink:
            figures = load(sink.where['ipv4'], '--connections', 10, '--messages', 200, '--size', 5000)
            self.check(figures, 200)
            self.check_numbers([octets[:-1].replace(b'\n', b'\r\n') for _, octets in sink.take(200)], 200, size=5000)
        with Aiosmtpd() as receiver:
            for host in 'ipv4', 'ipv6':
                figures = load(receiver.where[host], '--connections', 10, '--messages', 100, '--recipients', 2)
                self.check(figures, 100)
                self.check_numbers([octets for _, octets in receiver.take(200)], 100, copies=2, size=1000)

    def test_load_tls(self):
        """load: STARTTLS and TLS from the beginning; a certificate that nobody vouches for; no STARTTLS"""
        trust = '--cafile', test_tls.CERTIFICATE
        for mode, option in ('starttls', '--starttls'), ('implicit', '--tls'):
            for size in 1000, 1000000:
                with TlsServer(mode) as server:
                    figures = load(f'localhost:{server.port}', option, *trust, '--connections', 3, '--messages', 6,
                                   '--size', size)
                    self.check(figures, 6, connections=3)
                    server.file.seek(0)
                    stored = server.file.read()
                    self.assertEqual(stored.count(b'---sent by ESMTPS---\n'), 6)
                    self.assertEqual(len(stored), 6 * (size + len(b'---sent by ESMTPS---\n')))
                    self.assertRegex(server.said(), r'(?m)^handshake: TLSv1\.[23]$')
            with TlsServer(mode) as server:
                self.check(load(f'127.0.0.1:{server.port}', option, '--insecure', '--messages', 2), 2)
            with Scripted(until(without())) as server:
                figures = load(server.port, option, '--insecure', '--messages', 2)
            why = {'--starttls': 'EHLO: STARTTLS is not offered',
                   '--tls': 'TLS: what the peer says is no TLS; is this a port for TLS from the beginning?'}
            self.assertEqual((figures.status, figures.fates, figures.unexpected), (1, [0, 0, 0, 2], {why[option]: 10}))

    def test_load_tls_untrusted(self):
        """load: a certificate that nobody vouches for gets no message"""
        with Scripted(lambda server, connection, lines: tls_connection(connection)) as server:
            figures = load(f'localhost:{server.port}', '--tls', '--messages', 3)
        self.assertEqual((figures.status, figures.fates), (1, [0, 0, 0, 3]))
        self.assertEqual(figures.unexpected, {'TLS: self-signed certificate': 10})

    # ---- servers that go their own way ----

    def test_load_refused(self):
        """load: refusals at each command are counted by their text, and none is a message"""
        no = b'550 5.1.1 Not here\r\n'
        for verb, name in ((b'MAIL', 'MAIL'), (b'RCPT', 'RCPT'), (b'DATA', 'DATA'), (b'.', 'message')):
            with Scripted(until({**GOOD, verb: no})) as server:
                figures = load(server.port, '--connections', 3, '--messages', 30)
            self.assertEqual((figures.status, figures.fates, figures.unexpected),
                             (1, [0, 0, 30, 0], {f'{name}: 550 5.1.1 Not here': 30}), name)
        for verb, name in ((b'EHLO', 'EHLO'), (None, 'connect')):
            answers = GOOD if verb is None else {**GOOD, verb: b'554 5.7.1 Go away\r\n'}
            with Scripted(until(answers, b'554 5.7.1 Go away\r\n' if verb is None else b'220 x\r\n')) as server:
                figures = load(server.port, '--messages', 30)
            self.assertEqual((figures.status, figures.fates, figures.unexpected),
                             (1, [0, 0, 0, 30], {f'{name}: 554 5.7.1 Go away': 10}), name)

    def test_load_in_part(self):
        """load: one recipient of three is refused: SMTP and LMTP count it in part, and exit with 1"""
        for options in (), ('--lmtp',):
            with Spool() as spool, Listener('--spool', spool.path, *HOSTS, '--refuse', 'u2@example.org',
                                            *options) as server:
                figures = load(server.port, '--messages', 5, '--recipients', 3, '--to', 'u%d@example.org', *options)
                self.assertEqual((figures.status, figures.fates), (1, [0, 5, 0, 0]))
                self.assertEqual(figures.unexpected, {'RCPT: 550 5.1.1 No such mailbox here': 5})
                self.assertEqual([len(envelope) for envelope, _ in spool.messages()], [3] * 5)

    def test_load_mixed(self):
        """load: LMTP: verdicts that differ are in part"""
        answers = {**GOOD, b'LHLO': b'250-x\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n',
                   b'.': b'250 2.0.0 ok\r\n452 4.2.2 Full\r\n'}
        with Scripted(until(answers)) as server:
            figures = load(server.port, '--lmtp', '--messages', 4, '--recipients', 2)
        self.assertEqual((figures.status, figures.fates, figures.unexpected),
                         (1, [0, 4, 0, 0], {'result: 452 4.2.2 Full': 4}))

    def test_load_dropped(self):
        """load: a server that drops the connection, at each stage: what was open is not accepted, the rest is sent"""
        for verb in (b'MAIL', b'RCPT', b'DATA', b'.'):
            with Scripted(until(without(verb))) as server:
                figures = load(server.port, '--connections', 2, '--messages', 10)
                self.assertEqual((figures.status, figures.fates, figures.unexpected),
                                 (1, [0, 0, 10, 0], {'connection: closed by the server': 10}), verb)
                self.assertEqual(server.count, 10)
        with Scripted(until(without(b'EHLO'))) as server:
            figures = load(server.port, '--connections', 2, '--messages', 10)
        self.assertEqual((figures.status, figures.fates), (1, [0, 0, 0, 10]))
        self.assertEqual(figures.unexpected, {'connection: closed by the server': 20})

    def test_load_reset(self):
        """load: one connection that is dropped costs its message, and no other"""
        def serve(server, connection, lines):
            until(without(b'DATA') if server.count == 2 else GOOD)(server, connection, lines)
        with Scripted(serve) as server:
            figures = load(server.port, '--messages', 30, '--messages-per-connection', 10)
        self.assertEqual((figures.status, figures.fates), (1, [29, 0, 1, 0]), figures.text)

    def test_load_stalled(self):
        """load: a server that stalls, at each stage, is waited for as long as --timeout says"""
        for verb in (b'EHLO', b'MAIL', b'DATA', b'QUIT'):
            with Scripted(until(without(verb), then=stall)) as server:
                begun = time.monotonic()
                figures = load(server.port, '--messages', 1, '--timeout', 1, '--duration', 3)
                took = time.monotonic() - begun
            self.assertTrue(0.9 < took < 10, (verb, took))
            self.assertEqual((figures.status, figures.counts['accepted']), (int(verb != b'QUIT'), int(verb == b'QUIT')))
            why = 'connection: QUIT was not answered' if verb == b'QUIT' else 'connection: timed out'
            self.assertEqual(list(figures.unexpected), [why])

    def test_load_never_reads(self):
        """load: a server that takes no content is waited for as long as --timeout says"""
        def serve(server, connection, lines):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b'220 x\r\n')
            for verb in b'EHLO', b'MAIL', b'RCPT', b'DATA':
                while not lines.readline().startswith(verb):
                    pass
                connection.sendall(GOOD[verb])
            stall(server, connection, lines)
        with Scripted(serve) as server:
            figures = load(server.port, '--timeout', 2, '--size', 50000000)
        self.assertEqual((figures.status, figures.fates), (1, [0, 0, 1, 0]))
        self.assertEqual(figures.unexpected, {'connection: timed out': 1})

    def test_load_nonsense(self):
        """load: a server that breaks the protocol"""
        with Scripted(until({**GOOD, b'MAIL': b'nonsense\r\n'})) as server:
            figures = load(server.port, '--messages', 3)
        self.assertEqual((figures.status, figures.fates), (1, [0, 0, 3, 0]))
        self.assertEqual(figures.unexpected, {'the server broke the protocol: syntax': 3})

    def test_load_insists(self):
        """load: --pipelining and --bdat insist on the offer"""
        for option, keyword in ('--pipelining', 'PIPELINING'), ('--bdat', 'CHUNKING'):
            with Scripted(until(GOOD)) as server:
                figures = load(server.port, option)
            self.assertEqual((figures.status, figures.fates, figures.unexpected),
                             (1, [0, 0, 0, 1], {f'EHLO: {keyword} is not offered': 10}))

    # ---- how it is run ----

    def test_load_duration(self):
        """load: --duration: no more is begun after it, and what was counted is what is there"""
        with Maild('--max-per-address', '0') as maild:
            begun = time.monotonic()
            figures = load(maild.port, '--connections', 4, '--duration', 2)
            took = time.monotonic() - begun
            self.assertEqual(len(maild.files()), figures.counts['accepted'])
        self.assertTrue(1.9 < took < 20, took)
        self.check(figures, figures.counts['accepted'], connections=4)
        self.assertGreater(figures.counts['accepted'], 10)

    def test_load_interrupt(self):
        """load: SIGINT ends it in order, with the figures, SIGINT again at once"""
        for patience, answers in (1, GOOD), (2, without(b'DATA')):
            with Scripted(until(answers, then=stall)) as server:
                process = subprocess.Popen(command(server.port, '--messages', 10 ** 9), stdout=subprocess.PIPE,
                                           encoding='utf-8')
                for _ in range(patience):
                    time.sleep(0.7)
                    process.send_signal(signal.SIGINT)
                text, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 1)
            accepted = int(re.search(r'(?m)^accepted +(\d+)$', text)[1])
            self.assertEqual(accepted > 0, patience == 1, text)

    def test_load_interrupt_open(self):
        """load: a message that is open when it is interrupted for the second time was not accepted, and it says so"""
        def serve(server, connection, lines):
            until(GOOD if server.count == 1 else without(b'DATA'), then=stall)(server, connection, lines)
        with Scripted(serve) as server:
            process = subprocess.Popen(command(server.port, '--duration', 60, '--messages-per-connection', 1),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
            for _ in range(2):
                time.sleep(0.7)
                process.send_signal(signal.SIGINT)
            text, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, errors), (1, ''), text)
        self.assertRegex(text, r'(?m)^accepted +1\n(.*\n)not accepted +1$')

    def test_load_closed_descriptors(self):
        """load: with standard input, output and error closed the server hears SMTP, and nothing else"""
        said = []
        def serve(server, connection, lines):
            connection.sendall(b'220 server.example\r\n')
            said.extend(lines)
        with Scripted(serve) as server:
            process = subprocess.Popen(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', *command(server.port)])
            for _ in range(2):
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE), 1)
            time.sleep(0.1)
        self.assertEqual([line[:5] for line in said], [b'EHLO '])

    def test_load_unreachable(self):
        """load: nobody listens: 69"""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            figures = load(probe.getsockname()[1], '--messages', 5, '--connections', 2)
        self.assertEqual((figures.status, figures.fates), (69, [0, 0, 0, 5]))
        self.assertEqual(figures.unexpected, {'connect: Connection refused': 20})

    def test_load_quiet(self):
        """load: --quiet tells nothing but what should not have happened"""
        for answers, text in (GOOD, ''), ({**GOOD, b'MAIL': b'450 Later\x1b\r\n'}, '       2 x MAIL: 450 Later\\x1B\n'):
            with Scripted(until(answers)) as server:
                self.assertEqual(load(server.port, '--quiet', '--messages', 2).text, text)

    def test_load_usage(self):
        """load: bad usage is 64, and says what is needed"""
        for options in ((), ('--server', 'x'), ('--server', '127.0.0.1:0'), ('--server', '127.0.0.1:25', 'word'),
                        ('--server', '127.0.0.1:25', '--connections', '0'),
                        ('--server', '127.0.0.1:25', '--to', 'nobody'), ('--server', '127.0.0.1:25', '--insecure'),
                        ('--server', '127.0.0.1:25', '--tls', '--starttls'), ('--unknown',),
                        ('--server', '127.0.0.1:25', '--pipelining', '--no-pipelining')):
            done = subprocess.run([LOAD, *options], capture_output=True, encoding='utf-8', timeout=PATIENCE,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (64, ''), options)
            self.assertRegex(done.stderr, r'load: .*\n')
        done = subprocess.run(command('127.0.0.1:25', '--tls', '--cafile', '/nowhere'), capture_output=True,
                              encoding='utf-8', timeout=PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (66, '', 'load: TLS: /nowhere: No such file or directory\n'))
        done = subprocess.run([LOAD, '--help'], capture_output=True, encoding='utf-8', timeout=PATIENCE, check=True)
        self.assertRegex(done.stdout, r'(?s)^usage: load .*--messages-per-connection')


def tls_connection(connection):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(test_tls.CERTIFICATE, test_tls.KEY)
    with context.wrap_socket(connection, server_side=True) as inside:
        inside.recv(1)
