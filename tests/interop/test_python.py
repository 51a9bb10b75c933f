"""test_python.py: the Python package, ehlo.aio, delivers to mail servers. See receivers.py and python_sender.py."""

import os
import subprocess
import tempfile
import unittest

from harness import PATIENCE, native
from receivers import HERE, Aiosmtpd, Exim, Postfix
from test_senders import CONTENTS, HEADER, RECIPIENT, SENDER, compare, lines_of

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.environ['SEND'])), 'lib', 'libehlo.so')
OTHER, REFUSED = 'other@example.org', 'refused@example.org'


def send(where, recipients, contents):
    """A line for each of the contents."""
    with tempfile.TemporaryDirectory(prefix='ehlo-python-') as directory:
        files = []
        for number, content in enumerate(contents):
            files.append(f'{directory}/{number}')
            with open(files[-1], 'wb') as file:
                file.write(content)
        done = subprocess.run(
            ['/usr/bin/python3', '-W', 'error', f'{HERE}/python_sender.py', where, SENDER,
             ','.join(recipients), *files],
            env={**os.environ, 'EHLO_LIBRARY': LIBRARY}, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0 and done.stderr == '', done
    return done.stdout.splitlines()


@native('Python, which has no sanitizers, cannot load the library')
class Python(unittest.TestCase):
    def deliver(self, make):
        contents = [*CONTENTS.values(), HEADER + lines_of(b'', b'.x' * 400) * 5000]
        with make() as receiver:
            where = receiver.where['ipv4']
            lines = send(where, [RECIPIENT, REFUSED, OTHER], contents)
            self.assertEqual(lines, ['250 550 250'] * len(contents))
            self.assertEqual(send(where, [REFUSED], contents[:2]), ['RecipientsRefused 550'] * 2)
            wanted = sorted((each, receiver.stored(content)) for each in (RECIPIENT, OTHER) for content in contents)
            found = receiver.take(len(wanted))
            self.assertEqual([recipient for recipient, _ in found], [recipient for recipient, _ in wanted])
            for (_, octets), (_, sent) in zip(found, wanted):
                compare(self, octets, sent)

    def test_python_postfix(self):
        """ehlo.aio to Postfix"""
        self.deliver(Postfix)

    def test_python_exim(self):
        """ehlo.aio to Exim"""
        self.deliver(Exim)

    def test_python_aiosmtpd(self):
        """ehlo.aio to aiosmtpd"""
        self.deliver(Aiosmtpd)
