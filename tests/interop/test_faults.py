"""test_faults.py: maild on disks that are slow, broken or full, out of descriptors, and killed at any moment.

shim.c, preloaded, makes the faults, as long as a file of that name is in a directory of the test's.
"""

import os
import random
import re
import resource
import signal
import smtplib
import subprocess
import tempfile
import threading
import time
import unittest

from maild import MESSAGE, OPEN, STORED, Maild, Peer, wait_for

SHIM = os.environ['SHIM']


class Faults(unittest.TestCase):
    def setUp(self):
        self.switches = self.enterContext(tempfile.TemporaryDirectory())

    def maild(self, *options, **more):
        return Maild(*options, env={**os.environ, 'LD_PRELOAD': SHIM, 'SHIM_DIRECTORY': self.switches}, **more)

    def switch(self, name, on=True, content=''):
        path = os.path.join(self.switches, name)
        if on:
            with open(path + '~', 'w') as file:
                file.write(content)
            os.rename(path + '~', path)
        else:
            os.unlink(path)

    def verdict(self, peer, octets=MESSAGE):
        """The reply to a message, or to the command before it that was refused."""
        for line in OPEN[1:]:
            self.assertEqual(peer.code(line), 250)
        code, text = peer.command('DATA')[0]
        if code == 354:
            peer.send(octets)
            code, text = peer.command('.')[0]
        return code, text

    def test_maild_fsync_fails(self):
        """maild: a failing fsync is 451 and a line in the log; nothing is in new/; afterwards mail is taken again"""
        with self.maild() as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.assertEqual(self.verdict(peer)[0], 250)
            self.switch('broken')
            self.assertEqual(self.verdict(peer), (451, '4.3.0 The message cannot be stored now'))
            self.assertEqual(len(maild.files()), 1)
            maild.wait_log('maild: b@example.org: Input/output error')
            maild.wait_log('maild: refused message 451 4.3.0')
            peer.code('RSET')
            self.switch('broken', False)
            self.assertEqual(self.verdict(peer)[0], 250)
            self.assertEqual([octets for _, _, octets in maild.messages()], [STORED, STORED])

    def test_maild_fsync_fails_first(self):
        """maild: a mailbox that cannot be made durably is 451"""
        with self.maild() as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.switch('broken')
            self.assertEqual(self.verdict(peer)[0], 451)
            peer.code('RSET')
            self.switch('broken', False)
            self.assertEqual(self.verdict(peer)[0], 250)
            self.assertEqual(len(maild.files()), 1)

    def test_maild_fsync_slow(self):
        """maild: while one message waits for a slow disk, others are served"""
        with self.maild() as maild, Peer(maild.port) as slow, Peer(maild.port) as other:
            slow.code(OPEN[0])
            self.verdict(slow)
            self.switch('slow')
            for line in OPEN[1:]:
                slow.code(line)
            slow.code('DATA')
            slow.send(MESSAGE + b'.\r\n')
            begun = time.monotonic()
            for _ in range(20):
                self.assertEqual(other.code('NOOP'), 250)
            self.assertLess(time.monotonic() - begun, 0.3)
            self.assertEqual(slow.reply()[0][0], 250)
            self.assertGreaterEqual(time.monotonic() - begun, 0.3)

    def test_maild_disk_full(self):
        """maild: a full disk is 452, before the content or behind it; afterwards mail is taken again"""
        with self.maild() as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.verdict(peer)
            self.switch('full')
            self.assertEqual(self.verdict(peer), (452, '4.3.1 The message cannot be stored now'))
            peer.code('RSET')
            self.switch('full', False)
            for line in OPEN[1:]:
                peer.code(line)
            self.assertEqual(peer.code('DATA'), 354)
            self.switch('full')
            peer.send(MESSAGE * 10000)
            self.assertEqual(peer.code('.'), 452)
            self.switch('full', False)
            self.assertEqual(self.verdict(peer)[0], 250)
            self.assertEqual(len(maild.files()), 2)
            maild.wait_log('No space left on device')

    def test_maild_unwritable(self):
        """maild: a Maildir that is none is 451, in SMTP for the message, in LMTP for its recipient"""
        with Maild(listen=('--listen', '127.0.0.1:0', '--lmtp-listen', '127.0.0.1:0')) as maild:
            with open(os.path.join(maild.maildir, 'c@example.org'), 'w'):
                pass
            with Peer(maild.port) as peer:
                self.assertEqual(peer.codes(*OPEN, 'RCPT TO:<c@example.org>', 'DATA'), [250, 250, 250, 250, 354])
                peer.send(MESSAGE)
                self.assertEqual(peer.code('.'), 451)
                self.assertEqual(maild.files(), [])
                self.assertEqual(peer.codes('MAIL FROM:<>', 'RCPT TO:<c@example.org>', 'DATA'), [250, 250, 451])
                self.assertEqual(peer.code('RSET'), 250)
                self.assertEqual(self.verdict(peer)[0], 250)
            with Peer(maild.lmtp_port) as peer:
                self.assertEqual(peer.codes('LHLO client.example', *OPEN[1:], 'RCPT TO:<c@example.org>',
                                            'RCPT TO:<d@example.org>', 'DATA'), [250, 250, 250, 250, 250, 354])
                peer.send(MESSAGE + b'.\r\n')
                self.assertEqual([peer.reply()[0][0] for _ in range(3)], [250, 451, 250])
            self.assertEqual(sorted(os.path.relpath(name, maild.maildir).split('/')[0] for name in maild.files()),
                             ['b@example.org', 'b@example.org', 'd@example.org'])
            maild.wait_log('maild: c@example.org: Not a directory')

    def test_maild_unwritable_first(self):
        """maild: LMTP: a first recipient whose Maildir is none does not stand in the way of the others"""
        with Maild(listen=('--lmtp-listen', '127.0.0.1:0')) as maild, Peer(maild.lmtp_port) as peer:
            for name in 'c', 'd':
                with open(os.path.join(maild.maildir, f'{name}@example.org'), 'w'):
                    pass
            for _ in range(2):  # b's Maildir has to be made, and is there
                self.assertEqual(peer.codes('LHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<c@example.org>',
                                            'RCPT TO:<d@example.org>', 'RCPT TO:<b@example.org>', 'DATA'),
                                 [250, 250, 250, 250, 250, 354])
                peer.send(MESSAGE + b'.\r\n')
                self.assertEqual([peer.reply()[0][0] for _ in range(3)], [451, 451, 250])
            self.assertEqual([octets for _, _, octets in maild.messages('b@example.org')], [STORED, STORED])
            self.assertEqual(peer.codes('MAIL FROM:<>', 'RCPT TO:<c@example.org>', 'RCPT TO:<d@example.org>', 'DATA'),
                             [250, 250, 250, 451])

    def test_maild_fsync_fails_once(self):
        """maild: LMTP: who is named twice, and fails once, keeps what he was told he has, whichever fsync fails"""
        for count in range(12):
            with self.subTest(count), self.maild('--writers', '1', listen=('--lmtp-listen', '127.0.0.1:0')) as maild:
                with Peer(maild.lmtp_port) as peer:
                    self.assertEqual(peer.code('LHLO client.example'), 250)
                    self.verdict(peer)
                    self.switch('broken', content=str(count))
                    for line in (*OPEN[1:], 'RCPT TO:<c@example.org>', OPEN[2]):
                        self.assertEqual(peer.code(line), 250)
                    self.assertEqual(peer.code('DATA'), 354)
                    peer.send(MESSAGE + b'.\r\n')
                    codes = [peer.reply()[0][0] for _ in range(3)]
                    self.switch('broken', False)
                    there = [len(maild.files(address=f'{name}@example.org')) for name in ('b', 'c')]
                    self.assertEqual(there, [1 + (250 in (codes[0], codes[2])), codes[1] == 250], codes)
                    if count == 0:
                        self.assertEqual(codes, [451] * 3)
                    self.assertGreaterEqual(codes.count(451), 1)

    def test_maild_file_size(self):
        """maild: a limit on the size of files is 451 for the message that passes it, and not the end of the server"""
        limit = f'ulimit -f 100; exec {os.environ["MAILD"]} "$@"'
        with self.subprocess_maild(limit) as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.assertEqual(self.verdict(peer, MESSAGE + b'x' * 70 + b'\r\n' + b'y\r\n' * 100000)[0], 451)
            self.assertEqual(self.verdict(peer)[0], 250)

    def subprocess_maild(self, script):
        """A maild that a shell script starts."""
        path = os.path.join(self.switches, 'maild.sh')
        with open(path, 'w') as file:
            file.write(f'#!/bin/sh\n{script}\n')
        os.chmod(path, 0o755)
        return Maild(program=path)

    def test_maild_half_made(self):
        """maild: a mailbox that a crash left half made is made whole"""
        for part in 'tmp', 'new', '':
            with self.subTest(part), Maild() as maild, Peer(maild.port) as peer:
                os.makedirs(os.path.join(maild.maildir, 'b@example.org', part))
                peer.code(OPEN[0])
                self.assertEqual(self.verdict(peer)[0], 250)
                self.assertEqual(len(maild.files()), 1)

    def test_maild_checker_meddles(self):
        """maild: a checker that answers what it was not asked decides nothing about messages"""
        meddler = 'while read -r word id rest; do echo "$id 250"; ' \
                  'for n in 1 2 3 4 5 6 7 8 9; do echo "$n OK"; done; done'
        with self.maild('--check-recipients', meddler) as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.assertEqual(self.verdict(peer)[0], 250)
            self.switch('broken')
            self.assertEqual(self.verdict(peer)[0], 451)
            self.assertEqual(len(maild.files()), 1)

    def test_maild_group_stopped(self):
        """maild: SIGTERM to its whole group, as service managers send it, lets open transactions finish"""
        with Maild() as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(*OPEN, 'DATA'), [250, 250, 250, 354])
            os.killpg(maild.pid, signal.SIGTERM)
            maild.wait_log('maild: stopping')
            peer.send(MESSAGE)
            self.assertEqual(peer.code('.'), 250)
            self.assertEqual(len(maild.files()), 1)

    def test_maild_descriptors_of_files(self):
        """maild: no descriptor for a file is 451; afterwards mail is taken again"""
        with self.maild() as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            self.verdict(peer)
            self.switch('crowded')
            self.assertEqual(self.verdict(peer)[0], 451)
            peer.code('RSET')
            self.switch('crowded', False)
            self.assertEqual(self.verdict(peer)[0], 250)
            maild.wait_log('Too many open files')

    def test_maild_descriptors(self):
        """maild: all descriptors used up: newcomers get 421, those who are in are served, and later all are"""
        with Maild('--max-per-address', '0') as maild:
            resource.prlimit(maild.pid, resource.RLIMIT_NOFILE, (40, 40))
            peers = []
            while len(peers) < 60:
                peers.append(Peer(maild.port))
                if peers[-1].greeting[0][0] != 220:
                    break
            self.assertEqual(peers[-1].greeting[0][0], 421)
            maild.wait_log('maild: accept: Too many open files')
            self.assertEqual(peers[0].code(OPEN[0]), 250)
            self.assertEqual(self.verdict(peers[0])[0], 451)
            for peer in peers[1:]:
                peer.socket.close()
                peer.output.close()
            wait_for(lambda: maild.status()['connections'] == 1)
            peers[0].code('RSET')
            self.assertEqual(self.verdict(peers[0])[0], 250)
            with Peer(maild.port) as late:
                self.assertEqual(late.greeting[0][0], 220)
            peers[0].socket.close()
            peers[0].output.close()


