"""test_maild_aliases.py: maild, --aliases: who gets mail, VRFY and EXPN, files that are wrong."""

import os
import signal
import subprocess
import tempfile
import unittest

from harness import PATIENCE
from maild import MAILD, MESSAGE, OPEN, STORED, Maild, Peer

FILE = '''# who gets what
alice: alice
info: alice,
   bob@example.org
# in between
  , sales@example.net
sales@example.net: carol   # she alone
carol : carol
all: info, sales@example.net, carol
postmaster: alice
"odd name": alice
'''
HOSTS = ('--hostname', 'mail.example.org', '--domain', 'example.org', '--domain', 'example.net')


class Aliases(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.file = os.path.join(self.directory, 'aliases')
        self.maildir = os.path.join(self.directory, 'mail')
        os.makedirs(os.path.join(self.maildir, 'bob@example.org'))
        self.write(FILE)

    def write(self, text):
        with open(self.file, 'w') as file:
            file.write(text)

    def maild(self, *options, **more):
        return Maild('--aliases', self.file, *options, hosts=HOSTS, maildir=self.maildir, **more)

    def who(self, maild):
        found = sorted(name.split('/')[-3] for name in maild.files())
        for name in maild.files():
            os.unlink(name)
        return found

    def test_maild_aliases(self):
        """maild, aliases: each recipient's mailboxes get one copy; who is neither alias nor mailbox: 550 5.1.1"""
        everybody = ['alice@example.org', 'bob@example.org', 'carol@example.org']
        with self.maild() as maild, Peer(maild.port) as peer:
            peer.code(OPEN[0])
            for names, found in ((('alice@example.org',), everybody[:1]), (('bob@EXAMPLE.org',), everybody[1:2]),
                                 (('info@example.org',), everybody), (('all@example.org',), everybody),
                                 (('all@example.org', 'alice@example.org', 'info@example.org'), everybody),
                                 (('Postmaster',), everybody[:1]), (('postmaster@example.org',), everybody[:1]),
                                 (('postmaster@example.net',), ['postmaster@example.net']),
                                 (('"odd name"@example.org',), everybody[:1]), (('sales@example.net',), everybody[2:])):
                with self.subTest(names):
                    opening = ['MAIL FROM:<>', *(f'RCPT TO:<{name}>' for name in names)]
                    self.assertEqual(peer.deliver(opening=opening), 250)
                    self.assertEqual([message[2] for message in maild.messages()], [STORED] * len(found))
                    self.assertEqual(self.who(maild), found)
            self.assertEqual(peer.code('MAIL FROM:<>'), 250)
            for name in 'nobody@example.org', 'post@example.org', 'alice@example.net', 'sales@example.org', 'Alice@example.org':
                self.assertTrue(peer.command(f'RCPT TO:<{name}>')[0][1].startswith('5.1.1 '), name)
            self.assertTrue(peer.command('RCPT TO:<alice@elsewhere.example>')[0][1].startswith('5.7.1 '))

    def test_maild_aliases_lmtp(self):
        """maild, aliases: LMTP: a verdict for each recipient, whatever the number of his mailboxes"""
        with self.maild(listen=('--lmtp', '127.0.0.1:0')) as maild, Peer(maild.lmtp_port) as peer:
            with open(os.path.join(self.maildir, 'carol@example.org'), 'w'):
                pass
            self.assertEqual(peer.codes('LHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<all@example.org>',
                                        'RCPT TO:<alice@example.org>', 'RCPT TO:<bob@example.org>', 'DATA'),
                             [250] * 5 + [354])
            peer.send(MESSAGE + b'.\r\n')
            self.assertEqual(peer.replies(3), [451, 250, 250])
            os.unlink(os.path.join(self.maildir, 'carol@example.org'))

    def test_maild_vrfy(self):
        """maild, aliases: VRFY and EXPN: only when they are allowed, and then what RCPT would say"""
        with self.maild() as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.codes(OPEN[0], 'VRFY alice', 'EXPN info'), [250, 252, 502])
        with self.maild('--allow-vrfy', '--allow-expn') as maild, Peer(maild.port) as peer:
            shown = str(peer.command(OPEN[0]))
            self.assertIn('VRFY', shown)
            self.assertIn('EXPN', shown)
            for argument in 'alice', 'alice@example.org', '<alice@example.org>':
                self.assertEqual(peer.command(f'VRFY {argument}'), [(250, '2.0.0 <alice@example.org>')])
            self.assertEqual(peer.codes('VRFY nobody', 'VRFY alice@elsewhere.example', 'EXPN nobody', 'VRFY info'),
                             [550, 550, 550, 250])
            lines = [text.split()[-1] for _, text in peer.command('EXPN all')]
            self.assertEqual(lines, ['<alice@example.org>', '<bob@example.org>', '<carol@example.org>'])
            self.assertEqual(peer.command('EXPN bob')[0][1].split()[-1], '<bob@example.org>')

    def test_maild_aliases_many_ways(self):
        """maild, aliases: a name that is reached in a thousand million ways is gone through once"""
        steps = ''.join(f'a{at}: a{at + 1}, b{at + 1}\nb{at}: a{at + 1}, b{at + 1}\n' for at in range(30))
        self.write(f'{steps}a30: alice\nb30: bob\nalice: alice\nbob: bob\n')
        with self.maild() as maild, Peer(maild.port) as peer:
            self.assertEqual(peer.deliver(opening=(*OPEN[:2], 'RCPT TO:<a0@example.org>')), 250)
            self.assertEqual(self.who(maild), ['alice@example.org', 'bob@example.org'])
        self.write(''.join(f'a{at}: a{at + 1}\n' for at in range(100)) + 'a100: a100\n')
        self.assertIn('--aliases, line 1: too many aliases one behind the other', self.refused())

    def test_maild_files_missing(self):
        """maild, files that are not there: the option and the name are told"""
        for option, status in ('--aliases', 78), ('--passwords', 78), ('--maildir', 71), ('--tls-cert', 66):
            more = () if option == '--maildir' else ('--discard',)
            done = subprocess.run([MAILD, '--listen', '127.0.0.1:0', *more, option, '/none/there'],
                                  stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertRegex(done.stderr.decode(), f'(?m)^maild: {option}:? /none/there: No such file or directory$')

    def refused(self):
        done = subprocess.run([MAILD, '--listen', '127.0.0.1:0', *HOSTS, '--maildir', self.maildir, '--aliases',
                               self.file], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 78)
        return done.stderr.decode()

    def test_maild_aliases_wrong(self):
        """maild, aliases: loops, unknown targets, names twice: told with their line, 78; at SIGHUP: as before"""
        wrong = {'a: b\nb: a\n': 1, 'alice: alice\n\nx: alice, nobody\n': 3, 'x: you@elsewhere.example\n': 1,
                 'alice: alice\nb: alice\nb: alice\n': 3, 'no colon\n': 1, 'alice:\n': 1, 'a b: alice\n': 1,
                 'a: b\nb: c\nc: b\n': 1}
        for text, line in wrong.items():
            self.write(text)
            more = ('--processes', '2') if line else ()
            done = subprocess.run([MAILD, '--listen', '127.0.0.1:0', *more, *HOSTS, '--maildir', self.maildir, '--aliases',
                                   self.file], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 78, (text, done.stderr))
            self.assertRegex(done.stderr.decode(), f'(?m)^maild: --aliases, line {line or "[0-9]"}: ')
        self.write(FILE)
        with self.maild() as maild, Peer(maild.port) as peer:
            self.write('dave: dave\n')
            maild.process.send_signal(signal.SIGHUP)
            maild.wait_log('maild: reading files again')
            self.assertEqual(peer.codes(*OPEN[:2], 'RCPT TO:<dave@example.org>', 'RCPT TO:<alice@example.org>'),
                             [250, 250, 250, 550])
            self.write('dave: nobody\n')
            maild.process.send_signal(signal.SIGHUP)
            maild.wait_log('maild: --aliases: the ones from before are used on')
            self.assertEqual(peer.code('RCPT TO:<dave@example.org>'), 250)
