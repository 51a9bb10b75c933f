"""test_maild_relay.py: maild, --relay-to: what users send elsewhere, and what the next server makes of it."""

import contextlib
import os
import re
import signal
import socket
import struct
import threading
import time
import unittest

from harness import PATIENCE, Port, native
from maild import MESSAGE, STORED, Maild, Peer, wait_for
from test_maild_login import Case, Secure, b64, certificate

LISTEN = ('--submissions', '127.0.0.1:0', '--listen', '127.0.0.1:0')
THERE = ('--hostname', 'next.example', '--domain', 'elsewhere.example')
LINES = ('MAIL FROM:<alice@example.org>', 'RCPT TO:<you@elsewhere.example>')


class NextServer(Port):
    """Answers each command with what `said` has for the beginning of its line, else 250; None closes. `late`: an event
    that is waited for before content is answered. '': no answer. A connection for each entry of `received`:
    (commands, content)."""

    def __init__(self, said=None, keywords=('PIPELINING', 'SIZE', '8BITMIME', 'ENHANCEDSTATUSCODES'), slow=0,
                 late=None):
        self.said, self.keywords, self.slow, self.late, self.received = said or {}, keywords, slow, late, []

    def talk(self, connection):
        with contextlib.suppress(OSError):
            self.serve(connection)

    def serve(self, connection):
        commands, content = [], []
        self.received.append((commands, content))
        with connection, connection.makefile('rwb') as file:
            def say(text):
                file.write(text.encode() + b'\r\n')
                file.flush()
            say(self.said.get('connect', '220 next.example'))
            while line := file.readline().decode().rstrip('\r\n'):
                commands.append(line)
                answer = next((text for start, text in self.said.items() if line.startswith(start)), '250 2.0.0 Fine')
                if answer is None:
                    return
                if line.startswith('EHLO') and answer.startswith('2'):
                    answer = '\r\n'.join('250-' + word for word in ('next.example', *self.keywords)) + '\r\n250 HELP'
                if line == 'DATA' and answer.startswith('2'):
                    say('354 Go on')
                    time.sleep(self.slow)
                    parts = []
                    while (part := file.readline()) not in (b'.\r\n', b''):
                        parts.append(part)
                    content.append(b''.join(parts) + (part or b'(broken off)'))
                    if self.late:
                        self.late.wait(PATIENCE)
                    if part == b'' or (answer := self.said.get('.', '250 2.6.0 Yours is 4711')) is None:
                        return
                if answer:
                    say(answer)


class KeptServer(NextServer):
    """Its last connection can be had."""

    def talk(self, connection):
        self.last = connection
        super().talk(connection)