class Killed(unittest.TestCase):
    """A hundred kills at random moments, under load, on one Maildir."""

    KILLS = 100
    SENDERS = 4

    def setUp(self):
        self.acknowledged = {}  # Message-ID -> how often its sender heard 250
        self.tried = {}
        self.over = False
        self.port = None
        self.lock = threading.Lock()

    def send(self, number):
        serial = 0
        sent = True
        client = None
        while not self.over:
            if sent:
                serial += 1
            name = f'{number}-{serial}'
            body = f'Message-ID: <{name}>\r\n\r\n' + f'{name} ' * random.choice((1, 100, 5000)) + '\r\nend\r\n'
            recipients = [f'{word}@example.org' for word in ('a', 'b', 'c')[:1 + serial % 3]]
            try:
                if client is None:
                    client = smtplib.SMTP('127.0.0.1', self.port, 'client.example', timeout=10)
                with self.lock:
                    self.tried[name] = self.tried.get(name, 0) + 1
                client.sendmail('s@client.example', recipients, body)
                with self.lock:
                    self.acknowledged[name] = len(recipients)
                sent = True
            except (OSError, smtplib.SMTPException):
                sent = False  # it tries the same again
                client = None
                time.sleep(0.005)

    def test_maild_killed(self):
        """maild: killed a hundred times under load: what was answered 250 is there, once, whole"""
        chance = random.Random(1)
        with tempfile.TemporaryDirectory() as maildir:
            senders = []
            for kill in range(self.KILLS):
                maild = Maild(maildir=maildir, clean=False)
                maild.__enter__()
                self.port = maild.port
                if not senders:
                    senders = [threading.Thread(target=self.send, args=(number,)) for number in range(self.SENDERS)]
                    for sender in senders:
                        sender.start()
                time.sleep(chance.uniform(0.02, 0.25))
                if kill % 4 == 1:  # a writer first, then, a moment later, all
                    os.kill(chance.choice(maild.children()), signal.SIGKILL)
                    time.sleep(chance.uniform(0, 0.05))
                elif kill % 4 == 2:  # the server alone: its writers finish what they have
                    os.kill(maild.pid, signal.SIGKILL)
                    maild.process.wait()
                    wait_for(maild.alone)
                maild.kill()
                maild.forget()
            self.over = True
            for sender in senders:
                sender.join()
            found = {}
            for directory, _, names in os.walk(maildir):
                if os.path.basename(directory) != 'new':
                    continue
                for name in names:
                    with open(os.path.join(directory, name), encoding='ascii') as file:
                        text = file.read()
                    self.assertTrue(text.endswith('\nend\n'), name)
                    self.assertIn(f',S={len(text)}', name)
                    identity = re.search(r'^Message-ID: <(.*)>$', text, re.MULTILINE)[1]
                    found.setdefault(identity, []).append(os.path.dirname(directory))
        copies = 0
        for identity, count in self.acknowledged.items():
            places = found.get(identity, [])
            self.assertEqual(len(set(places)), count, f'{identity} was acknowledged for {count}, found in {places}')
            for place in set(places):
                self.assertLessEqual(places.count(place), self.tried[identity])
            copies += len(places) - count
            if self.tried[identity] == 1:
                self.assertEqual(len(places), count, f'{identity} was sent once')
        retried = sum(count > 1 for count in self.tried.values())
        print(f'      {self.KILLS} kills, {len(self.acknowledged)} acknowledged, all there; '
              f'{retried} tried again, {copies} copies more than needed', flush=True)
        self.assertGreater(len(self.acknowledged), self.KILLS)
