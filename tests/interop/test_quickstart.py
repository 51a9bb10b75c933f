"""test_quickstart.py: examples/quickstart.sh, from another directory, again and again, and where there is no OpenSSL."""

import os
import re
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples', 'quickstart.sh')


def path_without(directory, absent):
    """A PATH of one directory, with all programs but that one."""
    for place in os.environ['PATH'].split(':'):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if name != absent and not os.path.lexists(f'{directory}/{name}'):
                os.symlink(f'{place}/{name}', f'{directory}/{name}')
    return directory


class Quickstart(unittest.TestCase):
    def shown(self, **environment):
        done = subprocess.run(['sh', SCRIPT], cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, check=False, env={**os.environ, **environment})
        shown = [line.strip() for line in done.stdout.decode().splitlines()]
        self.assertEqual(done.returncode, 0, shown)
        for line in ('C: MAIL FROM:<ada@client.example> SIZE=179', 'C: DATA', 'C: .', 'C: QUIT',
                     'Return-Path: <ada@client.example>', 'Delivered-To: grace@example.org',
                     'Subject: Bytes in, message out', '.like this'):
            self.assertEqual(shown.count(line), 1, (line, shown))
        outcome = r'Outcome +grace@example\.org\t250\t2\.6\.0\tMessage accepted as \S+'
        self.assertEqual(sum(re.fullmatch(outcome, line) is not None for line in shown), 1, shown)
        self.assertEqual(sum(line.startswith('S: 250 2.6.0 Message accepted as ') for line in shown), 1, shown)
        self.assertLess(len(shown), 90)
        self.assertNotIn('correct horse', repr(shown))
        return '\n'.join(shown)

    def test_quickstart(self):
        """quickstart: shows TLS, the login, the dialogue and what was stored, and can be repeated"""
        for _ in range(2):
            self.assertRegex(self.shown(), r'(?s)\nada:SCRAM-SHA-256\$.*\nC: STARTTLS\nS: 220 .*\nTLS: TLSv1\.3, \S+ '
                             r'the server is verified\n.*\nC: \(AUTH SCRAM-SHA-256\)\n.*\nS: 235 .*\nC: MAIL.* '
                             r'tls=TLSv1\.3 user=ada .*\nReceived: from client\.example .* with ESMTPSA\n')

    def test_quickstart_in_clear(self):
        """quickstart: without the openssl program it says so, and goes on in clear"""
        with tempfile.TemporaryDirectory() as directory:
            shown = self.shown(PATH=path_without(directory, 'openssl'))
        self.assertRegex(shown, r'(?s)\nIn clear +OpenSSL is not there.*\nReceived: from client\.example .* with ESMTP\n')
        self.assertNotRegex(shown, r'\n(C: STARTTLS|C: \(AUTH.*|TLS:.*)\n')
