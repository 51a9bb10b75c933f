"""test_maild_login.py: maild under TLS, and who may log in: certificates, passwords, PLAIN, LOGIN, SCRAM-SHA-256."""

import base64
import contextlib
import hashlib
import hmac
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from harness import PATIENCE, native
from maild import MAILD, MESSAGE, OPEN, STORED, Maild, Peer, many_descriptors, wait_for

LISTEN = ('--listen', '127.0.0.1:0', '--submission', '127.0.0.1:0', '--submissions', '127.0.0.1:0',
          '--smtps', '127.0.0.1:0', '--lmtp', '127.0.0.1:0')
USERS = {'alice': 'correct horse', 'bob@example.org': 'pässword = , secret'}
UNTRUSTING = ssl._create_unverified_context()


def certificate(directory, name, host='mail.example.org'):
    """Files with a new certificate and its key."""
    paths = [os.path.join(directory, f'{name}.{ending}') for ending in ('pem', 'key')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-days', '2', '-subj', f'/CN={host}', '-addext', f'subjectAltName=DNS:{host}', '-out', paths[0],
                    '-keyout', paths[1]], check=True, stderr=subprocess.DEVNULL)
    return paths


def hash_password(name, password):
    done = subprocess.run([MAILD, '--hash-password', name], input=password.encode() + b'\n', stdout=subprocess.PIPE,
                          check=True, timeout=PATIENCE)
    return done.stdout.decode()


def b64(octets):
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets).decode()


class Secure(Peer):
    """A peer under TLS, from the beginning or behind STARTTLS."""

    def __init__(self, where, starttls=False):
        super().__init__(where, greet=starttls)
        if starttls:
            assert self.codes('EHLO client.example', 'STARTTLS') == [250, 220]
        self.secure()
        if not starttls:
            self.greeting = self.reply()

    def secure(self):
        self.output.close()
        self.socket = UNTRUSTING.wrap_socket(self.socket, server_hostname='mail.example.org')
        self.output = self.socket.makefile('rb')

    def shown(self):
        return self.socket.getpeercert(True)

    def scram(self, name, password, mend=lambda text: text):
        """The reply that ends the exchange, and whether the server has proved what it knows."""
        first = f'n={name.replace("=", "=3D").replace(",", "=2C")},r=rOprNGfwEbeRWgbNEkqO'
        code, said = self.command('AUTH SCRAM-SHA-256 ' + b64('n,,' + first))[0]
        if code != 334:
            return code, None
        server = base64.b64decode(said).decode()
        nonce, salt, rounds = re.fullmatch('r=([^,]*),s=([^,]*),i=([0-9]+)', server).groups()
        self.salt = salt, rounds
        salted = hashlib.pbkdf2_hmac('sha256', password.encode(), base64.b64decode(salt), int(rounds))
        key = hmac.digest(salted, b'Client Key', 'sha256')
        last = f'c={b64("n,,")},r={nonce}'
        signed = f'{first},{server},{last}'.encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, 'sha256')
        proof = bytes(one ^ other for one, other in zip(key, signature))
        code, said = self.command(b64(mend(f'{last},p={b64(proof)}')))[0]
        if code != 334:
            return code, None
        expected = 'v=' + b64(hmac.digest(hmac.digest(salted, b'Server Key', 'sha256'), signed, 'sha256'))
        return self.code(''), base64.b64decode(said).decode() == expected


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        many_descriptors(4000)
        cls.directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.pem, cls.key = certificate(cls.directory, 'first')
        cls.passwords = os.path.join(cls.directory, 'passwords')
        cls.lines = ''.join(hash_password(name, password) for name, password in USERS.items())
        cls.write(cls.lines)

    @classmethod
    def write(cls, text):
        with open(cls.passwords, 'w') as file:
            file.write('# users\n\n' + text)

    def maild(self, *options, listen=LISTEN):
        return Maild('--tls-cert', self.pem, '--tls-key', self.key, '--passwords', self.passwords, *options,
                     listen=listen)


