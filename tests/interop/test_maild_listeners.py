"""test_maild_listeners.py: maild: what its listeners are for, and content by BDAT."""

import os
import threading
import unittest

from maild import MESSAGE, OPEN, STORED, Maild, Peer

ALL = ('--listen', '127.0.0.1:0', '--lmtp', '127.0.0.1:0')
LHLO = ('LHLO client.example', *OPEN[1:])


def keywords(reply):
    return {text.split()[0] for _, text in reply[1:]}


class Listeners(unittest.TestCase):
    def test_maild_listeners(self):
        """maild: --listen, --submission and --lmtp in one process: each is what it is for"""
        with Maild('--passwords', '/dev/null', listen=(*ALL, '--submission', '127.0.0.1:0')) as maild:
            with Peer(maild.ports['smtp']) as peer:
                self.assertFalse({'AUTH', 'DSN', 'BINARYMIME'} & keywords(peer.command(OPEN[0])))
                self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
            with Peer(maild.ports['submission']) as peer:
                self.assertEqual(peer.codes(*OPEN[:2]), [250, 530])
            with Peer(maild.ports['lmtp']) as peer:
                self.assertEqual(peer.codes('EHLO client.example', *LHLO, 'DATA'), [500, 250, 250, 250, 354])
                peer.send(MESSAGE)
                self.assertEqual(peer.code('.'), 250)
            self.assertEqual([message[2] for message in maild.messages()], [STORED] * 2)


class Chunks(unittest.TestCase):
    """The first chunk comes without a DATA before it, when the recipient has no Maildir yet."""

    def each(self, check):
        for port, opening in ('smtp', OPEN), ('lmtp', LHLO):
            for there in False, True:
                with self.subTest(port, there=there), Maild(listen=ALL) as maild, Peer(maild.ports[port]) as peer:
                    if there:
                        os.makedirs(os.path.join(maild.maildir, 'b@example.org', 'tmp'))
                    self.assertIn('CHUNKING', keywords(peer.command(opening[0])))
                    check(maild, peer, opening[1:])

    def test_maild_bdat(self):
        """maild, BDAT: in one chunk, in many, pipelined; the mailbox has to be made, or is there"""
        many = MESSAGE + b'x' * 700 + b'\r\n' + b'.\r\n' * 5000

        def check(maild, peer, opening):
            peer.send(b''.join(line.encode() + b'\r\n' for line in opening) +
                      f'BDAT {len(MESSAGE)} LAST\r\n'.encode() + MESSAGE)
            self.assertEqual(peer.replies(3), [250] * 3)
            self.assertEqual(peer.codes(*opening), [250, 250])
            chunks = [many[i:i + 1000] for i in range(0, len(many), 1000)]
            octets = b''.join(f'BDAT {len(chunk)}\r\n'.encode() + chunk for chunk in chunks) + b'BDAT 0 LAST\r\n'
            sender = threading.Thread(target=peer.send, args=(octets,))
            sender.start()
            self.assertEqual(peer.replies(len(chunks) + 1), [250] * (len(chunks) + 1))
            sender.join()
            self.assertEqual([message[2] for message in maild.messages()], [STORED, many.replace(b'\r\n', b'\n')])
        self.each(check)

    def test_maild_bdat_empty(self):
        """maild, BDAT: a message without an octet of content"""
        def check(maild, peer, opening):
            self.assertEqual(peer.codes(*opening, 'BDAT 0 LAST'), [250] * 3)
            self.assertEqual([message[2] for message in maild.messages()], [b''])
        self.each(check)

    def test_maild_bdat_several(self):
        """maild, BDAT in LMTP: a verdict for each recipient, whose first has no Maildir that works"""
        with Maild(listen=ALL) as maild, Peer(maild.ports['lmtp']) as peer:
            with open(os.path.join(maild.maildir, 'b@example.org'), 'w'):
                pass
            for size, content in (0, b''), (len(MESSAGE), MESSAGE):
                self.assertEqual(peer.codes(*LHLO, 'RCPT TO:<c@example.org>'), [250] * 4)
                peer.send(f'BDAT {size} LAST\r\n'.encode() + content)
                self.assertEqual(peer.replies(2), [451, 250])
            self.assertEqual([message[2] for message in maild.messages()], [b'', STORED])

    def test_maild_bdat_left(self):
        """maild, BDAT: the peer leaves while its mailbox is made, or between chunks: nothing is kept"""
        for _ in range(20):
            with Maild() as maild:
                with Peer(maild.port) as peer:
                    peer.send('\r\n'.join((*OPEN, 'BDAT 6')).encode() + b'\r\nabcd\r\n')
                self.assertEqual(maild.files(), [])
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.codes(*OPEN), [250] * 3)
                    peer.send(b'BDAT 6\r\nabcd\r\n')
                    self.assertEqual(peer.replies(1), [250])

    def test_maild_bdat_unwritable(self):
        """maild, BDAT: no Maildir: 451, and 503 to further chunks; the next message is taken"""
        with Maild() as maild, Peer(maild.port) as peer:
            with open(os.path.join(maild.maildir, 'c@example.org'), 'w'):
                pass
            self.assertEqual(peer.codes(*OPEN[:2], 'RCPT TO:<c@example.org>'), [250] * 3)
            peer.send(b'BDAT 6\r\nabcd\r\nBDAT 0 LAST\r\n')
            self.assertEqual(peer.replies(2), [451, 503])
            self.assertEqual(peer.code('RSET'), 250)
            self.assertEqual(peer.deliver(opening=OPEN[1:]), 250)
