"""test_maild_trust.py: maild: who is believed who the client is: the PROXY protocol, XCLIENT."""

import contextlib
import socket
import struct
import subprocess
import time
import unittest

from harness import PATIENCE
from maild import MAILD, MESSAGE, OPEN, Maild, Peer, wait_for
from test_maild_login import Case, Secure

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
FROM_4 = socket.inet_aton('192.0.2.7') + socket.inet_aton('198.51.100.1') + struct.pack('!HH', 5678, 25)
FROM_6 = socket.inet_pton(socket.AF_INET6, '2001:db8::7') * 2 + struct.pack('!HH', 5678, 25)


def version_2(command, family, octets):
    return SIGNATURE + struct.pack('!BBH', command, family, len(octets)) + octets


GOOD = {
    b'PROXY TCP4 192.0.2.7 198.51.100.1 5678 25\r\n': '[192.0.2.7]:5678',
    b'PROXY TCP6 2001:db8::7 2001:db8::1 5678 25\r\n': '[IPv6:2001:db8::7]:5678',
    b'PROXY UNKNOWN\r\n': '[127.0.0.1]:',
    b'PROXY UNKNOWN ' + b'f' * 91 + b'\r\n': '[127.0.0.1]:',
    version_2(0x21, 0x11, FROM_4): '[192.0.2.7]:5678',
    version_2(0x21, 0x21, FROM_6): '[IPv6:2001:db8::7]:5678',
    version_2(0x21, 0x11, FROM_4 + b'\4\0\1x' * 2000): '[192.0.2.7]:5678',  # and more about the connection
    version_2(0x20, 0, b''): '[127.0.0.1]:',
    version_2(0x21, 0x31, b'/' * 216): '[127.0.0.1]:',
}
BAD = (b'EHLO client.example\r\n', b'PROXY TCP4 192.0.2.7\r\n', b'PROXY TCP4 192.0.2.7 198.51.100.1 5678 25\n',
       b'PROXY TCP4 2001:db8::7 2001:db8::1 5678 25\r\n', b'PROXY TCP4 192.0.2.7 198.51.100.1 99999 25\r\n',
       b'PROXY TCP5 192.0.2.7 198.51.100.1 5678 25\r\n', b'PROXY TCP4 192.0.2.7 198.51.100.1 5678 25 x\r\n',
       b'PROXY UNKNOWN' + b' ' * 200, version_2(0x21, 0x11, FROM_4[:8]), version_2(0x11, 0x11, FROM_4),
       version_2(0x22, 0x11, FROM_4), SIGNATURE[:5] + b'EHLO')


class Balancer(Case):
    def test_maild_proxy_protocol(self):
        """maild, PROXY protocol: 1 and 2, whole and octet by octet; the client's address stands in log and trace"""
        with Maild('--proxy-protocol', '127.0.0.0/8', '--max-per-address', '0') as maild:
            for number, (preamble, client) in enumerate(GOOD.items(), 1):
                for step in len(preamble), 1 if len(preamble) < 300 else 1000:
                    with self.subTest(preamble[:60], step=step), Peer(maild.port, greet=False) as peer:
                        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        for at in range(0, len(preamble), step):
                            peer.send(preamble[at:at + step])
                            time.sleep(0.0005)
                        self.assertEqual(peer.reply()[0][0], 220)
                        self.assertEqual(peer.deliver(), 250)
                        wait_for(lambda: f' client={client}' in maild.log().splitlines()[-1], 10)
                        with open(maild.files()[-1]) as file:
                            self.assertIn(client.rpartition(':')[0], file.read())

    def test_maild_proxy_protocol_bad(self):
        """maild, PROXY protocol: what is none, or does not come in time: closed without a word, and logged"""
        with Maild('--proxy-protocol', '127.0.0.1', '--timeout', '1') as maild:
            for preamble in BAD:
                with self.subTest(preamble), Peer(maild.port, greet=False) as peer:
                    with contextlib.suppress(OSError):  # it may be quicker
                        peer.send(preamble)
                        peer.socket.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(ConnectionResetError):
                        self.assertEqual(peer.output.read(), b'')
            maild.wait_log('maild: no PROXY protocol client=[127.0.0.1]:', len(BAD))
            with Peer(maild.port, greet=False) as peer:
                self.assertEqual(peer.output.read(), b'')

    def test_maild_proxy_protocol_trust(self):
        """maild, PROXY protocol: from others it is no preamble; limits are the client's, not the balancer's; TLS"""
        line = b'PROXY TCP4 192.0.2.7 198.51.100.1 5678 25\r\n'
        with Maild('--proxy-protocol', '127.0.0.2', '--max-per-address', '2') as maild:
            with Peer(maild.port) as peer:
                self.assertEqual(peer.codes(line.decode().strip()), [500])
            peers = [self.enterContext(Peer(maild.port, source=('127.0.0.2', 0), greet=False)) for _ in range(4)]
            for number, peer in enumerate(peers[:3]):
                peer.send(line)
                self.assertEqual(peer.reply()[0][0], 220 if number < 2 else 421)
            peers[3].send(line.replace(b'2.7', b'2.8'))
            self.assertEqual(peers[3].reply()[0][0], 220)
        with Maild('--proxy-protocol', '127.0.0.1') as maild, Peer(maild.port, greet=False) as peer:
            peer.send(line + b'QUIT\r\n')  # what comes with it is the client's
            self.assertEqual(peer.reply()[0][0], 220)
        with Maild('--proxy-protocol', '127.0.0.0/8', '--tls-cert', self.pem, '--tls-key', self.key,
                   listen=('--smtps', '127.0.0.1:0')) as maild, Peer(maild.ports['smtps'], greet=False) as peer:
            peer.send(line)
            Secure.secure(peer)
            peer.greeting = peer.reply()
            self.assertEqual(peer.deliver(), 250)
            maild.wait_log(' client=[192.0.2.7]:5678')

    def test_maild_proxy_protocol_itself(self):
        """maild, PROXY protocol: a balancer that speaks for itself, as to see who is there, has no limit"""
        with Maild('--proxy-protocol', '127.0.0.1', '--max-per-address', '1') as maild:
            with Peer(maild.port, greet=False) as one, Peer(maild.port, greet=False) as other:
                for peer in one, other:
                    peer.send('PROXY UNKNOWN')
                    self.assertEqual(peer.reply()[0][0], 220)

    def test_maild_trust_usage(self):
        """maild, --proxy-protocol and --xclient: what is no network is bad usage"""
        for network in '', '192.0.2.0/33', '2001:db8::/129', '192.0.2/24', 'x', '192.0.2.0/', '192.0.2.0/-1':
            for option in '--proxy-protocol', '--xclient':
                done = subprocess.run([MAILD, '--listen', '127.0.0.1:0', '--discard', option, network],
                                      stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)
                self.assertEqual(done.returncode, 64, network)


