"""test_send_receivers.py: examples/send delivers to mail servers, and what is in their mailboxes is what was sent.

Each server of receivers.py is started once and takes all kinds of content, a thousand recipients, several messages on a
connection, and so on. What a server by itself does to a message is told in receivers.py; beside that octets are
compared. At the end smtp-sink leaves out extensions, refuses or breaks off, as it is told, and send says so.
"""

import contextlib
import functools
import math
import os
import re
import subprocess
import tempfile
import unittest

from harness import PATIENCE
from maild import wait_for
from matrix import FROM_SEND, SERVERS, cells
from receivers import (DOMAIN, Aiosmtpd, Exim, MaildReceiver, OpenSMTPD, Postfix, Sendmail, SmtpServer, SmtpSink,
                       StdioServer)
from test_senders import CONTENTS, HEADER, RECIPIENT, SENDER, compare, lines_of

SEND = os.environ['SEND']
OTHER = 'other@example.org'

DOTS = lines_of(b'.Field: is one') + HEADER + lines_of(b'', b'.', b'..', b'...', b'.x', b'..x', b' .', b'. ', b'x.',
                                                       b'', b'.', b'.')
NO_HEADER = lines_of(b'.'), lines_of(b'.x', b'.', b'', b'.', b'..')


@functools.cache
def fifty_megabytes():
    """Lines of many lengths, no two of them the same, some with dots in front."""
    lines = [b'.' * (number % 4) + b'%d ' % number + b'x' * (number % 97) + b' ' for number in range(17500)]
    return HEADER + lines_of(b'') + b''.join(line + b'%d\r\n' % part for part in range(50) for line in lines)


class Result:
    """What send told. `outcomes`: [(code, enhanced code, text)]; `dialogue`: [('C' or 'S', line)]."""

    def __init__(self, done, addresses):
        self.status = done.returncode
        self.errors = done.stderr.decode(errors='replace')
        self.dialogue = re.findall(r'(?m)^([CS]): (.*)$', self.errors)
        lines = [line.split('\t') for line in done.stdout.decode().split('\n')]
        assert lines.pop() == [''], self
        assert [line[0] for line in lines] == addresses, self
        self.outcomes = [(int(code), enhanced, text) for _, code, enhanced, text in lines]
        for code, enhanced, _ in self.outcomes:
            assert enhanced == '-' or re.fullmatch(rf'{code // 100}\.\d{{1,3}}\.\d{{1,3}}', enhanced), self

    def __repr__(self):
        return f'exit code {self.status}, {getattr(self, "outcomes", None)}, {self.errors[-4000:]}'

    @property
    def codes(self):
        return [code for code, _, _ in self.outcomes]

    @property
    def commands(self):
        return [line for who, line in self.dialogue if who == 'C']

    def said(self, who, pattern):
        """How often."""
        return sum(side == who and re.match(pattern, line) is not None for side, line in self.dialogue)

    def in_groups(self):
        """Did a command follow another before its reply had come?"""
        return 'CC' in ''.join(who for who, line in self.dialogue if not re.match(r'\d{3}-|\.$', line))


