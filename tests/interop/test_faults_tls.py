"""test_faults_tls.py: maild under TLS and with a next server, when peers and files are bad: garbage, broken
certificates, peers that are slow or never read, clocks that jump, kill -9 and restarts."""

import contextlib
import os
import random
import re
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from harness import PATIENCE, native
from maild import MAILD, MESSAGE, OPEN, Maild, Peer, wait_for
from test_load import CONTENT, command
from test_maild_login import Case, Secure, UNTRUSTING, b64, certificate
from test_maild_relay import LINES, THERE, NextServer

SHIM = os.environ['SHIM']
LISTEN = ('--smtps', '127.0.0.1:0', '--listen', '127.0.0.1:0')
LOST = 'maild: refused message 451 4.4.2 '


class Records:
    """A client under TLS whose records go out when and how the test says."""

    def __init__(self, where):
        self.peer = Peer(where, greet=False)
        self.socket = self.peer.socket
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = UNTRUSTING.wrap_bio(self.incoming, self.outgoing, server_hostname='mail.example.org')
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.hello = self.outgoing.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.__exit__()

    def shake(self):
        """The handshake and the greeting."""
        self.socket.sendall(self.hello)
        while True:
            self.incoming.write(self.socket.recv(65536))
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        self.socket.sendall(self.outgoing.read())
        assert self.reply().startswith(b'220 ')
        return self

    def reply(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                octets = self.socket.recv(65536)
                if not octets:
                    return b''
                self.incoming.write(octets)

    def record(self, text):
        self.tls.write(text)
        return self.outgoing.read()


def garbage():
    """name -> octets that are no handshake, or not a whole one."""
    with socket.create_server(('127.0.0.1', 0)) as nobody, Records(nobody.getsockname()[1]) as records:
        hello = records.hello
    chance = random.Random(1)
    found = {
        'SMTP': b'EHLO client.example\r\n', 'HTTP': b'GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n',
        'noughts': bytes(4096), 'ones': b'\xff' * 4096, 'random': chance.randbytes(4096),
        'an alert': b'\x15\x03\x03\0\2\2\x28', 'data before the handshake': b'\x17\x03\x03\0\5hello',
        'a record too long': b'\x16\x03\x01\xff\xff' + bytes(70000), 'an empty record': b'\x16\x03\x01\0\0' * 100,
        'SSL 2': b'\x80\x2e\1\0\2\0\x15\0\0\0\x10' + bytes(37),
        'SSL 3': b'\x16\3\0' + hello[3:9] + b'\3\0' + hello[11:],
        'a handshake of 16 MB': b'\x16\3\1\0\4\1\xff\xff\xff' + b'\x16\3\1\x40\0' + bytes(16384),
        'half a ClientHello': hello[:len(hello) // 2], 'a ClientHello, and garbage': hello + chance.randbytes(500),
    }
    for number in range(30):
        changed = bytearray(hello)
        for _ in range(chance.choice((1, 3, 20))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        found[f'a ClientHello with octets changed, {number}'] = bytes(changed)
    return found


class Tls(Case):
    def setUp(self):
        self.fresh = self.enterContext(tempfile.TemporaryDirectory())

    def maild(self, *options, listen=LISTEN, **more):
        return Maild('--tls-cert', self.pem, '--tls-key', self.key, '--max-per-address', '0', *options, listen=listen,
                     **more)

    # ---- garbage ----

    def test_maild_tls_garbage(self):
        """maild, TLS: 44 kinds of garbage for a handshake, and in a session: closed, logged, and nobody else's error"""
        kinds = garbage()
        with self.maild('--max-errors', '0') as maild, Secure(maild.ports['smtps']) as one, \
                Secure(maild.ports['smtp'], True) as two, Records(maild.ports['smtps']).shake() as halves:
            self.assertEqual((one.code(OPEN[0]), two.code(OPEN[0])), (250, 250))
            lines, at = ('NOOP', 'RSET', *OPEN[1:], 'DATA'), 0
            for name, octets in kinds.items():
                for port in maild.ports.values():
                    with self.subTest(name), Peer(port, greet=False) as bad:
                        if port == maild.ports['smtp']:
                            bad.greeting = bad.reply()
                            self.assertEqual(bad.codes(OPEN[0], 'STARTTLS'), [250, 220])
                        with contextlib.suppress(OSError):  # it has closed before all was sent
                            bad.send(octets)
                            bad.socket.shutdown(socket.SHUT_WR)
                        self.assertTrue(bad.gone())
                        # Whose record is not whole yet has no octets, which must not be taken for that error.
                        record = halves.record(b'NOOP\r\n')
                        halves.socket.sendall(record[:9])
                        time.sleep(0.01)
                        halves.socket.sendall(record[9:])
                        self.assertTrue(halves.reply().startswith(b'250 '))
                        for peer in one, two:  # in the midst of theirs
                            self.assertEqual(peer.code(lines[at % 5]), 354 if at % 5 == 4 else 250)
                            if at % 5 == 4:
                                peer.send(MESSAGE)
                                self.assertEqual(peer.code('.'), 250)
                        at += 1
            failed = len(kinds) * 2
            maild.wait_log('maild: TLS failed client=[127.0.0.1]:', failed)
            reasons = re.findall(r'TLS failed client=\S+ because="(.*)"', maild.log())
            self.assertEqual(len(reasons), failed)
            self.assertGreater(len(set(reasons)), 4, reasons)
            self.assertNotIn('OpenSSL does not say why', reasons)
            self.assertNotIn('', reasons)
            for peer in one, two:
                peer.code('RSET')
                self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
            wait_for(lambda: maild.status()['connections'] == 3)

    def test_maild_tls_garbage_inside(self):
        """maild, TLS: garbage in the midst of a session, of a message: closed, nothing stored; others go on"""
        with self.maild() as maild, Secure(maild.ports['smtps']) as other:
            self.assertEqual(other.codes(*OPEN), [250] * 3)
            for lines in (), OPEN, (*OPEN, 'DATA'):
                for octets in (b'QUIT\r\n' * 10, bytes(100), b'\x17\x03\x03\0\x40' + b'x' * 64,
                               b'\x15\x03\x03\0\2\2\x28'):
                    with Secure(maild.ports['smtps']) as bad:
                        bad.codes(*lines)
                        if lines[-1:] == ('DATA',):
                            bad.send(MESSAGE)
                        with contextlib.suppress(ConnectionError):
                            os.write(bad.socket.fileno(), octets)
                            with contextlib.suppress(ssl.SSLError):
                                bad.gone()
                        self.assertEqual(other.codes('NOOP'), [250])
            self.assertEqual(maild.files(), [])
            self.assertEqual(other.code('DATA'), 354)
            other.send(MESSAGE)
            self.assertEqual(other.code('.'), 250)
            wait_for(lambda: maild.status()['connections'] == 1)
            wait_for(lambda: maild.files('tmp') == [])

    def test_maild_tls_errors_apart(self):
        """maild, TLS: what is logged of a connection is its own error, not that of the one before"""
        with self.maild('--timeout', '1') as maild:
            def why(octets):
                count = maild.log().count('TLS failed')
                with Peer(maild.ports['smtps'], greet=False) as bad:
                    bad.send(octets)
                    if octets == b'\x16':
                        bad.socket.shutdown(socket.SHUT_WR)
                    bad.gone()
                    maild.wait_log('TLS failed', count + 1)
                    return re.findall(r'TLS failed client=\S+ because="(.*)"', maild.log())[-1]
            for _ in range(3):
                self.assertIn('no TLS', why(b'EHLO client.example\r\n'))
                self.assertEqual(why(b'\x16'), 'closed by the peer')
                self.assertIn('no TLS', why(b'EHLO client.example\r\n'))
                self.assertEqual(why(b''), 'timed out')

    # ---- certificates ----

    def broken(self):
        """(what is wrong, file of certificates, file of the key, what the log must say)."""
        def file(name, content):
            path = os.path.join(self.fresh, name)
            with open(path, 'wb') as opened:
                opened.write(content)
            return path

        def read(path):
            with open(path, 'rb') as opened:
                return opened.read()

        pem, key = read(self.pem), read(self.key)
        other, other_key = certificate(self.fresh, 'other')
        locked, small, small_key = (os.path.join(self.fresh, name) for name in ('locked', 'small.pem', 'small.key'))
        subprocess.run(['openssl', 'pkey', '-in', self.key, '-aes256', '-passout', 'pass:x', '-out', locked],
                       check=True)
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:512', '-nodes', '-days', '2', '-subj', '/CN=x',
                        '-out', small, '-keyout', small_key], check=True, stderr=subprocess.DEVNULL)
        damaged = pem.replace(b'\nMII', b'\nMXX')
        return [('no file', '/none/there', self.key, '/none/there: No such file or directory'),
                ('no key', self.pem, '/none/key', '/none/key: No such file or directory'),
                ('a directory', self.fresh, self.key, self.fresh),
                ('empty', file('empty', b''), self.key, 'there is no certificate in PEM in it'),
                ('garbage', file('garbage', bytes(range(256)) * 8), self.key, 'there is no certificate in PEM in it'),
                ('cut off', file('cut', pem[:len(pem) // 2]), self.key, 'cut: '),
                ('damaged', file('damaged', damaged), self.key, 'damaged: '),
                ('a key for a certificate', self.key, self.key, 'there is no certificate in PEM in it'),
                ('a certificate for a key', self.pem, self.pem, 'there is no private key in PEM in it'),
                ('an empty key', self.pem, file('empty.key', b''), 'there is no private key in PEM in it'),
                ('half a key', self.pem, file('half.key', key[:len(key) // 2]), 'half.key: '),
                ('the key of another', self.pem, other_key, 'not the key of the first certificate'),
                ('the certificate of another', other, self.key, 'not the key of the first certificate'),
                ('a key with a passphrase', self.pem, locked, 'it is encrypted'),
                ('too small a key', small, small_key, 'small.pem: ')]

    def test_maild_certificates_broken(self):
        """maild, TLS: 15 broken certificates: at the start 66, at SIGHUP the old one stays; it is said why"""
        pem, key = (os.path.join(self.fresh, name) for name in ('used.pem', 'used.key'))

        def use(certificates, private):
            for old, new in (certificates, pem), (private, key):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(new)
                os.symlink(old, new)

        use(self.pem, self.key)
        with Maild('--tls-cert', pem, '--tls-key', key, listen=LISTEN) as maild:
            with Secure(maild.ports['smtps']) as session:
                first = session.shown()
                for what, certificates, private, said in self.broken():
                    with self.subTest(what):
                        done = subprocess.run([MAILD, '--smtps', '127.0.0.1:0', '--discard', '--tls-cert', certificates,
                                               '--tls-key', private], stderr=subprocess.PIPE, encoding='utf-8',
                                              timeout=PATIENCE, check=False)
                        self.assertEqual(done.returncode, 66, done.stderr)
                        self.assertIn(said, done.stderr)
                        use(certificates, private)
                        count = len(maild.log())
                        maild.process.send_signal(signal.SIGHUP)
                        wait_for(lambda: 'reading files again' in maild.log()[count:] and
                                 '--tls-cert: the one from before is used on: ' in maild.log()[count:],
                                 because=lambda: maild.log()[count:])
                        words = said.rpartition(': ')[2] or said.partition(':')[0].replace('small.pem', 'used.pem')
                        if words == said:
                            self.assertIn(words, maild.log()[count:].replace(pem, certificates).replace(key, private))
                        for port, starttls in ('smtps', False), ('smtp', True):
                            with Secure(maild.ports[port], starttls) as peer:
                                self.assertEqual(peer.shown(), first)
                                self.assertEqual(peer.code(OPEN[0]), 250)
                self.assertEqual(session.deliver(), 250)
                use(os.path.join(self.fresh, 'other.pem'), os.path.join(self.fresh, 'other.key'))
                maild.process.send_signal(signal.SIGHUP)
                maild.wait_log('maild: reading files again', 16)
                with Secure(maild.ports['smtps']) as peer:
                    self.assertNotEqual(peer.shown(), first)

    # ---- slow ones ----

    def test_maild_tls_slow(self):
        """maild, TLS: a handshake, a command, a message octet by octet: each is given --timeout and no more"""
        with self.maild('--timeout', '2', clean=False) as maild, contextlib.ExitStack() as stack:
            hello = stack.enter_context(Records(maild.ports['smtps']))
            quiet = stack.enter_context(Records(maild.ports['smtps']))
            line = stack.enter_context(Records(maild.ports['smtps'])).shake()
            content = stack.enter_context(Records(maild.ports['smtps'])).shake()
            for text in OPEN[0], *OPEN[1:], 'DATA':
                content.socket.sendall(content.record(text.encode() + b'\r\n'))
                content.reply()
            quiet.socket.sendall(quiet.hello)  # and is silent when it is its turn
            begun = time.monotonic()
            octets = {hello: hello.hello, line: line.record(b'NOOP' + b'x' * 400 + b'\r\n'),
                      content: content.record(MESSAGE * 100)}
            left = {hello: 'hello', quiet: 'quiet', line: 'line', content: 'content'}
            ended, said = {}, {line: b'', content: b''}
            at = 0
            while left and time.monotonic() < begun + 10:
                for peer in list(left):
                    if peer in octets:
                        with contextlib.suppress(ConnectionError):
                            peer.socket.sendall(octets[peer][at:at + 1])
                    if select.select([peer.socket], [], [], 0)[0]:
                        try:
                            got = peer.socket.recv(65536)
                        except ConnectionError:
                            got = b''
                        if peer in said:
                            peer.incoming.write(got)
                            with contextlib.suppress(ssl.SSLError):
                                said[peer] += peer.tls.read(65536)
                        if got == b'':
                            ended[left.pop(peer)] = time.monotonic() - begun
                at += 1
                time.sleep(0.1)
            self.assertEqual(left, {})
            self.assertTrue(all(1.7 < took < 5 for took in ended.values()), ended)
            self.assertEqual({text[:4] for text in said.values()}, {b'421 '}, said)
            with Secure(maild.ports['smtps']) as peer:
                self.assertEqual(peer.deliver(), 250)
                self.assertEqual(len(maild.files()), 1)
            maild.wait_log('because="timed out"', 2)

    def test_maild_tls_slow_many(self):
        """maild, TLS: 300 handshakes, an octet a second each: others are served at once"""
        with self.maild() as maild, contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Records(maild.ports['smtps'])) for _ in range(300)]
            worst = 0
            for at in range(3):
                for peer in peers:
                    peer.socket.sendall(peer.hello[at:at + 1])
                for _ in range(3):
                    begun = time.monotonic()
                    with Secure(maild.ports['smtps']) as other:
                        self.assertEqual(other.deliver(), 250)
                    worst = max(worst, time.monotonic() - begun)
                time.sleep(1)
            self.assertLess(worst, 3)
            self.assertEqual(maild.status()['connections'], 300)
            for peer in peers:  # who comes to an end after all, is served
                peer.hello = peer.hello[3:]
            for peer in peers[::30]:
                peer.shake()

    @native('memory is measured, and sanitizers keep what was freed')
    def test_maild_tls_not_reading(self):
        """maild, TLS: 20 peers that never read, in a session or the handshake: memory stays flat, others are served"""
        with self.maild('--max-errors', '0', '--timeout', '4') as maild, contextlib.ExitStack() as stack:
            with Secure(maild.ports['smtps']) as other:
                self.assertEqual(other.deliver(), 250)
            peers = [stack.enter_context(Secure(maild.ports['smtps'])) for _ in range(20)]
            before = maild.memory()
            for number in range(20):  # no reply to this one is read
                peers.append(stack.enter_context(Records(maild.ports['smtps'])))
                peers[-1].socket.sendall(peers[-1].hello)
            sent = [0] * 20

            def push(number):
                peers[number].socket.settimeout(1)
                with contextlib.suppress(OSError):
                    while sent[number] < 8 << 20:
                        peers[number].socket.sendall(b'NOOP\r\n' * 2000)
                        sent[number] += 12000
            threads = [threading.Thread(target=push, args=(number,)) for number in range(20)]
            for thread in threads:
                thread.start()
            for _ in range(5):
                begun = time.monotonic()
                with Secure(maild.ports['smtps']) as other:
                    self.assertEqual(other.deliver(), 250)
                self.assertLess(time.monotonic() - begun, 3)
            for thread in threads:
                thread.join()
            self.assertLess(max(sent), 8 << 20, 'maild takes it all')
            self.assertLess(maild.memory() - before, 40 * (128 << 10))
            wait_for(lambda: maild.status()['connections'] == 0, 20, 'those who do not read to be closed')

    # ---- the clock ----

    @native('libfaketime waits for itself when a program with sanitizers starts')
    def test_maild_clock_jumps(self):
        """maild, TLS and relay: the clock jumps by years, both ways: sessions go on; expired certificates are seen"""
        clock = os.path.join(self.fresh, 'clock')

        def jump(offset):
            with open(clock + '~', 'w') as file:
                file.write(offset + '\n')
            os.rename(clock + '~', clock)

        jump('+0')
        library = subprocess.run(['faketime', '-f', '+0', 'printenv', 'LD_PRELOAD'], stdout=subprocess.PIPE, check=True,
                                 encoding='utf-8').stdout.strip()
        pem, key = certificate(self.fresh, 'next', 'localhost')
        faked = {**os.environ, 'LD_PRELOAD': library, 'FAKETIME_TIMESTAMP_FILE': clock, 'FAKETIME_NO_CACHE': '1',
                 'DONT_FAKE_MONOTONIC': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1', 'SSL_CERT_FILE': pem}
        relay = '--submissions', '127.0.0.1:0', '--smtps', '127.0.0.1:0'
        with Maild('--tls-cert', pem, '--tls-key', key, hosts=THERE) as there, \
                self.maild('--passwords', self.passwords, '--relay-to', f'localhost:{there.port}', '--relay-tls',
                           '--timeout', '5', listen=relay, env=faked) as maild, \
                Secure(maild.ports['submissions']) as user, Secure(maild.ports['smtps']) as mine:
            self.assertEqual(user.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse')),
                             [250, 235])
            self.assertEqual(mine.code(OPEN[0]), 250)
            years, codes = set(), []
            for offset in '+0', '+3000d', '-3000d', '+10000d', '-1d', '+0':
                jump(offset)
                with self.subTest(offset):
                    self.assertEqual(mine.deliver(opening=OPEN[1:]), 250)
                    for _ in range(2):
                        with Secure(maild.ports['smtps']) as fresh:
                            self.assertEqual(fresh.deliver(), 250)
                    answers = user.codes('RSET', *LINES)
                    if answers[-1] == 250:
                        self.assertEqual(user.code('DATA'), 354)
                        jump('+20000d')  # in the midst of the content
                        user.send(MESSAGE)
                        answers.append(user.code('.'))
                        jump(offset)
                    codes.append(answers[-1])
            for name in maild.files():
                with open(name) as file:
                    years.add(re.search(r'Received: (?:.*\n[ \t])*.*(\d{4}) \d\d:\d\d:\d\d', file.read())[1])
            self.assertEqual(len(maild.files()), 18)
            self.assertGreater(len(years), 3, 'the clock did not jump')
            # A session with the next server that is there may go on; a new one needs a certificate that is valid.
            self.assertEqual(codes[0], 250)
            self.assertLessEqual(set(codes), {250, 451})
            self.assertEqual(len(there.files()), codes.count(250))
            with Secure(maild.ports['submissions']) as late:
                jump('+3000d')
                late.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse'))
                self.assertEqual(late.codes(*LINES), [250, 451])
            jump('+0')
            begun = time.monotonic()  # --timeout is by another clock
            self.assertEqual(mine.reply()[0][0], 421)
            self.assertLess(time.monotonic() - begun, 8)


# ---- the end at any moment ----

class Killed(Case):
    KILLS = 30
    SENDERS = 4

    def send(self, number):
        serial = 0
        while not self.over:
            serial += 1
            name = f'{number}-{serial}'
            body = f'Message-ID: <{name}>\r\n\r\n' + f'{name} ' * random.choice((1, 100, 5000)) + '\r\nend\r\n'
            sent, client = False, None
            while not sent and not self.over:
                try:
                    if client is None:
                        client = smtplib.SMTP_SSL('127.0.0.1', self.port, 'client.example', timeout=10,
                                                  context=UNTRUSTING)
                        client.login('alice', 'correct horse')
                    self.tried[name] = self.tried.get(name, 0) + 1
                    client.sendmail('alice@example.org', ['you@elsewhere.example'], body)
                    self.acknowledged.add(name)
                    sent = True
                except (OSError, smtplib.SMTPException):
                    client = None
                    time.sleep(0.005)

    def found(self, maildir):
        names = []
        for directory, _, files in os.walk(maildir):
            if os.path.basename(directory) == 'new':
                for file in files:
                    with open(os.path.join(directory, file), encoding='ascii') as opened:
                        text = opened.read()
                    self.assertTrue(text.endswith('\nend\n'), file)
                    names.append(re.search(r'^Message-ID: <(.*)>$', text, re.MULTILINE)[1])
        return names

    def test_maild_killed_relaying(self):
        """maild, relay: it or the next server killed 30 times: 250 only for what the next server has, whole"""
        chance = random.Random(1)
        self.acknowledged, self.tried, self.over, self.port = set(), {}, False, None
        with socket.create_server(('127.0.0.1', 0)) as free:
            there_port = free.getsockname()[1]
        secure = '--tls-cert', self.pem, '--tls-key', self.key
        with tempfile.TemporaryDirectory() as maildir, tempfile.TemporaryDirectory() as nothing, \
                tempfile.TemporaryDirectory() as shim:
            senders, running = [], {}

            def start(which):
                running[which] = Maild(*secure, maildir=maildir, clean=False, hosts=THERE,
                                       listen=('--listen', f'127.0.0.1:{there_port}'),
                                       env={**os.environ, 'LD_PRELOAD': SHIM, 'SHIM_DIRECTORY': shim}) \
                    if which == 'there' else \
                    Maild(*secure, '--passwords', self.passwords, '--relay-to', f'127.0.0.1:{there_port}',
                          maildir=nothing, clean=False, listen=('--submissions', '127.0.0.1:0'))
                running[which].__enter__()
                self.port = running['here'].ports['submissions'] if 'here' in running else None
            start('there')
            start('here')
            try:
                senders = [threading.Thread(target=self.send, args=(number,)) for number in range(self.SENDERS)]
                for sender in senders:
                    sender.start()
                for kill in range(self.KILLS):
                    time.sleep(chance.uniform(0.05, 0.3))
                    if kill % 3 == 0:  # some get through
                        before = len(self.acknowledged)
                        wait_for(lambda: len(self.acknowledged) > before)
                    which = 'there' if kill % 3 == 2 else 'here'
                    if which == 'there':  # while a message is there and not stored: its disk is slow for a moment
                        with open(os.path.join(shim, 'slow'), 'w'):
                            old = set(running[which].files('tmp'))
                        wait_for(lambda: set(running[which].files('tmp')) - old)
                        time.sleep(chance.uniform(0.05, 0.25))
                    running[which].kill()
                    if which == 'there':
                        os.unlink(os.path.join(shim, 'slow'))
                        wait_for(lambda: LOST in running['here'].log(), because=running['here'].log)
                    running[which].forget()
                    start(which)
            finally:
                self.over = True
                for sender in senders:
                    sender.join()
                for maild in running.values():
                    maild.kill()
                    maild.forget()
            names = self.found(maildir)
            self.assertEqual(self.found(nothing), [])
        for name in self.acknowledged:
            self.assertIn(name, names)
        for name in set(names):
            self.assertLessEqual(names.count(name), self.tried[name], f'{name} is there more often than it was sent')
        print(f'      {self.KILLS} kills, {len(self.acknowledged)} acknowledged, all there; '
              f'{sum(count > 1 for count in self.tried.values())} tried again, '
              f'{len(names) - len(set(names))} copies more than needed', flush=True)
        self.assertGreaterEqual(len(self.acknowledged), self.KILLS // 3)

    def test_maild_relay_late_answer(self):
        """maild, relay: the next server has it all and takes time: its user hears nothing till it answers or is gone"""
        late = threading.Event()
        with NextServer(late=late) as there, tempfile.TemporaryDirectory() as nothing:
            maild = Maild('--tls-cert', self.pem, '--tls-key', self.key, '--passwords', self.passwords, '--relay-to',
                          f'127.0.0.1:{there.port}', maildir=nothing, listen=('--submissions', '127.0.0.1:0'))
            maild.__enter__()
            try:
                with Secure(maild.ports['submissions']) as user:
                    user.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse'))
                    for answer, code in (('250 2.6.0 Late', 250), ('554 5.6.0 Not that', 554), (None, 451),
                                         ('250 2.6.0 Late', 250), ('killed', None)):
                        with self.subTest(answer):
                            before = sum(len(content) for _, content in there.received)
                            self.assertEqual(user.codes(*LINES, 'DATA'), [250, 250, 354])
                            user.send(MESSAGE + b'.\r\n')
                            wait_for(lambda: sum(len(content) for _, content in there.received) > before)
                            time.sleep(0.2)
                            self.assertEqual(user.socket.pending(), 0)
                            self.assertEqual(select.select([user.socket], [], [], 0)[0], [])
                            if code is None:
                                maild.kill()
                                self.assertEqual(self.rest(user), b'')
                            there.said['.'] = answer
                            late.set()
                            if code is not None:
                                self.assertEqual(user.replies(1), [code])
                            late.clear()
                self.assertEqual(self.found(nothing), [])
            finally:
                late.set()
                maild.kill()
                maild.forget()

    def rest(self, user):
        rest = b''
        with contextlib.suppress(OSError):
            while octets := user.socket.recv(65536):
                rest += octets
        return rest


class Restarted(Case):
    def test_maild_restart_load(self):
        """maild, SIGUSR2 with load, in clear and under TLS: three restarts; none refused, each message there, once"""
        with tempfile.TemporaryDirectory(dir='/dev/shm') as maildir, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f'{maildir}/notify')
            manager.settimeout(PATIENCE)
            self.restart(maildir, manager)

    def restart(self, maildir, manager):
        with Maild('--tls-cert', self.pem, '--tls-key', self.key, '--max-per-address', '0', '--quiet', '--grace', '20',
                   maildir=maildir, clean=False, listen=LISTEN,
                   env={**os.environ, 'NOTIFY_SOCKET': f'{maildir}/notify'}) as maild:
            self.assertEqual(manager.recv(100), b'READY=1')
            loads = [subprocess.Popen(command(maild.ports[port], '--connections', 20, '--duration', 5,
                                              '--messages-per-connection', 3, '--to', f'{port}@example.org', *more),
                                      stdout=subprocess.PIPE, encoding='utf-8')
                     for port, more in (('smtp', ()), ('smtps', ('--tls', '--insecure')))]
            pid = maild.pid
            for count in range(1, 4):
                time.sleep(0.8)
                os.kill(pid, signal.SIGUSR2)
                wait_for(lambda: maild.log().count('maild: taken over;') == count, because=maild.log)
                pid = int(re.fullmatch(rb'MAINPID=(\d+)\nREADY=1', manager.recv(100))[1])
            for process, port in zip(loads, ('smtp', 'smtps')):
                text, _ = process.communicate(timeout=PATIENCE)
                self.assertEqual(process.returncode, 0, text)
                self.assertNotRegex(text, r'(?m)^ *\d+ x ')
                accepted = int(re.search(r'(?m)^accepted +(\d+)$', text)[1])
                numbers = [int(CONTENT.search(octets.replace(b'\n', b'\r\n'))[1])
                           for _, _, octets in maild.messages(f'{port}@example.org')]
                # At the end of its time load has given a few numbers away that it does not send any more.
                self.assertEqual((len(numbers), len(set(numbers))), (accepted, accepted))
                self.assertGreater(accepted, 100)
            os.kill(pid, signal.SIGTERM)
            wait_for(maild.alone)


# Their tests run where they are.
del Case
