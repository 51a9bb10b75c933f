"""test_busy.py: maild under load, and what is counted: 200 connections without pause, half of them under TLS.

A short form; with BUSY_SECONDS in the environment (sh tests/run.sh --load) it lasts so long, and 10,000 idle
connections are held all the while, and served in the end.
"""

import os
import re
import socket
import subprocess
import tempfile
import unittest

from harness import PATIENCE
from maild import Maild, many_descriptors, wait_for
from test_load import Figures, command
from test_maild_login import certificate

SECONDS = int(os.environ.get('BUSY_SECONDS', '8'))
IDLE = 10000 if 'BUSY_SECONDS' in os.environ else 500
NUMBER = re.compile(rb'Message-ID: <(\d{12})\.(\d+)@load\.invalid>\nSubject: (\d{12})\n\n(?:x{62}\n)*x{0,63}\n\Z')


class Busy(unittest.TestCase):
    def setUp(self):
        many_descriptors(IDLE + 2000)
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix='ehlo-busy-', dir='/dev/shm'))

    def idle(self, port):
        peers = []
        for number in range(IDLE):
            peer = self.enterContext(socket.socket())
            peer.bind((f'127.0.3.{number % 200 + 1}', 0))
            peer.settimeout(PATIENCE)
            peer.connect(('127.0.0.1', port))
            peers.append(peer)
        for peer in peers:
            self.assertTrue(peer.recv(1000).startswith(b'220 '))
        return peers

    def stored(self, directory):
        """The numbers of the messages in a Maildir; each must be whole."""
        numbers = []
        with os.scandir(directory) as files:
            for file in files:
                with open(file, 'rb') as opened:
                    found = NUMBER.search(opened.read())
                self.assertIsNotNone(found, file.name)
                self.assertEqual(found[1], found[3])
                numbers.append(int(found[1]))
        return numbers

    def test_maild_busy(self):
        """maild: 200 busy connections, idle ones beside: all that was accepted is in the Maildirs, once, and no more"""
        pem, key = certificate(self.directory, 'busy')
        mail = os.path.join(self.directory, 'mail')
        os.mkdir(mail)
        with Maild('--tls-cert', pem, '--tls-key', key, '--max-per-address', '0', '--max-connections', '20000',
                   '--timeout', str(SECONDS + 300), '--quiet', maildir=mail,
                   listen=('--listen', '127.0.0.1:0', '--smtps', '127.0.0.1:0')) as maild:
            peers = self.idle(maild.port)
            idle_memory = maild.memory()
            loads = {port: subprocess.Popen(command(maild.ports[port], '--connections', 100, '--duration', SECONDS,
                                                    '--to', f'{port}@example.org', *more), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
                     for port, more in (('smtp', ()), ('smtps', ('--tls', '--insecure')))}
            accepted = 0
            told = []
            for port, process in loads.items():
                out, errors = process.communicate(timeout=SECONDS + PATIENCE)
                figures = Figures(subprocess.CompletedProcess('load', process.returncode, out, errors))
                told.append(out)
                self.assertEqual((figures.status, figures.unexpected, figures.counts['connections']), (0, {}, 100), out)
                self.assertEqual(figures.fates[1:], [0, 0, 0], out)
                numbers = self.stored(f'{mail}/{port}@example.org/new')
                self.assertEqual((len(numbers), len(set(numbers))), (figures.counts['accepted'],) * 2)
                self.assertGreater(len(numbers), 10 * SECONDS)
                accepted += len(numbers)
            self.assertEqual(len(maild.files()), accepted)
            maild.status()
            maild.wait_log(f'maild: metric maild_messages_accepted_total {accepted}\n')
            wait_for(lambda: maild.status()['connections'] == IDLE)
            for peer in peers:
                peer.sendall(b'NOOP\r\n')
            for peer in peers:
                self.assertTrue(peer.recv(1000).startswith(b'250 '))
            print(f'      {accepted} accepted in {SECONDS} s, all in the Maildirs; {IDLE} idle connections held; '
                  f'{idle_memory} octets of memory before, {maild.memory()} after', flush=True)
            if 'BUSY_SECONDS' in os.environ:
                print(*told, sep='\n', flush=True)
