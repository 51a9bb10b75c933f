"""test_maild.py: maild itself: checking of recipients, stopping, limits, peers that mean no good."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import PATIENCE, native
from maild import MAILD, MESSAGE, OPEN, STORED, Maild, Peer, many_descriptors, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
LOOPS = (), ('--poll',)


def setUpModule():
    many_descriptors(11000)


class CommandLine(unittest.TestCase):
    def run_maild(self, *options):
        done = subprocess.run([MAILD, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_maild_help(self):
        """maild, --help: on standard output, exit 0, every option in it"""
        status, shown, errors = self.run_maild('--help')
        self.assertEqual((status, errors), (0, ''))
        for option in ('listen', 'lmtp-listen', 'hostname', 'domain', 'refuse', 'maildir', 'discard',
                       'check-recipients', 'max-connections', 'max-per-address', 'timeout', 'grace', 'poll'):
            self.assertIn(f'  --{option} ', shown)

    def test_maild_man(self):
        """maild: the manual page has every option that --help has, with the same argument, and no other"""
        _, shown, _ = self.run_maild('--help')
        helped = {tuple((line[4:30].split() + [''])[:2]) for line in shown.splitlines() if line.startswith('  --')}
        with open(os.path.join(HERE, '../../examples/maild/maild.8')) as file:
            lines = [line for line in file if line.startswith('.It Fl')]
        told = {pair for line in lines for pair in re.findall(r'Fl -([a-z-]+)(?: Ar ([A-Z:]+))?', line)}
        self.assertEqual(told, helped)
        self.assertGreater(len(told), 30)

    def test_maild_bad_usage(self):
        """maild, bad usage: 64, one line on standard error; what the system refuses: 71"""
        good = '--listen', '127.0.0.1:0', '--discard'
        for bad in ((), good[:2], good[2:], (*good, 'word'), (*good, '--max-size', '1x'), (*good, '--domain', '-'),
                    (*good, '--refuse', 'nobody'), (*good, '--max-connections', '0'), (*good, '--timeout', ''),
                    (*good, '--listen', '127.0.0.1'), (*good, '--listen', ':'), (*good, '--maildir', '/tmp'),
                    (*good, '--nonsense'), (*good, '--max-pending', '99999999'), (*good, '--hostname', 'a b'),
                    (*good, '--lmtp-listen', '/' + 'x' * 200), (*good, '--listen', '127.0.0.1:99999'),
                    (*good, '--listen', 'localhost:'), (*good, '--relay-to', '127.0.0.1:25')):
            status, shown, errors = self.run_maild(*bad)
            lines = [line for line in errors.splitlines()
                     if ': listening on ' not in line and ' descriptors: ' not in line]
            self.assertEqual((status, shown, len(lines)), (64, '', 1), (bad, errors))
            self.assertRegex(lines[0], r'maild: ')
        with Maild() as maild:
            for refused in (('--listen', f'127.0.0.1:{maild.port}', '--discard'),
                            ('--lmtp-listen', '/none/there', '--discard'), (*good[:2], '--maildir', '/none/there')):
                status, _, errors = self.run_maild(*refused)
                self.assertEqual(status, 71, errors)
        for option in '--listen', '--relay-to':
            status, _, errors = self.run_maild('--listen', '127.0.0.1:0', '--submission', '127.0.0.1:0', '--passwords',
                                               '/dev/null', '--discard', option, 'nobody.invalid:25')
            self.assertEqual(status, 68, errors)
            self.assertRegex(errors, r'(?m)^maild: nobody\.invalid:25: ')


    def test_maild_manual(self):
        """maild, --help and maild.8: the same options, with the same defaults where there are numbers"""
        with open(os.path.join(HERE, '../../examples/maild/maild.8')) as file:
            entries = file.read().split('.It Fl -')[1:]
        _, shown, _ = self.run_maild('--help')
        told = {}
        for entry in entries:
            first = entry.partition('\n')[0]
            default = re.search(r'(?m)^\.Pq (\d+)(?:;| |$)', entry.partition('\n.It')[0])
            for name in re.findall(r'(?:^|Fl -)([a-z-]+)', first):
                told[name] = default and default[1]
        help_of = dict(re.findall(r'(?m)^  --([a-z-]+)(?: [A-Z:]+)? +(.*)$', shown))
        self.assertEqual(sorted(told), sorted(help_of))
        for name, text in help_of.items():
            default = re.search(r' \((\d+)[;)]', text)
            self.assertEqual(told[name], default and default[1], name)


class Checking(unittest.TestCase):
    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.asked = os.path.join(directory, 'asked')
        self.options = ('--check-recipients', f'exec {sys.executable} {HERE}/recipient_checker.py {self.asked}')

    def lines(self):
        if not os.path.exists(self.asked):
            return []
        with open(self.asked) as file:
            return [line.split('\t') for line in file.read().splitlines()]

    def rcpt(self, peer, *names, start=OPEN[:2]):
        """The replies to these, sent in one piece."""
        self.assertEqual(peer.codes(*start), [250] * len(start))
        peer.send(''.join(f'RCPT TO:<{name}@example.org>\r\n' for name in names).encode())
        return [peer.reply()[0] for _ in names]

    def test_maild_check_order(self):
        """maild, checker: 250, 450, 550 with text; replies in order, whatever the order of the answers"""
        for loop in LOOPS:
            with Maild(*self.options, *loop) as maild, Peer(maild.port) as peer:
                self.assertEqual(self.rcpt(peer, 'later300-550', 'later200-250', 'later100-450', 'ok'),
                                 [(550, '5.1.1 No such mailbox here'), (250, '2.1.5 Fine'),
                                  (450, '4.2.1 Come again'), (250, '2.1.5 Fine')])
                self.assertEqual(peer.code('DATA'), 354)
                peer.send(MESSAGE)
                self.assertEqual(peer.code('.'), 250)
                self.assertEqual({os.path.basename(os.path.dirname(os.path.dirname(name)))
                                  for name in maild.files()}, {'later200-250@example.org', 'ok@example.org'})
                word, _, *fields = self.lines()[0]
                self.assertEqual([word, *fields], ['check', 'later300-550@example.org', 'a@client.example',
                                                   '[127.0.0.1]', 'client.example'])

    def test_maild_check_unasked(self):
        """maild, checker: it is not asked about recipients elsewhere"""
        with Maild(*self.options) as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(*OPEN[:2], 'RCPT TO:<ok@elsewhere.example>', 'RCPT TO:<ok@example.org>'),
                             [250, 250, 550, 250])
            self.assertEqual([fields[2] for fields in self.lines()], ['ok@example.org'])

    def test_maild_check_silence(self):
        """maild, checker: no answer: 451 after --check-timeout; others are answered meanwhile"""
        for loop in LOOPS:
            with Maild(*self.options, '--check-timeout', '1', *loop) as maild:
                with Peer(maild.port) as peer, Peer(maild.port) as other:
                    begun = time.monotonic()
                    self.assertEqual(peer.codes(*OPEN[:2]), [250, 250])
                    peer.send('RCPT TO:<silent@example.org>')
                    self.assertEqual(self.rcpt(other, 'ok')[0][0], 250)
                    self.assertLess(time.monotonic() - begun, 0.9)
                    self.assertEqual(peer.reply()[0][0], 451)
                    self.assertTrue(0.9 < time.monotonic() - begun < 5)
                    self.assertEqual(self.rcpt(peer, 'ok', start=()), [(250, '2.1.5 Fine')])

    def test_maild_check_nonsense(self):
        """maild, checker: a code that is none: 451; a text that is too long: without it"""
        with Maild(*self.options) as maild, Peer(maild.port) as peer:
            odd, long, fine = self.rcpt(peer, 'odd', 'long', 'ok')
            self.assertEqual([odd[0], long[0], fine[0]], [451, 550, 250])
            maild.wait_log('999')

    def test_maild_check_garbage(self):
        """maild, checker: lines that are no answers are told and decide nothing"""
        with Maild(*self.options, '--check-timeout', '1') as maild, Peer(maild.port) as peer:
            self.assertEqual([code for code, _ in self.rcpt(peer, 'garbage', 'ok')], [451, 250])
            maild.wait_log('maild: recipient checker: a line that is no answer')

    def test_maild_check_dies(self):
        """maild, checker: it dies: 451 for all that are open; it is started again"""
        for loop in LOOPS:
            with Maild(*self.options, *loop) as maild, Peer(maild.port) as peer, Peer(maild.port) as other:
                self.assertEqual(other.codes(*OPEN[:2]), [250, 250])
                other.send('RCPT TO:<silent@example.org>')
                wait_for(lambda: any('silent@example.org' in line for line in self.lines()))
                self.assertEqual([code for code, _ in self.rcpt(peer, 'silent', 'die', 'later5000-250')], [451] * 3)
                self.assertEqual(other.reply()[0][0], 451)
                self.assertEqual(peer.code('RCPT TO:<ok@example.org>'), 451)  # it is not there yet
                wait_for(lambda: peer.code('RCPT TO:<ok@example.org>') == 250, 10)
                maild.wait_log('maild: recipient checker: ')
            os.unlink(self.asked)

    def test_maild_check_cancel(self):
        """maild, checker: the peer leaves while it is asked: it is told"""
        for loop in LOOPS:
            with Maild(*self.options, *loop) as maild:
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.codes(*OPEN[:2]), [250, 250])
                    peer.send('RCPT TO:<silent@example.org>')
                    asked = wait_for(self.lines)
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')  # a reset
                wait_for(lambda: ['cancel', asked[0][1]] in self.lines(), 10)
            os.unlink(self.asked)

    def test_maild_check_many(self):
        """maild, checker: 100 recipients that take 50 ms each, pipelined: at the same time"""
        for loop in LOOPS:
            with Maild(*self.options, *loop) as maild, Peer(maild.port) as peer:
                begun = time.monotonic()
                replies = self.rcpt(peer, *(f'later50-250-{i}' for i in range(100)))
                self.assertEqual({code for code, _ in replies}, {250})
                self.assertLess(time.monotonic() - begun, 1)

    def test_maild_check_stop(self):
        """maild, checker: SIGTERM while it is asked: the answer still counts"""
        with Maild(*self.options) as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(*OPEN[:2]), [250, 250])
            peer.send('RCPT TO:<later500-250@example.org>')
            wait_for(self.lines)
            maild.terminate()
            self.assertEqual(peer.reply()[0][0], 250)
            self.assertEqual(peer.code('DATA'), 354)
            peer.send(MESSAGE)
            self.assertEqual(peer.code('.'), 250)
            self.assertEqual(peer.reply()[0][0], 421)


class Stop(unittest.TestCase):
    def test_maild_stop(self):
        """maild, SIGTERM: 421 to the idle; an open transaction ends with 250 and is told then; no newcomers"""
        for loop in LOOPS:
            with Maild(*loop) as maild, Peer(maild.port) as idle, Peer(maild.port) as busy, Peer(maild.port) as early:
                self.assertEqual(idle.code('EHLO client.example'), 250)
                self.assertEqual(busy.codes(*OPEN, 'DATA'), [250, 250, 250, 354])
                self.assertEqual(early.codes(*OPEN), [250, 250, 250])
                maild.terminate()
                self.assertEqual(idle.reply()[0][0], 421)
                self.assertEqual(idle.reply(), [])
                with self.assertRaises(ConnectionRefusedError):
                    Peer(maild.port)
                busy.send(MESSAGE)
                self.assertEqual(busy.code('.'), 250)
                self.assertEqual(busy.reply()[0][0], 421)
                self.assertEqual(busy.reply(), [])
                self.assertEqual(early.code('RSET'), 250)
                self.assertEqual(early.reply()[0][0], 421)
                begun = time.monotonic()
                maild.wait(10)
                self.assertLess(time.monotonic() - begun, 5)
                self.assertEqual([message[2] for message in maild.messages()], [STORED])

    def test_maild_grace(self):
        """maild, SIGTERM: who takes longer than --grace gets 421, and nothing is kept"""
        for loop in LOOPS:
            with Maild('--grace', '1', *loop) as maild, Peer(maild.port) as peer:
                self.assertEqual(peer.codes(*OPEN, 'DATA'), [250, 250, 250, 354])
                peer.send(MESSAGE)
                begun = time.monotonic()
                maild.terminate()
                self.assertEqual(peer.reply()[0][0], 421)
                self.assertTrue(0.9 < time.monotonic() - begun < 5)
                maild.wait(10)
                self.assertEqual(maild.files(), [])

    def test_maild_stop_twice(self):
        """maild, SIGTERM twice: at once, with 421"""
        for loop in LOOPS:
            with Maild(*loop) as maild, Peer(maild.port) as peer, Peer(maild.port) as idle:
                self.assertEqual(peer.codes(*OPEN, 'DATA'), [250, 250, 250, 354])
                maild.terminate()
                self.assertEqual(idle.reply()[0][0], 421)
                begun = time.monotonic()
                maild.terminate()
                self.assertEqual(peer.reply()[0][0], 421)
                peer.socket.close()
                peer.output.close()
                maild.wait(10)
                self.assertLess(time.monotonic() - begun, 5)
                self.assertEqual(maild.files(), [])

    def test_maild_stop_not_reading(self):
        """maild, SIGTERM: a peer that takes no replies does not keep it"""
        with Maild('--grace', '1', '--max-errors', '0') as maild, Peer(maild.port) as peer:
            Flood(self).push(peer)
            maild.terminate()
            maild.wait(20)

    def test_maild_stop_twice_not_reading(self):
        """maild, SIGTERM twice: not even for that one, nor for one that has been told and does not close"""
        with Maild('--max-errors', '0') as maild, Peer(maild.port) as peer, Peer(maild.port) as idle:
            Flood(self).push(peer)
            maild.terminate()
            self.assertEqual(idle.reply()[0][0], 421)
            begun = time.monotonic()
            maild.terminate()
            maild.wait(20)
            self.assertLess(time.monotonic() - begun, 1.5)

    def test_maild_writer_killed(self):
        """maild: its writers killed: 451, new ones, and on"""
        with Maild(clean=False) as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.deliver(), 250)
            self.assertEqual(len(maild.children()), 4)
            for pid in maild.children():
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: maild.log().count('maild: writer: ended') == 4)
            self.assertEqual(peer.deliver(opening=OPEN[1:]), 451)
            wait_for(lambda: peer.deliver(opening=OPEN[1:]) == 250, 10)
            self.assertEqual(len(maild.files()), 2)


class Flood:
    """Lines without end, of which no reply is read."""

    def __init__(self, test, line=b'NOOP\r\n', most=8 << 20):
        self.test, self.octets, self.most = test, line * (65536 // len(line)), most

    def push(self, peer):
        """Sends until no more is taken for half a second."""
        sent = 0
        peer.socket.setblocking(False)
        while sent < self.most and select.select([], [peer.socket], [], 0.5)[1]:
            sent += peer.socket.send(self.octets)
        self.test.assertLess(sent, self.most, 'maild takes it all')
        return sent


class Limits(unittest.TestCase):
    def test_maild_max_connections(self):
        """maild, --max-connections: 421 for the next one, until one leaves"""
        for loop in LOOPS:
            with Maild('--max-connections', '3', *loop) as maild:
                peers = [self.enterContext(Peer(maild.port)) for _ in range(3)]
                with Peer(maild.port) as late:
                    self.assertEqual(late.greeting[0][0], 421)
                    self.assertEqual(late.reply(), [])
                self.assertEqual(peers[0].code('QUIT'), 221)
                self.assertTrue(peers[0].gone())
                wait_for(lambda: maild.status()['connections'] == 2)
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.deliver(), 250)

    def test_maild_max_per_address(self):
        """maild, --max-per-address: 421 for that address, not for others"""
        for loop in LOOPS:
            with Maild('--max-per-address', '2', *loop) as maild:
                for _ in range(2):
                    self.enterContext(Peer(maild.port))
                with Peer(maild.port) as late:
                    self.assertEqual(late.greeting[0][0], 421)
                    self.assertTrue(late.greeting[0][1].endswith(' Too many connections from your address'))
                with Peer(maild.port, source=('127.0.0.2', 0)) as other:
                    self.assertEqual(other.deliver(), 250)

    def test_maild_max_size(self):
        """maild, --max-size: 552 at MAIL, or at the end of content that grew too big; the next message is taken"""
        for loop in LOOPS:
            with Maild('--max-size', '1000', *loop) as maild, Peer(maild.port) as peer:
                self.assertEqual(peer.codes(OPEN[0], OPEN[1] + ' SIZE=1001'), [250, 552])
                self.assertEqual(peer.deliver(b'x' * 998 + b'\r\n' + b'x\r\n', OPEN[1:]), 552)
                self.assertEqual(peer.deliver(b'x' * 998 + b'\r\n', OPEN[1:]), 250)
                self.assertEqual(len(maild.files()), 1)

    def test_maild_max_recipients(self):
        """maild, --max-recipients: 452 for the next one"""
        with Maild('--max-recipients', '2') as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(*OPEN, 'RCPT TO:<c@example.org>', 'RCPT TO:<d@example.org>'),
                             [250, 250, 250, 250, 452])

    def test_maild_timeout(self):
        """maild, --timeout: 421 for a silent peer; one that sends octet by octet gets no longer"""
        for loop in LOOPS:
            with Maild('--timeout', '2', *loop) as maild:
                with Peer(maild.port) as silent, Peer(maild.port) as slow, Peer(maild.port) as content:
                    self.assertEqual(content.codes(*OPEN, 'DATA'), [250, 250, 250, 354])
                    begun = time.monotonic()
                    ended = {}
                    while len(ended) < 3 and time.monotonic() < begun + 10:
                        for peer in {silent, slow, content} - set(ended):
                            if select.select([peer.socket], [], [], 0)[0]:
                                self.assertEqual(peer.reply()[0][0], 421)
                                ended[peer] = time.monotonic() - begun
                        if slow not in ended:
                            slow.send(b'N')
                        time.sleep(0.1)
                    self.assertEqual(len(ended), 3)
                    for peer in ended:
                        self.assertTrue(1.7 < ended[peer] < 5, ended)

    @native('memory is measured, and sanitizers keep what was freed')
    def test_maild_not_reading(self):
        """maild: 50 peers that read no replies to NOOP and RCPT without end: memory stays flat, others are served"""
        for loop in LOOPS:
            with Maild('--max-errors', '0', '--max-per-address', '0', *loop) as maild:
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.deliver(), 250)
                peers = [self.enterContext(Peer(maild.port)) for _ in range(50)]
                before = maild.memory()
                sent = 0
                for number, peer in enumerate(peers):
                    peer.send('\r\n'.join(OPEN))
                    peer.send(b'\r\n')
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
                threads = [threading.Thread(target=self.push, args=(peer, number % 2))
                           for number, peer in enumerate(peers)]
                self.sent = []
                for thread in threads:
                    thread.start()
                with Peer(maild.port) as other:
                    for _ in range(10):
                        begun = time.monotonic()
                        self.assertEqual(other.deliver(), 250)
                        self.assertLess(time.monotonic() - begun, 5)
                for thread in threads:
                    thread.join()
                sent = sum(self.sent)
                self.assertEqual(len(self.sent), 50)
                self.assertGreater(sent, 5 << 20)
                self.assertLess(maild.memory() - before, 50 * (128 << 10))  # a buffer each, whatever was sent
                for peer in peers:
                    peer.socket.close()
                    peer.output.close()
                wait_for(lambda: maild.status()['connections'] == 0)

    def push(self, peer, rcpt):
        line = b'RCPT TO:<somebody@elsewhere.example>\r\n' if rcpt else b'NOOP\r\n'
        self.sent.append(Flood(self, line).push(peer))

    def test_maild_flood(self):
        """maild: 2,000 quick connections: all let go, the next one is served"""
        for loop in LOOPS:
            with Maild(*loop) as maild:
                for number in range(2000):
                    with socket.socket() as peer:
                        peer.bind((f'127.0.1.{number % 200 + 1}', 0))
                        peer.connect(('127.0.0.1', maild.port))
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.deliver(), 250)
                    wait_for(lambda: maild.status()['connections'] == 1)

    def test_maild_ten_thousand(self):
        """maild: 10,000 idle connections: others are served all the same, memory is modest, all are told at the end"""
        for loop in LOOPS:
            with Maild('--max-per-address', '0', '--max-connections', '20000', *loop) as maild:
                before = maild.memory()
                peers = []
                try:
                    for number in range(10000):
                        peer = socket.socket()
                        peers.append(peer)
                        peer.bind((f'127.0.2.{number % 200 + 1}', 0))
                        peer.settimeout(PATIENCE)
                        peer.connect(('127.0.0.1', maild.port))
                    for peer in peers:
                        self.assertTrue(peer.recv(1000).startswith(b'220 '))
                    self.assertEqual(maild.status()['connections'], 10000)
                    self.assertLess(maild.memory() - before, 10000 * 4096)
                    with Peer(maild.port) as peer:
                        for _ in range(5):
                            begun = time.monotonic()
                            self.assertEqual(peer.deliver(), 250)
                            self.assertLess(time.monotonic() - begun, 2)
                    maild.terminate()
                    for peer in peers:
                        self.assertTrue(peer.recv(1000).startswith(b'421 '))
                finally:
                    for peer in peers:
                        peer.close()