class XClient(Case):
    def test_maild_xclient(self):
        """maild, XCLIENT: from trusted peers: address, name, port; others are not offered it, and refused"""
        line = 'XCLIENT NAME=mail.client.example ADDR=192.0.2.9 PORT=4711 PROTO=ESMTP HELO=x'
        with Maild('--xclient', '127.0.0.2', '--xclient', '::1') as maild:
            with Peer(maild.port) as peer:
                self.assertNotIn('XCLIENT', str(peer.command(OPEN[0])))
                self.assertGreaterEqual(peer.code(line), 500)
            with Peer(maild.port, source=('127.0.0.2', 0)) as peer:
                self.assertIn('XCLIENT', str(peer.command(OPEN[0])))
                self.assertEqual(peer.code(line), 220)
                self.assertEqual(peer.deliver(), 250)
                maild.wait_log(' client=[192.0.2.9]:4711')
                with open(maild.files()[0]) as file:
                    self.assertIn('Received: from client.example (mail.client.example [192.0.2.9])', file.read())
                for bad in 'XCLIENT ADDR=192.0.2', 'XCLIENT ADDR=IPV6:x', 'XCLIENT PORT=x', 'XCLIENT PORT=99999':
                    self.assertEqual(peer.code(bad), 501, bad)
                self.assertEqual(peer.code('XCLIENT ADDR=IPV6:2001:db8::9 NAME=[UNAVAILABLE]'), 220)
                self.assertEqual(peer.deliver(), 250)
                maild.wait_log(' client=[IPv6:2001:db8::9]:4711')

    def test_maild_xclient_balancer(self):
        """maild, XCLIENT: behind a trusted balancer it is the client who is trusted, or not"""
        with Maild('--xclient', '127.0.0.1', '--proxy-protocol', '127.0.0.1') as maild:
            for client, offered in ('192.0.2.7', False), ('127.0.0.1', True):
                with Peer(maild.port, greet=False) as peer:
                    peer.send(f'PROXY TCP4 {client} 198.51.100.1 5678 25')
                    self.assertEqual(peer.reply()[0][0], 220)
                    self.assertEqual('XCLIENT' in str(peer.command(OPEN[0])), offered)

    def test_maild_xclient_login(self):
        """maild, XCLIENT: LOGIN, by a proxy that has looked at the password"""
        with Maild('--passwords', self.passwords, '--xclient', '127.0.0.1',
                   listen=('--submission', '127.0.0.1:0')) as maild, Peer(maild.ports['submission']) as peer:
            self.assertEqual(peer.codes(OPEN[0], 'XCLIENT LOGIN=alice ADDR=192.0.2.9'), [250, 220])
            self.assertEqual(peer.deliver(), 250)
            maild.wait_log(' user=alice ')
            self.assertEqual(peer.codes('XCLIENT LOGIN=[UNAVAILABLE] ADDR=192.0.2.9', *OPEN[:2]), [220, 250, 530])
            with Peer(maild.ports['submission']) as other:  # what is refused introduces nobody
                self.assertEqual(other.codes(OPEN[0], 'XCLIENT LOGIN=alice ADDR=192.0.2', 'XCLIENT ADDR=192.0.2.9',
                                             *OPEN[:2]), [250, 501, 220, 250, 530])
        with Maild('--passwords', self.passwords, '--xclient', '127.0.0.2',
                   listen=('--submission', '127.0.0.1:0')) as maild, Peer(maild.ports['submission']) as peer:
            self.assertEqual(peer.codes(OPEN[0], 'XCLIENT LOGIN=alice', OPEN[1]), [250, 502, 530])
        with Maild('--passwords', self.passwords, '--xclient', '127.0.0.1',
                   listen=('--listen', '127.0.0.1:0')) as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(OPEN[0], 'XCLIENT LOGIN=alice'), [250, 220])
            self.assertEqual(peer.deliver(), 250)