class Tls(Case):
    def test_maild_starttls(self):
        """maild, TLS: STARTTLS where it listens for SMTP, submission and LMTP; TLS from the beginning; Received"""
        with self.maild() as maild:
            for port, starttls, hello, word in (('smtp', True, 'EHLO', 'ESMTPS'), ('smtps', False, 'EHLO', 'ESMTPS')):
                with self.subTest(port), Secure(maild.ports[port], starttls) as peer:
                    self.assertNotIn('STARTTLS', str(peer.command(f'{hello} client.example')))
                    self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
                    with open(maild.files()[-1]) as file:
                        self.assertIn(f' with {word} ', file.read().replace('\n\t', ' ').replace('\n', ' '))
                    maild.wait_log(' tls=TLSv1.3')
            with Peer(maild.ports['lmtp']) as peer:
                self.assertEqual(peer.codes('LHLO client.example', 'STARTTLS'), [250, 220])
                Secure.secure(peer)
                self.assertEqual(peer.deliver(opening=('LHLO client.example', *OPEN[1:])), 250)
            self.assertEqual([message[2] for message in maild.messages()], [STORED] * 3)

    def test_maild_tls_large(self):
        """maild, TLS: 20 MB by DATA and BDAT, a peer that reads no replies for a while"""
        line = b'x' * 510 + b'\r\n'
        with self.maild('--max-errors', '0') as maild, Secure(maild.ports['smtps']) as peer:
            self.assertEqual(peer.deliver(line * 20000), 250)
            self.assertEqual(peer.codes(*OPEN[1:]), [250, 250])
            peer.send(f'BDAT {len(line) * 20000} LAST\r\n'.encode() + line * 20000)
            self.assertEqual(peer.replies(1), [250])
            self.assertEqual({message[2] for message in maild.messages()}, {line.replace(b'\r', b'') * 20000})
            peer.send(b'NOOP\r\n' * 2000)
            time.sleep(0.2)
            self.assertEqual(set(peer.replies(2000)), {250})

    def test_maild_tls_clear(self):
        """maild, TLS: octets in clear behind STARTTLS, garbage in place of a handshake, none at all: closed, logged"""
        with self.maild() as maild:
            with Peer(maild.ports['smtp']) as peer:
                peer.send('EHLO client.example\r\n')
                peer.reply()
                peer.send(b'STARTTLS\r\nMAIL FROM:<a@client.example>\r\n')
                self.assertTrue(peer.gone())
            for port in 'smtps', 'submissions':
                with Peer(maild.ports[port], greet=False) as peer:
                    peer.send('EHLO client.example')
                    self.assertTrue(peer.gone())
            maild.wait_log('maild: TLS failed client=[127.0.0.1]:', 2)
            with Peer(maild.ports['smtp']) as peer:
                self.assertEqual(peer.codes(OPEN[0], 'STARTTLS'), [250, 220])
                peer.send('QUIT')
                self.assertTrue(peer.gone())
            with Peer(maild.ports['smtp']) as peer:
                self.assertEqual(peer.codes(OPEN[0], 'STARTTLS'), [250, 220])
            maild.wait_log('maild: TLS failed client=[127.0.0.1]:', 4)
            with Secure(maild.ports['smtps']) as peer:
                self.assertEqual(peer.deliver(), 250)
            wait_for(lambda: maild.status()['connections'] == 0)

    def test_maild_tls_silent(self):
        """maild, TLS: 200 who shake no hands keep nobody else waiting, and do not keep maild from stopping"""
        with self.maild('--max-per-address', '0') as maild:
            peers = [self.enterContext(Peer(maild.ports['smtps'], greet=False)) for _ in range(200)]
            begun = time.monotonic()
            with Secure(maild.ports['smtps']) as peer:
                self.assertEqual(peer.deliver(), 250)
            self.assertLess(time.monotonic() - begun, 3)
            self.assertEqual(maild.status()['connections'], len(peers))
            begun = time.monotonic()
            maild.terminate()
            maild.wait()
            self.assertLess(time.monotonic() - begun, 5)

    def test_maild_tls_timeout(self):
        """maild, TLS: a handshake that takes longer than --timeout is closed, from the beginning or behind STARTTLS"""
        with self.maild('--timeout', '1') as maild:
            with Peer(maild.ports['smtps'], greet=False) as one, Peer(maild.ports['smtp']) as other:
                self.assertEqual(other.codes(OPEN[0], 'STARTTLS'), [250, 220])
                begun = time.monotonic()
                other.send(b'\x16\x03\x01')
                self.assertTrue(one.gone() and other.gone())
                self.assertTrue(0.7 < time.monotonic() - begun < 4)
                maild.wait_log('because="timed out"', 2)

    def test_maild_tls_reload(self):
        """maild, TLS: SIGHUP: a new certificate for newcomers, sessions go on; a broken file changes nothing"""
        pem, key = certificate(self.directory, 'changing')
        with Maild('--tls-cert', pem, '--tls-key', key, listen=LISTEN[-4:]) as maild:
            with Secure(maild.ports['smtps']) as before:
                certificate(self.directory, 'changing')
                maild.process.send_signal(signal.SIGHUP)
                maild.wait_log('maild: reading files again')
                self.assertEqual(before.deliver(), 250)
                with Secure(maild.ports['smtps']) as after:
                    self.assertNotEqual(before.shown(), after.shown())
                    with open(key, 'w') as file:
                        file.write('no key\n')
                    maild.process.send_signal(signal.SIGHUP)
                    maild.wait_log('maild: --tls-cert: the one from before is used on: ')
                    with Secure(maild.ports['smtps']) as again:
                        self.assertEqual(after.shown(), again.shown())

    def test_maild_tls_usage(self):
        """maild, TLS and passwords, bad usage: 64; files that cannot be read: 66, or are wrong: 78"""
        broken = os.path.join(self.directory, 'broken')
        good = '--discard', '--tls-cert', self.pem, '--tls-key', self.key
        for text in 'alice:secret\n', 'alice\n', self.lines + self.lines, self.lines.replace('i=', '').replace('$', '!'):
            with open(broken, 'w') as file:
                file.write(text)
            self.run_maild(78, *good, '--passwords', broken, '--submission', '127.0.0.1:0')
        for status, options in ((64, ('--smtps', '127.0.0.1:0', '--discard')), (64, ('--tls-key', self.key, '--discard')),
                                (64, ('--submission', '127.0.0.1:0', *good)),
                                (66, ('--smtps', '127.0.0.1:0', '--discard', '--tls-cert', '/none/there')),
                                (66, ('--smtps', '127.0.0.1:0', '--discard', '--tls-cert', self.pem)),
                                (78, ('--submission', '127.0.0.1:0', *good, '--passwords', '/none/there'))):
            self.run_maild(status, *options)
        for name, password in ('', 'x'), ('a:b', 'x'), ('alice', ''):
            self.run_maild(64, '--hash-password', name, input=password.encode())

    def run_maild(self, status, *options, **more):
        done = subprocess.run([MAILD, *options], stderr=subprocess.PIPE, timeout=PATIENCE, check=False, **more)
        self.assertEqual(done.returncode, status, (options, done.stderr))

    def slow_passwords(self):
        """alice's costs most of a second each time."""
        salt = b'0123456789abcdef'
        salted = hashlib.pbkdf2_hmac('sha256', b'correct horse', salt, 1000000)
        stored = hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()
        octets = salt, stored, hmac.digest(salted, b'Server Key', 'sha256')
        path = os.path.join(self.directory, 'slow')
        with open(path, 'w') as file:
            file.write('alice:SCRAM-SHA-256$1000000:{}${}:{}\n'.format(*(b64(part) for part in octets)))
        return path

    def test_maild_login_flood(self):
        """maild: a hundred who leave while their passwords are computed keep nobody waiting"""
        with self.maild('--passwords', self.slow_passwords(), '--max-per-address', '0', listen=LISTEN) as maild:
            for _ in range(100):
                with Secure(maild.ports['submissions']) as peer:
                    self.assertEqual(peer.code('EHLO client.example'), 250)
                    peer.send('AUTH PLAIN ' + b64('\0alice\0wrong'))
            with Secure(maild.ports['submissions']) as peer:
                begun = time.monotonic()
                self.assertEqual(peer.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse')),
                                 [250, 235])
                self.assertLess(time.monotonic() - begun, 15)

    def test_maild_login_turns(self):
        """maild: who tries one password after the other does not come before those who wait already"""
        wrong = ('AUTH PLAIN ' + b64('\0alice\0wrong') + '\r\n').encode() * 10
        with self.maild('--passwords', self.slow_passwords(), listen=LISTEN) as maild, contextlib.ExitStack() as stack:
            greedy = [stack.enter_context(Secure(maild.ports['submissions'])) for _ in range(2)]
            for peer in greedy:
                self.assertEqual(peer.code('EHLO client.example'), 250)
                peer.send(wrong)
            self.assertEqual([peer.replies(1) for peer in greedy], [[535], [535]])  # they are at it
            with Secure(maild.ports['submissions']) as peer:
                self.assertEqual(peer.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse')),
                                 [250, 235])
            said = b''
            for peer in greedy:
                peer.socket.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    while piece := peer.socket.recv(65536):
                        said += piece
            self.assertLess(said.count(b'535 '), 10)  # of 18

    @native('memory is measured, and sanitizers keep what was freed')
    def test_maild_tls_memory(self):
        """maild, TLS: what an idle connection costs: it is modest"""
        count = 500
        with self.maild('--max-per-address', '0') as maild:
            with Secure(maild.ports['smtps']) as peer:
                peer.code(OPEN[0])
            before = maild.memory()
            peers = [self.enterContext(Secure(maild.ports['smtps'])) for _ in range(count)]
            for peer in peers:
                self.assertEqual(peer.code(OPEN[0]), 250)
            each = (maild.memory() - before) // count
            print(f'      {each} octets for an idle connection under TLS', flush=True)
            self.assertLess(each, 40000)
            self.assertEqual(maild.status()['tls'], count)