class Relay(Case):
    def maild(self, port, *options):
        return super().maild('--relay-to', f'127.0.0.1:{port}', '--max-errors', '0', *options, listen=LISTEN)

    def user(self, maild):
        peer = Secure(maild.ports['submissions'])
        self.assertEqual(peer.codes('EHLO client.example', 'AUTH PLAIN ' + b64('\0alice\0correct horse')), [250, 235])
        return peer

    def test_maild_relay(self):
        """maild, relay: to another maild, by STARTTLS: octet for octet, large and small, by DATA and BDAT"""
        large = b'.dots\r\n' + b'x' * 900 + b'\r\n' * 2000 + b'.\r\n'.join([b'y' * 70] * 40000) + b'\r\n'
        with Maild('--tls-cert', self.pem, '--tls-key', self.key, hosts=THERE) as there, \
                self.maild(there.port) as maild, self.user(maild) as peer:
            for content in MESSAGE, large, b'':
                stuffed = re.sub(rb'(?m)^\.', b'..', content)
                self.assertEqual(peer.deliver(stuffed, LINES), 250)
                self.assertEqual(peer.codes(*LINES, 'RCPT TO:<he@elsewhere.example>'), [250] * 3)
                peer.send(f'BDAT {len(content) // 2}\r\n'.encode() + content[:len(content) // 2])
                peer.send(f'BDAT {len(content) - len(content) // 2} LAST\r\n'.encode() + content[len(content) // 2:])
                self.assertEqual(peer.replies(2), [250] * 2)
                messages = there.messages('you@elsewhere.example')
                self.assertEqual(len(messages), 2)
                for sender, _, octets in messages:
                    self.assertEqual(sender, 'alice@example.org')
                    received, _, octets = octets.partition(b'\n' if content else b'\0')
                    self.assertTrue(received.startswith(b'Received: from client.example ([127.0.0.1])'), received)
                    while octets.startswith((b'\t', b' ')):
                        octets = octets.partition(b'\n')[2]
                    if content:
                        self.assertEqual(octets, content.replace(b'\r\n', b'\n'))
                for name in there.files():
                    os.unlink(name)
            self.assertEqual(maild.files(), [])
            there.wait_log(' tls=TLSv1.3', 6)
            self.assertEqual(there.log().count(' client='), 6)
            maild.wait_log(f' user=alice from=<alice@example.org> to=<you@elsewhere.example> relay=127.0.0.1:')

    def test_maild_relay_who(self):
        """maild, relay: only for who has logged in, on ports for that; not in one message with recipients here"""
        with NextServer() as there, self.maild(there.port) as maild:
            with Peer(maild.ports['smtp']) as peer:
                self.assertEqual(peer.codes('EHLO client.example', *LINES), [250, 250, 550])
            with self.user(maild) as peer:
                here = 'RCPT TO:<b@example.org>'
                self.assertEqual(peer.codes(LINES[0], here, LINES[1], here), [250, 250, 452, 250])
                self.assertEqual(peer.codes('RSET', *LINES, here, 'RCPT TO:<he@elsewhere.example>'),
                                 [250, 250, 250, 452, 250])
                self.assertEqual(peer.deliver(opening=('RSET', LINES[0], here)), 250)
                self.assertEqual([message[2] for message in maild.messages()], [STORED])
                self.assertEqual(peer.deliver(opening=LINES), 250)
            wait_for(lambda: there.received[-1][0][-1] == 'QUIT')

    def test_maild_relay_verdicts(self):
        """maild, relay: every refusal of the next server is the user's, with its codes and text; then mail goes on"""
        said = {'MAIL FROM:<bad': '550 5.7.1 You are not welcome', 'RCPT TO:<no@': '550 5.1.1 Nobody of that name',
                'RCPT TO:<later@': '450-4.2.1 Come\r\n450 4.2.1 again', 'RCPT TO:<moved@': '251 2.1.5 Will forward'}
        with NextServer(said) as there, self.maild(there.port) as maild, self.user(maild) as peer:
            self.assertEqual(peer.code('MAIL FROM:<bad@example.org>'), 250)
            for _ in range(2):
                self.assertEqual(peer.command(LINES[1]), [(550, '5.7.1 You are not welcome')])
            self.assertEqual(peer.code('RSET'), 250)
            peer.send('\r\n'.join((LINES[0], *(f'RCPT TO:<{who}@elsewhere.example>' for who in
                                               ('no', 'later', 'you', 'moved', 'no')), 'DATA')))
            self.assertEqual([peer.reply()[0] for _ in range(7)][1:-1], [
                (550, '5.1.1 Nobody of that name'), (450, '4.2.1 Come again'), (250, '2.0.0 Fine'),
                (251, '2.1.5 Will forward'), (550, '5.1.1 Nobody of that name')])
            peer.send(MESSAGE)
            self.assertEqual(peer.command('.'), [(250, '2.6.0 Yours is 4711')])
            for answer in '554 5.6.0 Not that', '452 4.3.1 Full', '421 4.3.2 Leaving':
                there.said['.'] = answer
                with self.subTest(answer):
                    self.assertEqual(peer.deliver(opening=LINES), 451 if answer[:3] == '421' else int(answer[:3]))
            del there.said['.']
            there.said['DATA'] = '554 5.5.1 No valid recipients'
            self.assertEqual(peer.codes(*LINES), [250, 250])
            self.assertEqual(peer.command('DATA'), [(554, '5.5.1 No valid recipients')])
            del there.said['DATA']
            self.assertEqual(peer.codes('RSET'), [250])
            self.assertEqual(peer.deliver(opening=LINES), 250)

    def test_maild_relay_lost(self):
        """maild, relay: a next server that is not there, refuses, or breaks off at any moment: 4yz, never 250"""
        with socket.create_server(('127.0.0.1', 0)) as closed:
            nobody = closed.getsockname()[1]
        with self.maild(nobody) as maild, self.user(maild) as peer:
            for _ in range(2):
                self.assertEqual(peer.codes(*LINES, 'RCPT TO:<he@elsewhere.example>', 'RSET'), [250, 451, 451, 250])
        with NextServer() as there, self.maild(there.port) as maild, self.user(maild) as peer:
            for moment in 'EHLO', 'MAIL', 'RCPT', 'DATA', '.', 'connect':
                with self.subTest(moment):
                    there.said[moment] = '554 5.3.2 Closed' if moment == 'connect' else None
                    codes = peer.codes(*LINES)
                    if codes[-1] == 250:
                        code = peer.code('DATA')
                        if code == 354:
                            peer.send(MESSAGE)
                            code = peer.code('.')
                        codes.append(code)
                    self.assertEqual(codes[-1], 554 if moment == 'connect' else 451)
                    del there.said[moment]
                    self.assertEqual(peer.code('RSET'), 250)
            self.assertEqual(peer.deliver(opening=LINES), 250)

    def test_maild_relay_refuses(self):
        """maild, relay: a next server that refuses the session and is silent to QUIT: the next message is not held up"""
        with NextServer({'connect': '554 5.3.2 Closed', 'QUIT': ''}) as there, self.maild(there.port) as maild:
            with self.user(maild) as peer:
                for count in range(1, 6):
                    self.assertEqual(peer.codes(*LINES, 'RSET'), [250, 554, 250])
                    self.assertEqual(len(there.received), count)  # it was asked anew
                del there.said['connect']
                self.assertEqual(peer.deliver(opening=LINES), 250)

    def test_maild_relay_unanswered(self):
        """maild, relay: a user leaves while the next server has his message and has not answered: it is logged"""
        late = threading.Event()
        with NextServer(late=late) as there, self.maild(there.port) as maild:
            with self.user(maild) as peer:
                self.assertEqual(peer.codes(*LINES, 'DATA'), [250, 250, 354])
                peer.send(MESSAGE + b'.\r\n')
                wait_for(lambda: there.received[0][1])
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))  # broken off
            maild.wait_log('its peer left while the next server had it, and may send it again')
            late.set()

    def test_maild_relay_goodbye(self):
        """maild, relay: a next server that does not answer QUIT is not waited for for long"""
        with NextServer({'QUIT': ''}) as there, self.maild(there.port) as maild:
            def connections():
                return len(os.listdir(f'/proc/{maild.pid}/fd'))
            maild.status()  # it has opened all it needs
            before = connections()
            for _ in range(3):
                with self.user(maild) as peer:
                    self.assertEqual(peer.codes(*LINES, 'RSET', 'QUIT'), [250, 250, 250, 221])
            wait_for(lambda: maild.status()['connections'] == 0)
            self.assertEqual(connections(), before + 3)
            wait_for(lambda: connections() == before, 10)

    def test_maild_relay_idle(self):
        """maild, relay: the next server ends an idle connection between MAIL and RCPT: there is a new one. And what
        stays here does not count as relayed"""
        with KeptServer({'RCPT TO:<no@': '550 5.1.1 Nobody'}) as there, self.maild(there.port) as maild, \
                self.user(maild) as peer:
            self.assertEqual(peer.deliver(opening=LINES), 250)
            self.assertEqual(peer.code(LINES[0]), 250)
            there.last.shutdown(socket.SHUT_RDWR)
            time.sleep(0.2)
            self.assertEqual(peer.codes(LINES[1], 'RSET'), [250, 250])
            self.assertEqual(len(there.received), 2)
            self.assertEqual(peer.codes(LINES[0], 'RCPT TO:<no@elsewhere.example>'), [250, 550])
            self.assertEqual(peer.deliver(opening=['RCPT TO:<b@example.org>']), 250)
            maild.status()
            maild.wait_log('maild: metric maild_messages_relayed_total 1\n')

    def test_maild_relay_left(self):
        """maild, relay: a user who leaves in the middle, RSET, QUIT: no half message is taken for a whole one"""
        with NextServer() as there, self.maild(there.port) as maild:
            for ending in (), ('RSET',), ('QUIT',):
                with self.user(maild) as peer:
                    self.assertEqual(peer.codes(*LINES, *ending)[:2], [250, 250])
                with self.user(maild) as peer:
                    self.assertEqual(peer.codes(*LINES, 'DATA'), [250, 250, 354])
                    peer.send(MESSAGE * 10000)
                wait_for(lambda: maild.status()['connections'] == 0)
            time.sleep(0.2)
            for commands, content in there.received:
                self.assertTrue(all(octets.endswith(b'(broken off)') for octets in content), commands)
            with self.user(maild) as peer:
                self.assertEqual(peer.codes(*LINES), [250, 250])
                peer.send(f'BDAT {len(MESSAGE)}\r\n'.encode() + MESSAGE)
                self.assertEqual(peer.replies(1), [250])
                self.assertEqual(peer.code('RSET'), 250)
                self.assertEqual(peer.deliver(opening=LINES), 250)
            self.assertEqual([octets.endswith(b'.\r\n') for _, content in there.received[-2:] for octets in content],
                             [False, True])
            maild.wait_log('maild: accepted id=')
            self.assertEqual(maild.log().count('maild: accepted id='), 1)

    @native('memory is measured, and sanitizers keep what was freed')
    def test_maild_relay_slow(self):
        """maild, relay: a next server that takes nothing for a while: little is kept here, and others are served"""
        with NextServer(slow=1.5) as there, self.maild(there.port) as maild, self.user(maild) as peer:
            with Peer(maild.ports['smtp']) as other:
                self.assertEqual(other.deliver(), 250)
                self.assertEqual(peer.codes(*LINES, 'DATA'), [250, 250, 354])
                before = maild.memory()
                line = b'x' * 510 + b'\r\n'
                sender = threading.Thread(target=peer.send, args=(line * 60000 + b'.\r\n',))
                sender.start()
                time.sleep(0.5)
                self.assertLess(maild.memory() - before, 2 << 20)
                begun = time.monotonic()
                self.assertEqual(other.deliver(opening=('MAIL FROM:<>', 'RCPT TO:<b@example.org>')), 250)
                self.assertLess(time.monotonic() - begun, 0.7)
                self.assertEqual(peer.replies(1), [250])
                sender.join()
            self.assertTrue(there.received[0][1][0].endswith(line * 60000 + b'.\r\n'))

    def test_maild_relay_offers(self):
        """maild, relay: what the next server does not offer: 8-bit, SMTPUTF8, that size, TLS with a good certificate"""
        with NextServer(keywords=('SIZE 1000',)) as there, self.maild(there.port) as maild, self.user(maild) as peer:
            for parameter, code in ('BODY=8BITMIME', 554), ('SMTPUTF8', 550), ('SIZE=1001', 552), ('SIZE=1000', 250):
                self.assertEqual(peer.codes(f'{LINES[0]} {parameter}', LINES[1], 'RSET'), [250, code, 250], parameter)
        for more in (), ('--tls-cert', self.pem, '--tls-key', self.key):
            with Maild(*more, hosts=THERE) as there, self.maild(there.port, '--relay-tls') as maild:
                with self.user(maild) as peer:
                    self.assertEqual(peer.codes(*LINES), [250, 451])

    def test_maild_relay_login(self):
        """maild, relay: logs in at the next server, and only there; a login that is refused, and one that is mended"""
        pem, key = certificate(self.directory, 'next', 'localhost')
        login = os.path.join(self.directory, 'login')
        trusting = {**os.environ, 'SSL_CERT_FILE': pem}
        there = ('--tls-cert', pem, '--tls-key', key, '--passwords', self.passwords, *THERE)

        def write(text):
            with open(login, 'w') as file:
                file.write(text)

        def here(port):
            return Maild('--tls-cert', self.pem, '--tls-key', self.key, '--passwords', self.passwords, '--max-errors', '0',
                         '--relay-to', f'localhost:{port}', '--relay-tls', '--relay-login', login, listen=LISTEN,
                         env=trusting)

        write('alice:wrong\n')
        with Maild(*there, listen=('--submission', '127.0.0.1:0')) as next_one:
            with here(next_one.ports['submission']) as maild, self.user(maild) as peer:
                self.assertEqual(peer.code(LINES[0]), 250)
                self.assertEqual(peer.command(LINES[1]), [(451, '4.3.5 The next server refuses the login of this one')])
                maild.wait_log(': the login is refused: 535 5.7.8\n')
                self.assertNotIn('Name or password', maild.log())  # a server could repeat the password in it
                write('alice:correct horse\nbob:nobody reads on\n')
                maild.process.send_signal(signal.SIGHUP)
                wait_for(lambda: peer.codes('RSET', *LINES)[-1] == 250, 10, 'the new password to be used')
                self.assertEqual(peer.deliver(opening=()), 250)
                self.assertEqual(peer.deliver(opening=LINES), 250)  # the same connection
                for number, wrong in enumerate((b'nonsense\n', b'alice:\n', b':x\n', b'', b'a:b\0c\n', b'a:\xff\n',
                                                b'a:' + b'x' * 512)):
                    with open(login, 'wb') as file:
                        file.write(wrong)
                    maild.process.send_signal(signal.SIGHUP)
                    maild.wait_log('NAME:PASSWORD is needed', number + 1)
                self.assertEqual(peer.deliver(opening=LINES), 250)
            self.assertEqual(len(next_one.files()), 3)
            self.assertEqual(len(re.findall('accepted id=.* user=alice', next_one.log())), 3)
        write('alice:correct horse\n')
        with Maild(*there) as next_one, here(next_one.port) as maild, self.user(maild) as peer:  # port 25: no AUTH
            self.assertEqual(peer.code(LINES[0]), 250)
            self.assertEqual(peer.command(LINES[1]), [(451, '4.7.5 The next server offers no login')])
            maild.wait_log(': cannot log in: ')
