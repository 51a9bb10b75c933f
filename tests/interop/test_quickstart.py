"""test_quickstart.py: examples/quickstart.sh, from another directory, twice."""

import os
import re
import subprocess
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples', 'quickstart.sh')


class Quickstart(unittest.TestCase):
    def test_quickstart(self):
        """quickstart: shows the dialogue and what was stored, and can be repeated"""
        for _ in range(2):
            done = subprocess.run(['sh', SCRIPT], cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=600, check=False)
            shown = [line.strip() for line in done.stdout.decode().splitlines()]
            self.assertEqual(done.returncode, 0, shown)
            for line in ('C: MAIL FROM:<ada@client.example> SIZE=179', 'C: DATA', 'C: .', 'C: QUIT',
                         'Return-Path: <ada@client.example>', 'Delivered-To: grace@example.org',
                         'Subject: Bytes in, message out', '.like this'):
                self.assertEqual(shown.count(line), 1, (line, shown))
            outcome = r'Outcome +grace@example\.org\t250\t2\.6\.0\tMessage accepted as \S+'
            self.assertEqual(sum(re.fullmatch(outcome, line) is not None for line in shown), 1, shown)
            self.assertEqual(sum(line.startswith('S: 250 2.6.0 Message accepted as ') for line in shown), 1, shown)
            self.assertLess(len(shown), 70)