class Login(Case):
    def submission(self, maild):
        return Secure(maild.ports['submission'], True)

    def test_maild_auth(self):
        """maild, AUTH: PLAIN, LOGIN and SCRAM-SHA-256 let the same users in; who is not is told 530, and 535"""
        with self.maild('--max-errors', '0') as maild:
            with Peer(maild.ports['submission']) as peer:
                shown = str(peer.command(OPEN[0]))
                self.assertIn('AUTH SCRAM-SHA-256', shown)
                self.assertFalse('PLAIN' in shown or 'LOGIN' in shown, shown)
                self.assertGreaterEqual(peer.code('AUTH PLAIN ' + b64('\0alice\0correct horse')), 500)
                self.assertEqual(peer.codes(*OPEN[1:2]), [530])
            for name, password in USERS.items():
                plain = b64(f'\0{name}\0{password}')
                for exchange in (f'AUTH PLAIN {plain}',), ('AUTH PLAIN', plain), ('AUTH LOGIN', b64(name), b64(password)):
                    with self.subTest(name, exchange=exchange[0]), self.submission(maild) as peer:
                        self.assertIn('PLAIN', str(peer.command(OPEN[0])))
                        self.assertEqual(peer.code(OPEN[1]), 530)
                        self.assertEqual(peer.codes(*exchange), [334] * (len(exchange) - 1) + [235])
                        self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
                with self.subTest(name, exchange='SCRAM'), self.submission(maild) as peer:
                    peer.code(OPEN[0])
                    self.assertEqual(peer.scram(name, password), (235, True))
                    self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
                maild.wait_log(f' user={name} ', 4)
            with open(maild.files()[0]) as file:
                self.assertIn('with ESMTPSA', file.read())

    def test_maild_auth_wrong(self):
        """maild, AUTH: wrong passwords, unknown names, somebody else: 535 alike, and then the right one: 235"""
        with self.maild('--max-errors', '0') as maild, self.submission(maild) as peer:
            peer.code(OPEN[0])
            for wrong in '\0alice\0wrong', '\0nobody\0correct horse', '\0Alice\0correct horse', \
                    'bob@example.org\0alice\0correct horse', '\0alice\0correct horse ':
                self.assertEqual(peer.command('AUTH PLAIN ' + b64(wrong)), [(535, '5.7.8 Name or password is wrong')])
            for name, password in ('alice', 'wrong'), ('nobody', 'correct horse'):
                self.assertEqual(peer.scram(name, password), (535, None))
            salt = peer.salt
            peer.scram('nobody', 'again')
            self.assertEqual(peer.salt, salt)  # the same each time, as somebody's would be
            for mend in (lambda text: text.replace('c=biws', 'c=eSws'), lambda text: text.replace('r=', 'r=x'),
                         lambda text: text.partition(',p=')[0], lambda text: text[:-8], lambda text: ''):
                self.assertGreaterEqual(peer.scram('alice', USERS['alice'], mend)[0], 500)
            for first in 'p=tls-unique,,n=alice,r=x', 'n,a=bob,n=alice,r=x', 'n,,n=,r=x', 'n,,n=a=b,r=x', 'x', \
                    'n,,m=x,n=alice,r=x', 'n,,n=alice,r=', 'n,,n=alice':
                self.assertEqual(peer.code('AUTH SCRAM-SHA-256 ' + b64(first)), 535, first)
            self.assertEqual(peer.codes('AUTH SCRAM-SHA-256', '*'), [334, 501])
            self.assertEqual(peer.code(OPEN[1]), 530)
            self.assertEqual(peer.scram('alice', USERS['alice']), (235, True))
            self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
            self.assertNotIn('horse', maild.log())

    def test_maild_auth_unknown(self):
        """maild, AUTH: an unknown name's salt is the same in all processes, after a restart, with any file"""
        salts = set()
        for name, password in ('alice', 'correct horse'), ('alice', 'another'), ('a', 'correct horse'):
            self.write(hash_password(name, password))
            with self.maild('--processes', '3', listen=('--submissions', '127.0.0.1:0')) as maild:
                for _ in range(10):
                    with Secure(maild.ports['submissions']) as peer:
                        peer.code(OPEN[0])
                        peer.scram('nobody', 'horse')
                        salts.add(peer.salt)
        self.write(self.lines)
        self.assertEqual(len(salts), 1, 'who sees what a key makes of a name can try passwords on that at home')

    def test_maild_auth_time(self):
        """maild, AUTH: an unknown name costs as much as a known one; others are served meanwhile"""
        with self.maild('--max-errors', '0') as maild, self.submission(maild) as peer, self.submission(maild) as other:
            peer.code(OPEN[0])
            def cost(name):
                begun = time.monotonic()
                self.assertEqual(peer.code('AUTH PLAIN ' + b64(f'\0{name}\0wrong')), 535)
                return time.monotonic() - begun
            known, unknown = (min(cost(name) for _ in range(7)) for name in ('alice', 'nobody'))
            self.assertTrue(0.5 < known / unknown < 2, (known, unknown))
            peer.send(b'AUTH PLAIN ' + b64('\0alice\0wrong').encode() + b'\r\n')
            begun = time.monotonic()
            other.code('NOOP')
            self.assertLess(time.monotonic() - begun, known)
            self.assertEqual(peer.replies(1), [535])

    def test_maild_auth_reload(self):
        """maild, AUTH: SIGHUP: the file is read again; a broken one changes nothing; a killed checker comes back"""
        self.addCleanup(self.write, self.lines)
        with self.maild('--max-errors', '0', '--discard', listen=LISTEN) as maild, self.submission(maild) as peer:
            peer.code(OPEN[0])
            new = b64('\0carol\0new one')
            self.assertEqual(peer.code(f'AUTH PLAIN {new}'), 535)
            self.write(self.lines + hash_password('carol', 'new one'))
            maild.process.send_signal(signal.SIGHUP)
            maild.wait_log('maild: reading files again')
            self.write('carol:nonsense\n')
            maild.process.send_signal(signal.SIGHUP)
            maild.wait_log('maild: --passwords: the ones from before are used on')
            for pid in maild.children():
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(peer.code(f'AUTH PLAIN {new}'), 454)
            wait_for(lambda: peer.code(f'AUTH PLAIN {new}') == 235, 10)

    def test_maild_auth_programs(self):
        """maild, AUTH: msmtp, curl and smtplib log in, by what each of them knows"""
        with self.maild() as maild:
            for method in 'plain', 'login', 'scram-sha-256':
                subprocess.run(['msmtp', '--host=127.0.0.1', f'--port={maild.ports["submission"]}', '--tls=on',
                                '--tls-starttls=on', '--tls-certcheck=off', f'--auth={method}', '--user=alice',
                                '--passwordeval=echo correct horse', '--from=a@client.example', 'b@example.org'],
                               input=MESSAGE, check=True, timeout=PATIENCE)
            subprocess.run(['curl', '-sS', '-k', '--url', f'smtps://127.0.0.1:{maild.ports["submissions"]}', '--user',
                            'alice:correct horse', '--mail-from', 'a@client.example', '--mail-rcpt', 'b@example.org',
                            '--upload-file', '-'], input=MESSAGE, check=True, timeout=PATIENCE)
            with smtplib.SMTP('127.0.0.1', maild.ports['submission'], timeout=PATIENCE) as client:
                client.starttls(context=UNTRUSTING)
                client.login('alice', USERS['alice'])
                client.sendmail('a@client.example', ['b@example.org'], MESSAGE)
            maild.wait_log(' user=alice ', 5)
            self.assertEqual(len(maild.files()), 5)