def send(where, contents, recipients, *options, lmtp=False, sender=SENDER, end=b'\n', by_pipe=False, trace=True):
    """Runs send with a file for each of `contents`, its lines ended by `end`; or with one on its standard input."""
    command = [SEND, '--server', where, '--from', sender, '--hello', 'client.example', '--timeout', str(PATIENCE // 2),
               *['--lmtp'] * lmtp, *['--trace'] * trace, *options]
    command += [word for recipient in recipients for word in ('--to', recipient)]
    contents = [content.replace(b'\r\n', end) for content in contents]
    with tempfile.TemporaryDirectory(prefix='ehlo-send-') as directory:
        if by_pipe:
            command.append('-')
        else:
            for number, content in enumerate(contents):
                command.append(f'{directory}/{number}')
                with open(command[-1], 'wb') as file:
                    file.write(content)
        done = subprocess.run(command, input=contents[0] if by_pipe else b'', capture_output=True, timeout=PATIENCE,
                              check=False)
    return Result(done, list(recipients) * len(contents))


class Test(unittest.TestCase):
    def arrived(self, receiver, expected):
        """[(recipient, content)] has, and nothing else."""
        expected = sorted((recipient, receiver.stored(content)) for recipient, content in expected)
        found = receiver.take(len(expected))
        self.assertEqual([recipient for recipient, _ in found], [recipient for recipient, _ in expected])
        for (_, octets), (_, wanted) in zip(found, expected):
            compare(self, octets, wanted)

    def accepted(self, result, trace=True):
        self.assertEqual((result.status, set(result.codes)), (0, {250}), result)
        if trace:
            self.assertRegex(' '.join(result.dialogue[0]), '^S 220')  # C-SESS-01
            self.assertRegex(result.commands[0], '^(EHLO|LHLO) client.example$')  # C-HELO-01
            self.assertEqual(result.commands[-1], 'QUIT')  # C-SESS-05
            self.assertRegex(' '.join(result.dialogue[-1]), '^S 221')  # C-SESS-06

    def refused(self, receiver, result, status, outcomes):
        """[(code, enhanced code)], and nothing has arrived."""
        self.assertEqual((result.status, [outcome[:2] for outcome in result.outcomes]), (status, outcomes), result)
        self.arrived(receiver, [])

    def broken_off(self, receiver, result, code):
        """The server has said `code` before the end of the content, and closed. Nobody is said to have the message."""
        self.assertIn((result.status, *result.codes), [(1, code, code), (75, 451, 451)], result)
        self.arrived(receiver, [])


class Cells(Test):
    """What is tried with each receiver: the cell_ functions. A class for each of them is made below."""
    make = None

    @classmethod
    def setUpClass(cls):
        cls.receiver = cls.enterClassContext(cls.make())

    @classmethod
    def tearDownClass(cls):
        left = cls.receiver.files()
        assert left == [], f'{cls.receiver.NAME}: {left} came later'

    def send(self, contents, recipients, *options, at='ipv4', **more):
        return send(self.receiver.where[at], contents, recipients, *options, lmtp='lmtp' in at, **more)

    def deliver(self, content, *options, recipients=(RECIPIENT,), expected=None, trace=True, **more):
        result = self.send([content], recipients, *options, trace=trace, **more)
        self.accepted(result, trace)
        self.arrived(self.receiver, [(recipient, content if expected is None else expected)
                                     for recipient in recipients])
        return result

    # ---- content ----

    def cell_ordinary(self):
        """an ordinary message"""
        self.deliver(CONTENTS['ordinary'])

    def cell_crlf(self):
        """a file with CRLF in it"""
        self.deliver(CONTENTS['ordinary'], end=b'\r\n')  # C-CMD-21

    def cell_pipe(self):
        """from standard input; nothing on standard error"""
        result = self.deliver(CONTENTS['ordinary'], by_pipe=True, trace=False)
        self.assertEqual(result.errors, '')

    def cell_dots(self):
        """lines of dots, in the header, first in the body and last"""
        self.deliver(DOTS)  # C-DATA-27
        self.deliver(CONTENTS['a dot at the end'])  # C-DATA-27

    def cell_no_header(self):
        """a message whose first line begins with a dot"""
        for content in NO_HEADER:
            if self.receiver.NEEDS_HEADER:
                self.refused(self.receiver, self.send([content], [RECIPIENT, OTHER]), 1, [(550, '5.7.1')] * 2)
            else:
                self.deliver(content)  # C-DATA-27

    def cell_empty(self):
        """a message of no octets"""
        result = self.deliver(b'')
        self.assertEqual(result.commands[-3:], ['(0 octets of content)', '.', 'QUIT'])  # C-DATA-28

    def cell_no_last_newline(self):
        """a last line without an end"""
        for content in CONTENTS['dots'], CONTENTS['a dot at the end'], HEADER, HEADER + lines_of(b'', b'x' * 30000):
            self.deliver(content[:-2], expected=content)  # C-DATA-28

    def cell_bdat(self, at='ipv4'):
        """all that by BDAT, where it takes that"""
        contents = [DOTS, CONTENTS['a dot at the end'], CONTENTS['8-bit'], CONTENTS['5 MB'], CONTENTS['no body']]
        result = self.send(contents, [RECIPIENT], '--bdat', 'always', at=at)
        self.accepted(result)
        self.assertEqual([result.said('C', 'BDAT .* LAST$'), result.said('C', 'DATA$')],
                         [5, 0] if self.receiver.CHUNKING else [0, 5], result)
        self.arrived(self.receiver, [(RECIPIENT, content) for content in contents])
        result = self.send([DOTS[:-2]], [RECIPIENT], '--bdat', 'never', at=at)
        self.accepted(result)
        self.assertEqual(result.said('C', 'BDAT'), 0, result)
        self.arrived(self.receiver, [(RECIPIENT, DOTS)])

    def cell_8bit(self):
        """octets above 127, and control characters"""
        for name in '8-bit', 'controls':
            result = self.deliver(CONTENTS[name])
            self.assertEqual(result.said('C', 'MAIL FROM:.* BODY=8BITMIME'), name == '8-bit', result)

    def cell_long_line(self):
        """a line of 1 MB"""
        content = CONTENTS['one line of 1 MB']
        if self.receiver.LONGEST_LINE is None:
            self.deliver(content)
            return
        self.deliver(HEADER + lines_of(b'', b'x' * self.receiver.LONGEST_LINE))
        # It says 500 in the midst of the content, and closes. Whether that can still be read is a matter of luck.
        self.broken_off(self.receiver, self.send([content], [RECIPIENT, OTHER]), 500)

    def cell_50_megabytes(self):
        """50 MB"""
        self.deliver(fifty_megabytes(), by_pipe=not self.receiver.QUEUES)

    # ---- the session ----

    def cell_recipients(self, at='ipv4'):
        """1,000 recipients, some of them refused, and no more in a transaction than it takes"""
        recipients, codes = [], []
        for number in range(1000):
            code = 550 if number % 25 == 7 else 450 if number % 40 == 9 else 250
            code = code if code in self.receiver.REFUSES else 250
            word = {550: 'refused', 450: 'later', 250: 'user'}[code]
            recipients.append(f'{word}{number}@{DOMAIN}')
            codes.append(code)
        result = self.send([DOTS], recipients, at=at)
        self.assertEqual(result.status, int(550 in codes), result)
        self.assertEqual(result.codes, codes)  # C-PIPE-06, C-PIPE-07
        for code, enhanced, text in result.outcomes:
            if code != 250:
                self.assertEqual(enhanced, {550: '5.1.1', 450: '4.2.1'}[code] if self.receiver.ENHANCED else '-')
                self.assertRegex(text, {550: 'No such mailbox here', 450: 'Come again'}[code] + '$')
        good = [recipient for recipient, code in zip(recipients, codes) if code == 250]
        # C-MAIL-19: in one transaction, if the server lets. C-RCPT-19, C-RCPT-20: if not, in as many as it wants.
        transactions = math.ceil(len(good) / self.receiver.MOST) if self.receiver.MOST else 1
        self.assertEqual(result.said('S', '354'), transactions)
        self.assertEqual(result.said('S', '452') > 0, transactions > 1)
        self.assertEqual(result.said('S', '220'), 1)
        self.assertEqual(result.in_groups(), self.receiver.PIPELINING)
        self.arrived(self.receiver, [(recipient, DOTS) for recipient in good])

    def cell_pipelining(self):
        """commands go in groups where it takes them, and one by one with --no-pipelining"""
        recipients = [RECIPIENT, OTHER, *(f'user{number}@{DOMAIN}' for number in range(10))]
        for options in (), ('--no-pipelining',):
            result = self.deliver(CONTENTS['ordinary'], *options, recipients=recipients)
            # C-SESS-02, C-PIPE-02
            self.assertEqual(result.in_groups(), self.receiver.PIPELINING and not options, result)

    def cell_files(self):
        """several files over one connection"""
        contents = [CONTENTS['ordinary'], DOTS, b'', CONTENTS['8-bit'], CONTENTS['no body'], CONTENTS['5 MB'],
                    CONTENTS['ordinary'] + b'PS\r\n']
        recipients = [RECIPIENT, OTHER]
        before = self.receiver.connections()
        result = self.send(contents, recipients)
        self.accepted(result)
        self.assertEqual([result.said('C', verb) for verb in ('EHLO', 'MAIL', 'QUIT')], [1, len(contents), 1], result)
        self.arrived(self.receiver, [(recipient, content) for recipient in recipients for content in contents])
        if before is not None:
            wait_for(lambda: self.receiver.connections() > before)
            self.assertEqual(self.receiver.connections(), before + 1)

    def cell_nobody(self):
        """nobody is left: no content is sent; the next file gets its own transaction"""
        result = self.send([CONTENTS['ordinary'], DOTS], [f'refused{number}@{DOMAIN}' for number in range(2)])
        self.refused(self.receiver, result, 1, [(550, '5.1.1' if self.receiver.ENHANCED else '-')] * 4)
        self.assertEqual(result.said('C', r'\('), 0)  # C-DATA-26
        self.assertEqual(result.commands[-1], 'QUIT')  # C-SESS-05

    def cell_smtputf8(self):
        """addresses and header in UTF-8"""
        sender, recipients = 'δοκιμή@παράδειγμα.example', ['jürgen@example.org', OTHER]
        content = CONTENTS['UTF-8 header']
        if self.receiver.SMTPUTF8:
            result = self.deliver(content, '--smtputf8', sender=sender, recipients=recipients)
            self.assertEqual(result.said('C', 'MAIL FROM:.* SMTPUTF8'), 1, result)  # C-UTF8-14
        else:
            result = self.send([content], recipients, '--smtputf8', sender=sender)
            self.refused(self.receiver, result, 1, [(553, '5.6.7')] * 2)
            self.assertEqual(result.said('C', 'MAIL'), 0)  # C-UTF8-15

    # ---- places ----

    def cell_ipv6(self):
        """IPv6"""
        for content in CONTENTS['ordinary'], DOTS:
            self.deliver(content, at='ipv6')

    def cell_unix(self):
        """SMTP on a Unix socket"""
        for content in CONTENTS['ordinary'], DOTS, CONTENTS['5 MB']:
            self.deliver(content, at='unix')

    def cell_lmtp(self, at='lmtp'):
        """LMTP: two files for four recipients, of whom some are refused"""
        codes = {RECIPIENT: 250, f'refused1@{DOMAIN}': 550, f'later1@{DOMAIN}': 450, OTHER: 250}
        for recipient, code in codes.items():
            codes[recipient] = code if code in self.receiver.REFUSES else 250
        for options in (), ('--no-pipelining',):
            contents = [DOTS, CONTENTS['5 MB']]
            result = self.send(contents, list(codes), *options, at=at)
            self.assertEqual(result.codes, list(codes.values()) * 2, result)  # C-LMTP-14
            self.assertEqual(result.status, int(550 in codes.values()), result)
            self.assertEqual(result.in_groups(), not options, result)
            self.arrived(self.receiver, [(recipient, content) for recipient, code in codes.items() if code == 250
                                         for content in contents])

    def cell_lmtp_bdat(self):
        """LMTP, by BDAT where it takes that"""
        self.cell_bdat('lmtp')

    def cell_lmtp_recipients(self):
        """LMTP: 1,000 recipients"""
        self.cell_recipients('lmtp')

    def cell_unix_lmtp(self):
        """LMTP on a Unix socket"""
        self.cell_lmtp('unix lmtp')


PLACES = {'cell_ipv6': 'ipv6', 'cell_unix': 'unix', 'cell_lmtp': 'lmtp', 'cell_lmtp_recipients': 'lmtp',
          'cell_lmtp_bdat': 'lmtp',
          'cell_unix_lmtp': 'unix lmtp'}


SHOWS = {'cell_ordinary': 'plain', 'cell_dots': 'plain', 'cell_no_header': 'plain', 'cell_long_line': 'plain',
         'cell_50_megabytes': 'plain', 'cell_8bit': '8BITMIME', 'cell_smtputf8': 'SMTPUTF8', 'cell_bdat': 'CHUNKING',
         'cell_lmtp': 'LMTP', 'cell_unix_lmtp': 'LMTP', 'cell_lmtp_recipients': 'LMTP'}


def shows(make, cell_name):
    """Has the receiver what this shows? (Else that it is not used is what is shown.)"""
    mode = SHOWS.get(cell_name)
    return mode if getattr(getattr(make, 'func', make), mode or '', True) else None


def add_tests(name, make, *places, without=()):
    """A class for the receiver that `make` makes, with all cells but those that need a place that it has not."""
    members = {'make': staticmethod(make)}
    for cell_name, cell in vars(Cells).items():
        if cell_name.startswith('cell_') and cell_name not in without and PLACES.get(cell_name, 'ipv4') in places:
            def test(self, cell=cell):
                try:
                    cell(self)
                except BaseException:
                    self.receiver.discard()
                    raise
            receiver = name.partition(',')[0]
            if receiver in SERVERS and (mode := shows(make, cell_name)):
                cells(FROM_SEND, receiver, mode)(test)
            test.__doc__ = f'send to {name}: {cell.__doc__}'
            members['test_send_' + re.sub(r'\W+', '_', f'{name} {cell_name[5:]}').lower()] = test
    globals()[f'To {name}'] = type(f'To {name}', (Cells,), members)


add_tests('Postfix', Postfix, 'ipv4', 'ipv6')
add_tests('Exim', Exim, 'ipv4', 'ipv6')
add_tests('sendmail', Sendmail, 'ipv4', 'ipv6')
add_tests('OpenSMTPD', OpenSMTPD, 'ipv4', 'ipv6')
add_tests('aiosmtpd', Aiosmtpd, 'ipv4', 'ipv6')
# It takes each line that begins with a dot by itself: 50 MB last eight seconds.
add_tests('smtp-server', SmtpServer, 'ipv4', 'ipv6', without=('cell_50_megabytes',))
add_tests('smtp-server, LMTP', functools.partial(SmtpServer, 'lmtp'), 'lmtp')
add_tests('maild', MaildReceiver, 'ipv4', 'ipv6', 'lmtp', 'unix lmtp')
add_tests('stdio-server', StdioServer, 'ipv4')
add_tests('stdio-server, LMTP', lambda: StdioServer('--lmtp'), 'lmtp')
for place in 'ipv4', 'ipv6', 'unix', 'lmtp', 'unix lmtp':
    add_tests(f'smtp-sink, {place}', functools.partial(SmtpSink, at=place), place, without=('cell_nobody',))


# ---- what else OpenSMTPD and smtp-sink can do ----

@contextlib.contextmanager
def told(*options, at='ipv4'):
    """An smtp-sink. What fails says how it was told to be."""
    try:
        with SmtpSink(*options, at=at) as receiver:
            yield receiver
    except AssertionError as error:
        raise AssertionError(f'smtp-sink {" ".join(options)}, {at}: {error}') from error


class Told(Test):
    BOTH = [RECIPIENT, OTHER]

    def test_send_opensmtpd_too_many(self):
        """send to OpenSMTPD: recipients over its limit: 451 is not 452"""
        recipients = [f'user{number}@{DOMAIN}' for number in range(8)]
        with OpenSMTPD(most=5) as receiver:
            result = send(receiver.where['ipv4'], [DOTS], recipients)
            self.assertEqual((result.status, result.codes), (75, [250] * 5 + [451] * 3), result)
            self.arrived(receiver, [(recipient, DOTS) for recipient in recipients[:5]])

    def test_send_name(self):
        """send to stdio-server: found by its name"""
        with StdioServer() as receiver:
            self.accepted(send(f'localhost:{receiver.listener.port}', [DOTS], self.BOTH))
            self.arrived(receiver, [(recipient, DOTS) for recipient in self.BOTH])

    def test_send_smtp_sink_extensions(self):
        """send to smtp-sink: it has no ESMTP, no PIPELINING, no ENHANCEDSTATUSCODES"""
        for option, hello, in_groups, outcome in (('-e', 'HELO', False, (250, '-', '2.0.0 Ok')),
                                                  ('-P', 'HELO', False, (250, '-', '2.0.0 Ok')),
                                                  ('-p', 'EHLO', False, (250, '2.0.0', 'Ok')),
                                                  ('-E', 'EHLO', True, (250, '-', '2.0.0 Ok'))):  # C-ESC-10
            with told(option) as receiver:
                result = send(receiver.where['ipv4'], [CONTENTS['ordinary'], DOTS], self.BOTH)
                self.accepted(result)
                self.assertEqual(result.outcomes, [outcome] * 4)
                self.assertEqual(result.said('C', f'{hello} client.example'), 1, result)  # C-HELO-02
                self.assertEqual(result.in_groups(), in_groups, result)  # C-PIPE-02
                self.arrived(receiver, [(recipient, content) for recipient in self.BOTH
                                        for content in (CONTENTS['ordinary'], DOTS)])

    def test_send_smtp_sink_7bit(self):
        """send to smtp-sink: it has no 8BITMIME: the file that needs it is not sent, the others are"""
        for option in '-8', '-e':
            with told(option) as receiver:
                result = send(receiver.where['ipv4'], [DOTS, CONTENTS['8-bit'], CONTENTS['ordinary']], [RECIPIENT])
                self.assertEqual((result.status, result.codes, result.outcomes[1][1]), (1, [250, 554, 250], '5.6.3'))
                self.assertEqual(result.said('C', 'MAIL'), 2, result)  # C-8BIT-05
                self.arrived(receiver, [(RECIPIENT, DOTS), (RECIPIENT, CONTENTS['ordinary'])])

    def test_send_smtp_sink_refuses(self):
        """send to smtp-sink: it refuses a command, for now or for good"""
        for option, status, code, enhanced, text in (('-r', 75, 450, '4.3.0', 'Error: command failed'),
                                                     ('-f', 1, 500, '5.3.0', 'Error: command failed')):
            for verb in 'CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA':
                if (option, verb) == ('-f', 'EHLO'):
                    continue  # HELO follows: see above
                with told(option, verb) as receiver:
                    result = send(receiver.where['ipv4'], [CONTENTS['ordinary'], DOTS], self.BOTH)
                    known = verb not in ('CONNECT', 'EHLO')  # that it has such codes
                    outcome = (code, enhanced, text) if known else (code, '-', f'{enhanced} {text}')
                    self.assertEqual((result.status, result.outcomes), (status, [outcome] * 4), result)
                    self.assertEqual(result.said('C', 'MAIL'), 2 if known else 0, result)
                    self.assertEqual(result.said('C', r'\('), 0, result)  # C-DATA-26
                    self.assertEqual(result.commands[-1], 'QUIT')  # C-SESS-05, C-SESS-07
                    self.arrived(receiver, [])

    def test_send_smtp_sink_refuses_message(self):
        """send to smtp-sink: it refuses the message, for now or for good; in LMTP too"""
        for at in 'ipv4', 'lmtp':
            for option, outcome in {'-r': (75, 450, '4.3.0'), '-f': (1, 500, '5.3.0')}.items():
                with told(option, '.', at=at) as receiver:
                    result = send(receiver.where[at], [CONTENTS['ordinary'], DOTS], self.BOTH, lmtp=at == 'lmtp')
                    for code, enhanced, _ in result.outcomes:
                        self.assertEqual((result.status, code, enhanced), outcome)
                    self.assertEqual([result.said('C', verb) for verb in ('MAIL', 'QUIT')], [2, 1])

    def test_send_smtp_sink_leaves(self):
        """send to smtp-sink: it closes the connection without a word, or with 421; in LMTP too"""
        for at, hello in {'ipv4': 'EHLO', 'lmtp': 'LHLO'}.items():
            for verb in 'CONNECT', hello, 'MAIL', 'RCPT', 'DATA', '.':
                for option, codes in {'-q': {(451, '4.4.2')}, '-Q': {(421, '-'), (421, '4.0.0')}}.items():
                    with told(option, verb, at=at) as receiver:
                        result = send(receiver.where[at], [CONTENTS['ordinary'], DOTS], self.BOTH, lmtp=at == 'lmtp')
                        self.assertEqual(result.status, 75, result)  # C-SESS-04, C-SESS-08
                        self.assertLessEqual({outcome[:2] for outcome in result.outcomes}, codes, result)

    def test_send_smtp_sink_quit(self):
        """send to smtp-sink: whatever it does at QUIT, the messages were accepted"""
        for option in '-r', '-f', '-q', '-Q':
            with told(option, 'QUIT') as receiver:
                result = send(receiver.where['ipv4'], [CONTENTS['ordinary'], DOTS], [RECIPIENT])
                self.assertEqual((result.status, result.codes, result.commands[-1]), (0, [250] * 2, 'QUIT'))
                self.arrived(receiver, [(RECIPIENT, CONTENTS['ordinary']), (RECIPIENT, DOTS)])

    def test_send_smtp_sink_slow(self):
        """send to smtp-sink: a window of 100 octets; a second before it reads content, and before 354"""
        for options in ('-T', '100'), ('-H', '1'), ('-w', '1'):
            with told(*options) as receiver:
                self.accepted(send(receiver.where['ipv4'], [CONTENTS['5 MB']], self.BOTH))
                self.arrived(receiver, [(recipient, CONTENTS['5 MB']) for recipient in self.BOTH])

    def test_send_smtp_sink_breaks_off(self):
        """send to smtp-sink: it says 550 behind 354, and reads no content"""
        with told('-A', '0') as receiver:
            for content in CONTENTS['ordinary'], CONTENTS['5 MB'], fifty_megabytes():
                self.broken_off(receiver, send(receiver.where['ipv4'], [content], self.BOTH), 550)
