"""test_proxy.py: examples/proxy between clients and mail servers of the world: what comes out behind it is what went
in, and what the server says is what the client gets."""

import base64
import contextlib
import glob
import os
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import test_tls
from harness import PATIENCE
from maild import MESSAGE, OPEN, Maild, Peer, wait_for
from matrix import BEHIND_PROXY, TO_PROXY, cells
from proxy import PROXY, NextHop, Proxy
from receivers import Postfix, SmtpSink
from test_extensions import StdioServer
from test_load import load
from test_maild_senders import Postfix as Relay
from test_send_receivers import send
from test_senders import CONTENTS, ENVELOPE, EXTRA, RECIPIENT, SENDER, SENDERS, compare, python_smtplib, swaks
from test_tls import PASSWORD, USER, TlsServer

setUpModule, tearDownModule = test_tls.setUpModule, test_tls.tearDownModule

SHIM = os.environ['SHIM']
SLEEP = 1000000 + os.getpid()  # seconds: no other process sleeps as long
MAIL, RCPT = 'MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>'


class Test(unittest.TestCase):
    def one(self, spool, content, envelope=None):
        """The one message is there, and no other."""
        messages = spool.messages()
        self.assertEqual(len(messages), 1)
        if envelope is not None:
            self.assertEqual(messages[0][0], envelope)
        compare(self, messages[0][1], content)


class Senders(Test):
    """Clients of the world through proxy to stdio-server, octet by octet."""

    def through(self, name):
        sender = SENDERS[name]
        for title, content in CONTENTS.items():
            if name.startswith('swaks') and title in ('no body', 'a dot at the end'):
                continue  # it adds a body, and takes that dot for the end
            with StdioServer() as server, Proxy(server.port) as proxy:
                sender(proxy.port, content)
                self.one(server.spool, content + EXTRA.get(sender, b''), ENVELOPE)

    @cells(TO_PROXY, 'swaks', 'plain')
    def test_proxy_swaks(self):
        """proxy: swaks to stdio-server, with and without pipelining"""
        self.through('swaks')
        self.through('swaks, pipelining')

    @cells(TO_PROXY, 'curl', 'plain')
    def test_proxy_curl(self):
        """proxy: curl to stdio-server"""
        self.through('curl')

    @cells(TO_PROXY, 'msmtp', 'plain')
    def test_proxy_msmtp(self):
        """proxy: msmtp to stdio-server"""
        self.through('msmtp')

    @cells(TO_PROXY, 'smtplib', 'plain')
    def test_proxy_smtplib(self):
        """proxy: smtplib to stdio-server"""
        self.through('smtplib')

    @cells(TO_PROXY, 'smtp-source', 'plain')
    def test_proxy_smtp_source(self):
        """proxy: smtp-source to stdio-server"""
        self.through('smtp-source')

    @cells(TO_PROXY, 'Postfix', 'plain')
    @cells(BEHIND_PROXY, 'Postfix', 'plain')
    def test_proxy_postfix(self):
        """proxy: from Postfix to Postfix, by a socket of either family"""
        with Postfix() as receiver:
            for host in 'ipv4', 'ipv6':
                with Proxy(receiver.where[host], listen=('--listen', '127.0.0.1:0')) as proxy:
                    with Relay(f'smtp:[127.0.0.1]:{proxy.port}') as relay:
                        python_smtplib(relay.port, CONTENTS['dots'])
                        [(recipient, octets)] = receiver.take(1)
                    self.assertEqual(recipient, RECIPIENT)
                    self.assertTrue(octets.endswith(CONTENTS['dots'].replace(b'\r\n', b'\n')), octets)

    def test_proxy_chunking(self):
        """proxy: send by DATA and BDAT, behind proxy DATA and BDAT: all four are the same octets"""
        for options in ('--bdat', 'never'), ('--bdat', 'always'):
            for behind in (), ('--bdat',):
                for title in 'ordinary', 'dots', 'no body', '8-bit', 'one line of 1 MB', '5 MB':
                    with StdioServer() as server, Proxy(server.port, *behind) as proxy:
                        result = send(f'127.0.0.1:{proxy.port}', [CONTENTS[title]], [RECIPIENT], *options)
                        self.assertEqual(result.status, 0, result)
                        self.one(server.spool, CONTENTS[title], ENVELOPE)
                        self.assertEqual('BDAT' in server.said(), behind != (), server.said())

    def test_proxy_chunking_peer(self):
        """proxy: chunks of all sizes, none with LAST, an empty one"""
        for behind in (), ('--bdat',):
            with StdioServer() as server, Proxy(server.port, *behind) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.codes(*OPEN), [250] * 3)
                for piece in b'Subject: x\r\n', b'\r\n', b'.\r\n.', b'.\r\n':
                    peer.send(b'BDAT %d\r\n' % len(piece) + piece)
                    self.assertEqual(peer.replies(1), [250])
                self.assertEqual(peer.code('BDAT 0 LAST'), 250)
                self.one(server.spool, b'Subject: x\r\n\r\n.\r\n..\r\n')
                self.assertEqual(peer.codes(*OPEN[1:], 'BDAT 0 LAST'), [250] * 3)
                self.assertEqual(peer.code('QUIT'), 221)
                self.assertEqual(len(server.spool.messages()), 2)

    def test_proxy_chunk_refused(self):
        """proxy: --bdat: a chunk is refused, and the last one answered late: the next message has its own verdict"""
        class Chunks(NextHop):
            """Refuses the first chunk; says `late` to the second when it may."""
            def serve(self, connection, lines, said):
                self.count, self.may = 0, threading.Event()
                while line := lines.readline():
                    line = line.decode().rstrip('\r\n')
                    said.append(line.partition(' LAST')[0].rstrip('0123456789 '))
                    if line.startswith('BDAT'):
                        lines.read(int(line.split(' ')[1]))
                        self.count += 1
                        if self.count == 2:
                            self.may.wait(PATIENCE)
                        line = ('452 4.3.1 No room', late)[self.count - 1] if self.count < 3 else f'250 {self.count}'
                    else:
                        line = self.answers[line[:4]]
                    self.reply(connection, line)
                return 'closed'
        for late in '503 5.5.1 RSET first', '250 2.6.0 Stored':
            with Chunks(offers='PIPELINING, CHUNKING') as server, Proxy(server.port, '--bdat') as proxy:
                with proxy.peer() as peer:
                    self.assertEqual(peer.codes(*OPEN), [250] * 3)
                    peer.send(b'BDAT %d LAST\r\n' % len(MESSAGE) + MESSAGE)
                    self.assertEqual(peer.reply(), [(452, '4.3.1 No room')])
                    self.assertEqual(peer.code('RSET'), 250)
                    server.may.set()
                    self.assertEqual(peer.codes(*OPEN[1:]), [250] * 2)
                    peer.send(b'BDAT %d LAST\r\n' % len(MESSAGE) + MESSAGE)
                    self.assertEqual(peer.reply(), [(250, '4')])
            server.ended()
            first = ['MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>', 'BDAT', 'BDAT']
            self.assertEqual(server.said[0][1:], [*first, 'RSET', *first, 'QUIT'])

    def test_proxy_binary(self):
        """proxy: BINARYMIME is offered where the next hop has it, and every octet goes through"""
        content = b'Content-Transfer-Encoding: binary\r\n\r\n' + bytes(range(256)) * 200
        with StdioServer('--extension', 'BINARYMIME') as server, Proxy(server.port) as proxy:
            result = send(f'127.0.0.1:{proxy.port}', [content], [RECIPIENT], end=b'\r\n')
            self.assertEqual(result.status, 0, result)
            self.one(server.spool, content)

    def test_proxy_load(self):
        """proxy: load: 100 connections to maild, 20 to Postfix and smtp-sink, with nothing lost or doubled"""
        with Maild('--max-per-address', '0') as maild, Proxy(maild.port) as proxy:
            figures = load(proxy.port, '--connections', 100, '--messages', 1000, '--recipients', 2, '--size', 3000)
            self.assertEqual((figures.status, figures.counts['accepted']), (0, 1000), figures.text)
            self.assertEqual(len(maild.files()), 2000)
            figures = load(proxy.port, '--connections', 10, '--messages', 30, '--size', 1000000, '--bdat')
            self.assertEqual((figures.status, figures.counts['accepted']), (0, 30), figures.text)
            wait_for(lambda: proxy.descriptors() < 12, 10, 'all connections to be closed')
        for receiver in Postfix(), SmtpSink():
            with receiver, Proxy(receiver.where['ipv4']) as proxy:
                figures = load(proxy.port, '--connections', 20, '--messages', 100)
                self.assertEqual((figures.status, figures.counts['accepted']), (0, 100), figures.text)
                self.assertEqual(len(receiver.take(100)), 100)


class Dialogue(Test):
    def test_proxy_pipelining(self):
        """proxy: 60 recipients in one batch, every third refused: each gets its own answer, in batches"""
        def answer(line):
            if line.startswith('RCPT'):
                time.sleep(0.002)
        with NextHop({f'RCPT TO:<r{n}@': f'550 5.1.1 no r{n}' for n in range(0, 60, 3)}, offers='PIPELINING, '
                     'ENHANCEDSTATUSCODES', before=answer) as server, Proxy(server.port, '--max-errors', '0') as proxy:
            with proxy.peer() as peer:
                self.assertEqual(peer.code('EHLO client.example'), 250)
                lines = [MAIL, *(f'RCPT TO:<r{n}@example.org>' for n in range(60)), 'DATA']
                peer.send('\r\n'.join(lines))
                self.assertEqual(peer.reply(), [(250, '2.1.0 ok')])
                for number in range(60):
                    self.assertEqual(peer.reply(), [(250, '2.1.5 ok') if number % 3 else (550, f'5.1.1 no r{number}')])
                self.assertEqual(peer.replies(1), [354])
                peer.send(MESSAGE)
                self.assertEqual(peer.command('.'), [(250, '2.6.0 Stored')])
                self.assertEqual(peer.code('QUIT'), 221)
            self.assertEqual(server.ended(), ['quit'])
            self.assertEqual(server.contents, [MESSAGE])
            self.assertEqual(server.said[0][1][:27], MAIL[:27])
            self.assertEqual(server.said[0][2:], [*lines[1:], 'QUIT'])

    def test_proxy_in_parallel(self):
        """proxy: recipients of a batch are with the next hop at the same time"""
        got = []
        arrived = threading.Event()
        def wait_for_all(line):
            got.append(line)
            if 'r9@' in line:
                arrived.set()
        class Slow(NextHop):
            def serve(self, connection, lines, said):
                # It answers the first recipient when the last has come.
                for line in lines:
                    wait_for_all(line.decode())
                    if line.startswith(b'EHLO'):
                        connection.sendall(b'250-x\r\n250 PIPELINING\r\n')
                    elif line.startswith(b'MAIL'):
                        connection.sendall(b'250 ok\r\n')
                    elif b'r9@' in line:
                        connection.sendall(b''.join(b'250 r%d\r\n' % n for n in range(10)))
                    elif line.startswith(b'QUIT'):
                        return 'quit'
                return 'closed'
        with Slow() as server, Proxy(server.port) as proxy, proxy.peer() as peer:
            peer.command('EHLO client.example')
            peer.send('\r\n'.join([MAIL, *(f'RCPT TO:<r{n}@example.org>' for n in range(10))]))
            self.assertEqual(peer.replies(1), [250])
            self.assertEqual([peer.reply()[0][1] for _ in range(10)], [f'r{n}' for n in range(10)])
            self.assertTrue(arrived.is_set())

    def test_proxy_refused(self):
        """proxy: a refusal at each command reaches the client with its code, enhanced code and text, all its lines"""
        for number, (verb, answer) in enumerate((
                ('MAIL', '553 5.1.8 Bad sender'), ('MAIL', '451 4.7.1 Greylisted'), ('RCPT', '550 5.1.1 Nobody'),
                ('RCPT', '452 4.2.2 Full'), ('DATA', '554 5.5.1 No data'), ('DATA', '451 4.3.0 Later'),
                ('.', '554 5.7.1 Spam'), ('.', '452 4.3.1 Disk'),
                ('RCPT', '550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three'),
                ('.', '550-5.7.1 ' + 'x' * 300 + '\r\n550 5.7.1 ' + 'y' * 300))):
            answers = {} if verb == '.' else {verb: answer}
            with NextHop(answers, **({'end': answer} if verb == '.' else {}), offers='ENHANCEDSTATUSCODES') as server:
                with Proxy(server.port) as proxy, proxy.peer() as peer:
                    peer.command('EHLO client.example')
                    expected = [(int(line[:3]), line[4:]) for line in answer.split('\r\n')]
                    for command in MAIL, RCPT, 'DATA', '.':
                        if command == '.':
                            peer.send(MESSAGE)
                        reply = peer.command(command)
                        if command.startswith(verb):
                            self.assertEqual(reply, expected, number)
                            break
                        self.assertLess(reply[0][0], 400)
                    # The next message goes through.
                    server.answers.update(MAIL='250 ok', RCPT='250 ok', DATA='354 go')
                    server.end = '250 2.0.0 now'
                    self.assertEqual(peer.codes('RSET', MAIL, RCPT, 'DATA'), [250, 250, 250, 354], number)
                    peer.send(MESSAGE)
                    self.assertEqual(peer.command('.'), [(250, '2.0.0 now')])
                    self.assertEqual(peer.code('QUIT'), 221)
                self.assertEqual(server.ended(), ['quit'])
                self.assertEqual(server.contents, [MESSAGE] * (2 if verb == '.' else 1))

    def test_proxy_strange_answers(self):
        """proxy: answers that may not be written as they are: UTF-8, controls, odd codes, without enhanced code"""
        with NextHop({'MAIL': '250 fine', 'RCPT TO:<a@': '550 Grüße\x1b', 'RCPT TO:<b@': '259 odd',
                      'RCPT TO:<c@': '551 5.1.6 <d@other.example>', 'RCPT TO:<d@': '450 ' + 'z' * 600}) as server:
            with Proxy(server.port) as proxy, proxy.peer() as peer:
                peer.command('EHLO client.example')
                self.assertEqual(peer.command(MAIL), [(250, 'fine')])
                self.assertEqual(peer.command('RCPT TO:<a@example.org>'), [(550, 'Gr????e?')])
                self.assertEqual(peer.command('RCPT TO:<b@example.org>'), [(259, 'odd')])
                self.assertEqual(peer.command('RCPT TO:<c@example.org>'), [(551, '5.1.6 <d@other.example>')])
                self.assertEqual(peer.command('RCPT TO:<d@example.org>'), [(450, 'z' * 480)])

    def test_proxy_reset(self):
        """proxy: RSET, EHLO and QUIT within a transaction: the next hop has forgotten it, too"""
        with NextHop() as server, Proxy(server.port) as proxy:
            with proxy.peer() as peer:
                peer.command('EHLO client.example')
                for line in 'RSET', 'EHLO client.example', 'HELO client.example':
                    self.assertEqual(peer.codes(MAIL, RCPT, line), [250] * 3)
                self.assertEqual(peer.deliver(MESSAGE, (MAIL, RCPT)), 250)
                self.assertEqual(peer.codes(MAIL, 'QUIT'), [250, 221])
            self.assertEqual(server.ended(), ['quit'])
            verbs = [line[:4] for line in server.said[0]]
            self.assertEqual(verbs, ['EHLO'] + ['MAIL', 'RCPT', 'RSET'] * 3 + ['MAIL', 'RCPT', 'DATA', 'MAIL', 'QUIT'])
            self.assertEqual(server.contents, [MESSAGE])

    def test_proxy_parameters(self):
        """proxy: what MAIL and RCPT say in parameters is what the next hop gets, as far as it offers them"""
        extensions = 'DSN', 'DELIVERBY=60', 'MT-PRIORITY', 'SUBMITTER', 'RRVS', 'LIMITS=MAILMAX=3 RCPTMAX=2'
        with StdioServer(*(word for name in extensions for word in ('--extension', name))) as server:
            with Proxy(server.port) as proxy, proxy.peer() as peer:
                offered = {text.split(' ')[0]: text for _, text in peer.command('EHLO client.example')[1:]}
                self.assertEqual(offered['DELIVERBY'], 'DELIVERBY 60')
                self.assertEqual(offered['LIMITS'], 'LIMITS MAILMAX=3 RCPTMAX=2')
                self.assertLessEqual({'DSN', 'MT-PRIORITY', 'SUBMITTER', 'RRVS', 'SMTPUTF8', '8BITMIME'}, set(offered))
                mail = 'RET=HDRS ENVID=x+2B MT-PRIORITY=3 BY=100;N'
                rcpt = 'NOTIFY=SUCCESS,DELAY ORCPT=rfc822;q@example.org'
                opening = 'EHLO client.example', f'{MAIL} {mail}', f'{RCPT} {rcpt}'
                self.assertEqual(peer.deliver(MESSAGE, opening), 250)
                self.assertEqual(peer.code('MAIL FROM:<> BODY=8BITMIME SMTPUTF8'), 250)
                self.assertEqual(peer.code('RCPT TO:<gr\xfc\xdfe@example.org>'), 250)
                self.assertEqual(peer.codes(RCPT, RCPT), [250, 452])
            [(envelope, _)] = server.spool.messages()
            self.assertEqual([sorted(line.partition(':')[2].split()) for line in envelope if line[0] == 'P'],
                             [sorted(mail.split()), sorted(rcpt.split())])

    def test_proxy_offers(self):
        """proxy: what the next hop does not offer is not offered; its SIZE is told, and held"""
        for offers, expected in (('', {'PIPELINING', 'CHUNKING', 'HELP'}),
                                 ('SIZE 1000, 8BITMIME, AUTH PLAIN, STARTTLS, XCLIENT NAME, ETRN, BURL',
                                  {'PIPELINING', 'CHUNKING', 'HELP', 'SIZE 1000', '8BITMIME'})):
            with NextHop(offers=offers) as server, Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual({text for _, text in peer.command('EHLO client.example')[1:]}, expected)
                if 'SIZE' in offers:
                    self.assertEqual(peer.code(f'{MAIL} SIZE=1001'), 552)
                else:
                    self.assertEqual(peer.code(f'{MAIL} RET=FULL'), 555)
        for word in 'NO-SOLICITING ;;;', 'MT-PRIORITY <odd>', 'NO-SOLICITING gr\xfc\xdfe':  # is not passed on
            with NextHop(offers=f'{word}, DSN') as server, Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual({text for _, text in peer.command('EHLO client.example')[1:]},
                                 {'PIPELINING', 'CHUNKING', 'HELP', 'DSN'}, word)
        with NextHop({'EHLO': '502 no'}) as server:
            server.answers['HELO'] = '250 next.example'
            with Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.deliver(), 250)
            self.assertEqual(server.contents, [MESSAGE])

    def test_proxy_8bit(self):
        """proxy: octets above 127 that nobody declared are declared; where the next hop cannot have them it is 554"""
        for offers, code in ('8BITMIME', 250), ('', 554):
            with NextHop(offers=offers) as server, Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.deliver(b'\xff\r\n'), code)
                if code == 250:
                    self.assertEqual((server.said[0][1], server.contents), (f'{MAIL} BODY=8BITMIME', [b'\xff\r\n']))
                else:
                    self.assertEqual((server.ended(), server.contents), (['cut'], []))

    def test_proxy_queries(self):
        """proxy: VRFY and EXPN are asked, with all lines of the answer"""
        lines = '250-2.1.5 <a@example.org>\r\n250 2.1.5 <b@example.org>'
        with NextHop({'VRFY': '252 2.5.0 who knows', 'EXPN': lines}, offers='EXPN, ENHANCEDSTATUSCODES') as server:
            with Proxy(server.port) as proxy, proxy.peer() as peer:
                peer.command('EHLO client.example')
                self.assertEqual(peer.command('VRFY smith'), [(252, '2.5.0 who knows')])
                self.assertEqual(peer.command('EXPN list'),
                                 [(250, '2.1.5 <a@example.org>'), (250, '2.1.5 <b@example.org>')])

    def test_proxy_lmtp(self):
        """proxy: LMTP: each recipient gets the verdict that the next hop has for him"""
        with NextHop(end='250 2.0.0 one\r\n552-5.2.2 Full\r\n552 5.2.2 really\r\n451 4.2.0 three',
                     offers='PIPELINING, ENHANCEDSTATUSCODES, CHUNKING') as server:
            with Proxy(server.port, '--lmtp') as proxy, proxy.peer() as peer:
                peer.command('LHLO client.example')
                for last in 'DATA', 'BDAT':
                    lines = [MAIL, 'RCPT TO:<a@x.example>', 'RCPT TO:<b@x.example>', 'RCPT TO:<c@x.example>']
                    self.assertEqual(peer.codes(*lines), [250] * 4)
                    if last == 'DATA':
                        self.assertEqual(peer.code('DATA'), 354)
                        peer.send(MESSAGE + b'.\r\n')
                    else:
                        peer.send(b'BDAT %d LAST\r\n' % len(MESSAGE) + MESSAGE)
                    self.assertEqual([peer.reply() for _ in range(3)], [
                        [(250, '2.0.0 one')], [(552, '5.2.2 Full'), (552, '5.2.2 really')], [(451, '4.2.0 three')]])
            self.assertEqual(server.contents, [MESSAGE] * 2)

    def test_proxy_lmtp_maild(self):
        """proxy: LMTP: 100 recipients to maild by a Unix socket, the proxy at one as well"""
        with Maild('--refuse', 'u7@example.org', listen=('--lmtp-listen', '/tmp/ehlo-proxy-next')) as maild:
            with Proxy('/tmp/ehlo-proxy-next', '--lmtp', listen=('--listen', '/tmp/ehlo-proxy')) as proxy:
                recipients = [f'u{n}@example.org' for n in range(100)]
                result = send('/tmp/ehlo-proxy', [CONTENTS['dots']], recipients, lmtp=True)
                self.assertEqual([code for code, _, _ in result.outcomes], [250] * 7 + [550] + [250] * 92)
                self.assertEqual(len(maild.files()), 99)
        self.assertFalse(os.path.exists('/tmp/ehlo-proxy'))


class Lost(Test):
    """Next hops and clients that go."""

    def test_proxy_unreachable(self):
        """proxy: a next hop that is not there, refuses to speak, or says nothing: 421 in place of a greeting"""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            with Proxy(probe.getsockname()[1]) as proxy, proxy.peer() as peer:
                why = 'proxy.example The next hop cannot be reached, try again later'
                self.assertEqual(peer.greeting, [(421, why)])
                self.assertTrue(peer.gone())
        for greeting, expected in (('554 No mail here', (554, 'No mail here')),
                                   ('421 busy', (421, 'proxy.example busy')), (None, (421, None)),
                                   (NextHop.HOLD, (421, 'proxy.example The next hop does not answer'))):
            with NextHop(greeting=greeting) as server, Proxy(server.port, '--next-timeout', '1') as proxy:
                with proxy.peer() as peer:
                    [(code, text)] = peer.greeting
                    self.assertEqual((code, expected[1] and text), expected)
                    if code == 554:
                        self.assertEqual(peer.codes('EHLO client.example', 'QUIT'), [503, 221])
                    self.assertTrue(peer.gone())
        with NextHop({'EHLO': None}) as server, Proxy(server.port) as proxy, proxy.peer() as peer:
            self.assertEqual(peer.greeting[0][0], 421)

    def test_proxy_says_why(self):
        """proxy: the log has what the next hop said, or did, when there is no session with it"""
        broke = 421, 'proxy.example The next hop broke the protocol'
        refuses = 421, 'proxy.example The next hop refuses the session'
        lost = 421, 'proxy.example There is no connection to the next hop any more'
        for more, expected, why in (({'greeting': '554 5.7.1 Not you'}, (554, '5.7.1 Not you'),
                                     'session is refused: 554 5.7.1 Not you'),
                                    ({'answers': {'EHLO': '550 Who?'}}, refuses, 'EHLO is refused: 550 Who?'),
                                    ({'greeting': 'SSH-2.0-x'}, broke, 'broke the protocol: syntax'),
                                    ({'greeting': None}, lost, 'the connection was lost')):
            with NextHop(**more) as server, Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.greeting, [expected])
                wait_for(lambda: f'proxy: 127.0.0.1:{server.port}: {why}\n' in proxy.log(), 5, proxy.log)

    def test_proxy_lost(self):
        """proxy: the next hop drops or stalls at each stage: 421, or 451 for the message, and never a second one"""
        for answer in None, NextHop.HOLD:
            for stage in 'MAIL', 'RCPT', 'DATA', '.':
                more = {'end': answer} if stage == '.' else {'answers': {stage: answer}}
                with NextHop(**more) as server, Proxy(server.port, '--next-timeout', '1') as proxy:
                    peer = self.enterContext(proxy.peer())
                    peer.command('EHLO client.example')
                    for line in MAIL, RCPT, 'DATA', '.':
                        if line == '.':
                            peer.send(MESSAGE)
                        reply = peer.command(line)
                        if line.startswith(stage):
                            break
                        self.assertLess(reply[0][0], 400)
                    self.assertEqual(reply[0][0], 451 if stage == '.' else 421, (stage, reply))
                    if stage == '.':
                        self.assertEqual(peer.reply()[0][0], 421)
                    self.assertTrue(peer.gone())
                    self.assertEqual(len(server.said), 1)
                    self.assertEqual(server.contents, [MESSAGE] * (stage == '.'))

    def test_proxy_lost_in_content(self):
        """proxy: the next hop drops, stalls or refuses in mid-content: the client may finish, and gets 451 or that"""
        def drop(connection, lines):
            lines.read(100000)
            return False
        def refuse(connection, lines):
            lines.read(100000)
            connection.sendall(b'552 5.3.4 Too much\r\n')
            time.sleep(0.5)
            return False
        def hold(connection, lines):
            server.over.wait(PATIENCE)
            return False
        content = CONTENTS['5 MB'] * 3
        for during, expected in (drop, (451, '4.4.2')), (refuse, (552, '5.3.4')), (hold, (451, '4.4.2')):
            with NextHop(during=during, offers='ENHANCEDSTATUSCODES') as server:
                with Proxy(server.port, '--next-timeout', '2') as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
                    peer.send(content)
                    [(code, text)] = peer.command('.')
                    self.assertEqual((code, text.split()[0]), expected)
                    self.assertEqual(peer.reply()[0][0], 421)
                    self.assertTrue(peer.gone())
                self.assertEqual(server.contents, [])

    def test_proxy_says_421(self):
        """proxy: a 421 of the next hop, in answer or unasked, reaches the client"""
        with NextHop({'RCPT': '421 4.7.0 Enough'}, offers='ENHANCEDSTATUSCODES') as server, Proxy(server.port) as proxy:
            with proxy.peer() as peer:
                peer.codes('EHLO client.example', MAIL)
                self.assertEqual(peer.command(RCPT), [(421, '4.7.0 proxy.example Enough')])
                self.assertTrue(peer.gone())
        class Leaving(NextHop):
            def serve(self, connection, lines, said):
                lines.readline()
                connection.sendall(b'250-x\r\n250 ENHANCEDSTATUSCODES\r\n')
                time.sleep(0.3)
                connection.sendall(b'421 4.3.2 Going down\r\n')
                return 'dropped'
        with Leaving() as server, Proxy(server.port) as proxy, proxy.peer() as peer:
            peer.command('EHLO client.example')
            self.assertEqual(peer.reply(), [(421, '4.3.2 proxy.example Going down')])
            self.assertTrue(peer.gone())

    def test_proxy_client_leaves(self):
        """proxy: a client that leaves: in mid-content the next hop is never told the end of the message"""
        for behind in (), ('--bdat',):
            for reset in False, True:
                with StdioServer() as server, Proxy(server.port, *behind) as proxy:
                    peer = proxy.peer()
                    self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
                    peer.send(CONTENTS['5 MB'][:3000000])
                    if reset:
                        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                    peer.__exit__()
                    wait_for(lambda: [process.poll() for process in server.listener.processes] == [0], 20, server.said)
                    self.assertEqual(server.spool.files(), [])
                    wait_for(lambda: proxy.descriptors() < 12, 10, 'all connections to be closed')
        for commands in ((), ('EHLO x',), OPEN[:2], OPEN):
            with NextHop() as server, Proxy(server.port) as proxy:
                with proxy.peer() as peer:
                    peer.codes(*commands)
                self.assertEqual(server.ended(), ['quit'])

    def test_proxy_bare_newline(self):
        """proxy: a bare newline is refused, and the next hop is never told the end of the message"""
        for newline in b'\n', b'\r':
            with NextHop() as server, Proxy(server.port) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.deliver(b'x%b.%bMAIL FROM:<smuggled@x.example>\r\n' % (newline, newline)), 554)
                self.assertEqual((server.ended(), server.contents), (['cut'], []))
                self.assertNotIn('smuggled', repr(server.said))

    def test_proxy_slow_reader(self):
        """proxy: 40 MB to a next hop that reads slowly: the client waits, the proxy does not grow, nothing is lost"""
        def slowly(connection, lines):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            for _ in range(20):
                time.sleep(0.05)
                lines.read(10000)
            return True
        content = (b'x' * 76 + b'\r\n') * 520000
        with NextHop(during=slowly) as server, Proxy(server.port) as proxy, proxy.peer() as peer:
            before = proxy.memory()
            self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
            sent = 0
            peer.socket.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                while sent < len(content):
                    sent += peer.socket.send(content[sent:sent + 65536])
            self.assertLess(sent, len(content))
            peer.socket.settimeout(PATIENCE)
            self.assertLess(proxy.memory() - before, 10000000)
            peer.send(content[sent:])
            self.assertEqual(peer.code('.'), 250)
            self.assertEqual(len(server.contents[0]), len(content) - 200000)
            self.assertTrue(content.endswith(server.contents[0]))

    def test_proxy_client_never_reads(self):
        """proxy: a client that sends and reads nothing is not listened to any more"""
        with NextHop() as server, Proxy(server.port) as proxy, proxy.peer() as peer:
            before = proxy.memory()
            peer.command('EHLO client.example')
            peer.socket.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while True:
                    peer.socket.send(b'NOOP\r\n' * 10000)
            self.assertLess(proxy.memory() - before, 10000000)

    def test_proxy_stops(self):
        """proxy: SIGTERM: idle clients get 421, a message that is open is finished"""
        with NextHop() as server, Proxy(server.port) as proxy, proxy.peer() as idle, proxy.peer() as busy:
            idle.command('EHLO client.example')
            self.assertEqual(busy.codes(*OPEN, 'DATA'), [250] * 3 + [354])
            proxy.process.terminate()
            self.assertEqual(idle.reply()[0][0], 421)
            busy.send(MESSAGE)
            self.assertEqual(busy.code('.'), 250)
            self.assertEqual(busy.reply()[0][0], 421)
            self.assertEqual(server.contents, [MESSAGE])

    def test_proxy_stops_at_once(self):
        """proxy: SIGTERM twice: at once, and the next hop is not told the end of the message"""
        with NextHop() as server:
            with Proxy(server.port) as proxy, proxy.peer() as busy:
                self.assertEqual(busy.codes(*OPEN, 'DATA'), [250] * 3 + [354])
                busy.send(MESSAGE)
                proxy.process.terminate()
                time.sleep(0.2)
                proxy.process.terminate()
                self.assertEqual(proxy.process.wait(5), 0)
            self.assertEqual((server.ended(), server.contents), (['cut'], []))

    def test_proxy_max_connections(self):
        """proxy: over --max-connections clients wait, and come in when others leave"""
        with NextHop() as server, Proxy(server.port, '--max-connections', '2') as proxy:
            first, second = proxy.peer(), proxy.peer()
            third = Peer(proxy.port, greet=False)
            time.sleep(0.3)
            self.assertEqual(len(server.said), 2)
            self.assertEqual(first.code('QUIT'), 221)
            first.__exit__()
            self.assertEqual(third.reply()[0][0], 220)
            second.__exit__()
            third.__exit__()


class Filter(Test):
    def run_filter(self, command, content=MESSAGE, options=(), server=None):
        """(reply to the message, contents that arrived)"""
        with NextHop(offers='ENHANCEDSTATUSCODES') if server is None else server as hop:
            with Proxy(hop.port, '--filter', command, *options) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
                peer.send(content.replace(b'\r\n.', b'\r\n..'))
                reply = peer.command('.')
                self.assertEqual(peer.deliver(MESSAGE, OPEN[1:]) // 100, reply[0][0] // 100)  # once more
                self.assertEqual(peer.code('QUIT'), 221)
                self.assertEqual(hop.ended(), ['quit'])
            return reply, hop.contents

    def test_proxy_filter(self):
        """proxy: --filter: 0 goes on, 75 is 451, others are 554 with the last line; what is no decision is 451"""
        reply, contents = self.run_filter('cat >/dev/null; echo seen')
        self.assertEqual((reply, contents), ([(250, '2.6.0 Stored')], [MESSAGE] * 2))
        for command, expected in (
                ('exit 75', (451, '4.7.1 Not now, try again later')),
                ('echo one; echo two; exit 75', (451, '4.7.1 two')),
                ('exit 1', (554, '5.7.1 The message is refused')),
                ('cat; echo; echo found a virus >&2; exit 100', (554, '5.7.1 found a virus')),
                ("printf 'no end of line'; exit 1", (554, '5.7.1 no end of line')),
                ("printf 'x\\033\\377\\n\\n'; exit 1", (554, '5.7.1 x??')),
                ("head -c 10000 /dev/zero | tr '\\0' y; exit 1", (554, '5.7.1 ' + 'y' * 399)),
                ('kill -9 $$', (451, '4.3.0 The message could not be looked at')),
                ('no-such-program', (451, '4.3.0 The message could not be looked at'))):
            reply, contents = self.run_filter(command)
            self.assertEqual((reply, contents), ([expected], []), command)

    def test_proxy_filter_content(self):
        """proxy: --filter: the program gets the message as it came; what it does not read goes on all the same"""
        path = '/tmp/ehlo-proxy-filter'
        for title in 'dots', 'no body', '5 MB':
            for options in (), ('--bdat',):
                for command in f'cat >{path}', f'exec 0<&-; : >{path}':
                    with StdioServer() as server:
                        with Proxy(server.port, '--filter', command, *options) as proxy:
                            python_smtplib(proxy.port, CONTENTS[title])
                            with open(path, 'rb') as file:
                                compare(self, file.read(), CONTENTS[title] if 'cat' in command else b'')
                            self.one(server.spool, CONTENTS[title], ENVELOPE)
        os.unlink(path)

    def test_proxy_filter_room(self):
        """proxy: --filter: a place for messages that is not there is 452; --max-size holds"""
        with tempfile.TemporaryDirectory() as place, NextHop() as server:
            os.mkdir(f'{place}/gone')
            options = '--filter', 'exit 0', '--directory', f'{place}/gone'
            with Proxy(server.port, *options) as proxy, proxy.peer() as peer:
                os.rmdir(f'{place}/gone')
                self.assertEqual([peer.deliver(), peer.deliver(MESSAGE, OPEN[1:])], [452] * 2)
            self.assertEqual(server.contents, [])
        with NextHop() as server, Proxy(server.port, '--filter', 'exit 0', '--max-size', '1000') as proxy:
            with proxy.peer() as peer:
                self.assertIn((250, 'SIZE 1000'), peer.command('EHLO client.example'))
                self.assertEqual(peer.deliver(b'x' * 998 + b'\r\n', (MAIL, RCPT)), 250)
                self.assertEqual(peer.deliver(b'x' * 999 + b'\r\n', (MAIL, RCPT)), 552)
                self.assertEqual(peer.deliver(MESSAGE, (MAIL, RCPT)), 250)
            self.assertEqual(len(server.contents), 2)
        for offers, size in ('', 104857600), ('SIZE 999999999999', 104857600), ('SIZE 7000', 7000):
            with NextHop(offers=offers) as server, Proxy(server.port, '--filter', 'exit 0') as proxy:
                with proxy.peer() as peer:
                    self.assertIn((250, f'SIZE {size}'), peer.command('EHLO client.example'))

    def test_proxy_filter_time(self):
        """proxy: --filter: one that takes too long is 451, and it and its children are killed"""
        reply, contents = self.run_filter(f'sleep {SLEEP} & sleep {SLEEP}', options=('--filter-timeout', '1'))
        self.assertEqual((reply, contents), ([(451, '4.3.0 The message could not be looked at in time')], []))
        self.assertEqual(self.sleepers(), [])

    def test_proxy_filter_leaves_group(self):
        """proxy: --filter: one that left its process group takes too long: it is killed, and nobody waits for it"""
        path = '/tmp/ehlo-proxy-filter'
        with open(path, 'w') as file:
            file.write('import os, sys\nos.setpgid(0, os.getpgid(os.getppid()))\n'
                       f'os.execvp("sleep", ["sleep", "{SLEEP}"])\n')
        reply, contents = self.run_filter(f'exec python3 {path}', options=('--filter-timeout', '1'))
        self.assertEqual((reply, contents), ([(451, '4.3.0 The message could not be looked at in time')], []))
        self.assertEqual(self.sleepers(), [])
        os.unlink(path)

    def test_proxy_filter_closes_output(self):
        """proxy: --filter: one that closes its output and goes on costs the proxy no time"""
        with NextHop() as server, Proxy(server.port, '--filter', 'exec >&- 2>&-; sleep 2') as proxy:
            with proxy.peer() as peer:
                before = self.seconds(proxy)
                self.assertEqual(peer.deliver(), 250)
                self.assertLess(self.seconds(proxy) - before, 0.5)

    @staticmethod
    def seconds(proxy):
        """Of the processor's time."""
        with open(f'/proc/{proxy.process.pid}/stat') as file:
            times = file.read().rpartition(') ')[2].split(' ')[11:13]
        return sum(map(int, times)) / os.sysconf('SC_CLK_TCK')

    @staticmethod
    def sleepers():
        found = []
        for name in glob.glob('/proc/[0-9]*/cmdline'):
            with contextlib.suppress(OSError), open(name, 'rb') as file:
                if file.read() == b'sleep\x00%d\x00' % SLEEP:
                    found.append(name)
        return found

    def test_proxy_filter_client_leaves(self):
        """proxy: --filter: the client leaves while the program works: it is killed, and nothing goes on"""
        with NextHop() as server, Proxy(server.port, '--filter', f'sleep {SLEEP}') as proxy:
            peer = proxy.peer()
            self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
            peer.send(MESSAGE + b'.\r\n')
            wait_for(self.sleepers, 10, 'the filter to run')
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            peer.__exit__()
            wait_for(lambda: not self.sleepers(), 10, 'the filter to end')
            server.ended()
            self.assertEqual(server.contents, [])

    def test_proxy_filter_next_lost(self):
        """proxy: --filter: the next hop leaves while the client sends or the program works: 451"""
        class Leaving(NextHop):
            def reply(self, connection, answer):
                if answer.startswith('250 2.1.5'):
                    threading.Timer(0.3, connection.shutdown, [socket.SHUT_RDWR]).start()
                return super().reply(connection, answer)
        for wait in 0, 0.7:
            with Leaving() as server, Proxy(server.port, '--filter', 'sleep 1') as proxy, proxy.peer() as peer:
                self.assertEqual(peer.codes(*OPEN, 'DATA'), [250] * 3 + [354])
                time.sleep(wait)
                peer.send(MESSAGE)
                self.assertEqual(peer.code('.'), 451)
                self.assertEqual(peer.reply()[0][0], 421)
                self.assertEqual(server.contents, [])

    def test_proxy_filter_lmtp(self):
        """proxy: --filter: LMTP: each recipient gets the verdict"""
        for command, expected in ('exit 0', ['one', 'two']), ('echo no; exit 1', ['5.7.1 no', '5.7.1 no']):
            with NextHop(end='250 one\r\n250 two') as server:
                with Proxy(server.port, '--lmtp', '--filter', command) as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.codes('LHLO client.example', MAIL, RCPT, RCPT, 'DATA'), [250] * 4 + [354])
                    peer.send(MESSAGE + b'.\r\n')
                    self.assertEqual([peer.reply()[0][1].removeprefix('2.0.0 ').removeprefix('2.6.0 ')
                                      for _ in range(2)], expected)


class Tls(Test):
    def client(self, port, implicit=False):
        context = test_tls.client_context()
        if implicit:
            return smtplib.SMTP_SSL('localhost', port, 'client.example', timeout=PATIENCE, context=context)
        client = smtplib.SMTP('localhost', port, 'client.example', timeout=PATIENCE)
        client.starttls(context=context)
        return client

    def own(self):
        return '--tls-cert', test_tls.CERTIFICATE, '--tls-key', test_tls.KEY

    @cells(TO_PROXY, 'smtplib', 'STARTTLS', 'TLS')
    def test_tls_proxy_front(self):
        """proxy: TLS in front, by STARTTLS and from the beginning, in clear behind"""
        for implicit in False, True:
            for title in 'dots', '5 MB':
                with StdioServer() as server:
                    listen = '--tls-listen' if implicit else '--listen', '127.0.0.1:0'
                    with Proxy(server.port, *self.own(), listen=listen) as proxy:
                        with self.client(proxy.port, implicit) as client:
                            client.sendmail(SENDER, [RECIPIENT], CONTENTS[title], ['BODY=8BITMIME'])
                            client.ehlo()
                            self.assertFalse(client.has_extn('starttls') or client.has_extn('auth'))
                        self.one(server.spool, CONTENTS[title], ENVELOPE)

    @cells(TO_PROXY, 'smtplib', 'AUTH')
    def test_tls_proxy_both(self):
        """proxy: TLS on both sides, AUTH goes through it, right and wrong; it is not offered in clear"""
        for mode, how in ('starttls', 'require'), ('implicit', 'implicit'), ('starttls', 'try'):
            with TlsServer(mode) as server:
                where = f'localhost:{server.port}'
                with Proxy(where, *self.own(), '--next-tls', how, '--next-cafile', test_tls.CERTIFICATE) as proxy:
                    with smtplib.SMTP('localhost', proxy.port, 'client.example', timeout=PATIENCE) as clear:
                        clear.ehlo()
                        self.assertEqual((clear.has_extn('starttls'), clear.has_extn('auth')), (True, False))
                    with self.client(proxy.port) as client:
                        client.ehlo()
                        self.assertEqual(client.esmtp_features['auth'].split(), ['PLAIN', 'LOGIN'])
                        with self.assertRaises(smtplib.SMTPAuthenticationError):
                            client.login(USER, 'wrong')
                        client.login(USER, PASSWORD)
                        client.sendmail(SENDER, [RECIPIENT], CONTENTS['5 MB'], ['BODY=8BITMIME'])
                    octets, by = server.last()
                    compare(self, octets, CONTENTS['5 MB'])
                    self.assertEqual(by, 'ESMTPSA')

    def test_tls_proxy_untrusted(self):
        """proxy: a next hop that cannot be trusted is 421 with require, good enough with try; so is one without TLS"""
        with TlsServer() as server:
            for how, code in ('require', 421), ('try', 220):
                with Proxy(f'localhost:{server.port}', *self.own(), '--next-tls', how) as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.greeting[0][0], code)
                    if code == 220:
                        with self.client(proxy.port) as client:
                            client.ehlo()
                            self.assertFalse(client.has_extn('auth'))
                        self.assertEqual(peer.deliver(), 250)
                        self.assertEqual(server.last()[1], 'ESMTPS')
        for offers in '', 'STARTTLS':
            for how, code in ('require', 421), ('try', 220):
                with NextHop({'STARTTLS': '454 4.7.0 no'}, offers=offers) as server:
                    with Proxy(server.port, '--next-tls', how) as proxy, proxy.peer() as peer:
                        self.assertEqual(peer.greeting[0][0], code)
                        if code == 220:
                            self.assertEqual(peer.deliver(), 250)

    def test_tls_proxy_auth_as(self):
        """proxy: who logs in to act as another does not become himself where the next hop has LOGIN alone by then"""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(test_tls.CERTIFICATE, test_tls.KEY)
        class Changing(NextHop):
            def talk(self, connection):
                with contextlib.suppress(OSError):
                    super().talk(context.wrap_socket(connection, server_side=True))
        def change(line):
            if line.startswith('XCLIENT'):
                server.answers['EHLO'] = '250-next.example\r\n250-XCLIENT ADDR\r\n250 AUTH LOGIN'
        for name, code in ('other', 554), ('', 235):
            answers = {'XCLIENT': '220 next.example', 'AUTH LOGIN': '334 VXNlcm5hbWU6', 'dTE=': '334 UGFzc3dvcmQ6',
                       'cHc=': '235 2.7.0 You are u1'}
            with Changing(answers, offers='XCLIENT ADDR, AUTH PLAIN LOGIN', before=change) as server:
                with Proxy(f'localhost:{server.port}', *self.own(), '--xclient', '--next-tls', 'implicit',
                           '--next-cafile', test_tls.CERTIFICATE) as proxy, self.client(proxy.port) as client:
                    client.ehlo()
                    initial = base64.b64encode(f'{name}\0u1\0pw'.encode()).decode()
                    self.assertEqual(client.docmd('AUTH', f'PLAIN {initial}')[0], code)
                self.assertEqual('AUTH LOGIN' in [line[:10] for line in server.said[0]], code == 235)

    def test_tls_proxy_auth_in_clear(self):
        """proxy: AUTH is not offered where what is behind is in clear, whatever is in front"""
        with NextHop(offers='AUTH PLAIN LOGIN') as server, Proxy(server.port, *self.own(), '--next-tls', 'try') as proxy:
            with self.client(proxy.port) as client:
                client.ehlo()
                self.assertFalse(client.has_extn('auth'))
                self.assertGreaterEqual(client.docmd('AUTH PLAIN', 'AHVzZXIAcGFzcy13K3JkPSU=')[0], 500)
            self.assertNotIn('AUTH', repr(server.said))

    def test_tls_proxy_handshake_fails(self):
        """proxy: a handshake that fails: with try the next hop is asked once more, in clear"""
        class NoTls(NextHop):
            def reply(self, connection, answer):
                if not answer.startswith('220 go'):
                    return super().reply(connection, answer)
                connection.sendall(b'220 go\r\n')
                connection.recv(1)
                connection.sendall(b'this is no TLS\r\n')
                return False
        for how, code, connections in ('require', 421, 1), ('try', 220, 2):
            with NoTls({'STARTTLS': '220 go'}, offers='STARTTLS') as server:
                with Proxy(server.port, '--next-tls', how) as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.greeting[0][0], code, how)
                    self.assertEqual(len(server.said), connections)
                    if code == 220:
                        self.assertEqual(peer.deliver(), 250)
        with StdioServer() as server, Proxy(server.port, *self.own(), listen=('--tls-listen', '127.0.0.1:0')) as proxy:
            with Peer(proxy.port, greet=False) as peer:
                peer.send(b'EHLO client.example\r\n' * 100)
                self.assertTrue(peer.gone())
            with self.client(proxy.port, True) as client:
                client.sendmail(SENDER, [RECIPIENT], CONTENTS['dots'])
            self.one(server.spool, CONTENTS['dots'])

    def test_tls_proxy_refused(self):
        """proxy: STARTTLS is refused: with try it goes on in clear, but for what else was asked; else it does not"""
        for options, offers, text in ((('try',), '', 'proxy.example ESMTP Service ready'),
                                      (('require',), '', 'proxy.example The next hop refuses the session'),
                                      (('try', '--xclient'), '', 'proxy.example The next hop does not offer XCLIENT'),
                                      (('try', '--xclient'), 'XCLIENT ADDR', 'proxy.example ESMTP Service ready')):
            with NextHop({'STARTTLS': '454 4.7.0 Not now', 'XCLIENT': '220 next.example'},
                         offers=', '.join(filter(None, ('STARTTLS', offers)))) as server:
                with Proxy(server.port, '--next-tls', *options) as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.greeting[0][1], text)
                    if peer.greeting[0][0] == 220:
                        self.assertEqual(peer.deliver(), 250)
                    wait_for(lambda: 'STARTTLS is refused: 454 4.7.0 Not now\n' in proxy.log(), 5, proxy.log)

    def test_tls_proxy_injection(self):
        """proxy: what stands behind STARTTLS in clear is not taken for what was said under TLS"""
        with NextHop() as server, Proxy(server.port, *self.own()) as proxy, proxy.peer() as peer:
            peer.command('EHLO client.example')
            peer.send(f'STARTTLS\r\n{MAIL}')
            peer.gone()
            self.assertNotIn('MAIL', repr(server.said))


class Who(Test):
    def test_proxy_xclient(self):
        """proxy: --xclient: the next hop gets to know who the client is, and what it calls itself"""
        with StdioServer('--extension', 'XCLIENT') as server, Proxy(server.port, '--xclient') as proxy:
            with proxy.peer() as peer:
                self.assertEqual(peer.deliver(MESSAGE, ('EHLO client.example', *OPEN[1:])), 250)
                self.assertRegex(server.said(), r'XCLIENT .*ADDR=127\.0\.0\.1 PORT=\d+ .*HELO=client\.example')
                self.assertEqual(peer.deliver(MESSAGE, ('EHLO other.example', *OPEN[1:])), 250)
                self.assertIn('HELO=other.example', server.said())
                self.assertEqual(peer.codes(MAIL, RCPT, 'EHLO third.example', RCPT), [250, 250, 250, 503])
                self.assertEqual(peer.deliver(MESSAGE, OPEN[1:]), 250)
                self.assertIn('HELO=third.example', server.said())
        with NextHop() as server, Proxy(server.port, '--xclient') as proxy, proxy.peer() as peer:
            self.assertEqual(peer.greeting[0], (421, 'proxy.example The next hop does not offer XCLIENT'))
        with NextHop({'XCLIENT': '550 5.7.0 no'}, offers='XCLIENT ADDR HELO') as server:
            with Proxy(server.port, '--xclient') as proxy, proxy.peer() as peer:
                self.assertEqual(peer.command('EHLO client.example')[0][0], 451)
                self.assertNotIn('MAIL', repr(server.said))

    def test_proxy_xforward(self):
        """proxy: --xforward: once for each EHLO, before MAIL; one that is refused changes nothing"""
        for answer in '250 ok', '550 no':
            with NextHop({'XFORWARD': answer}, offers='XFORWARD NAME ADDR PROTO HELO') as server:
                with Proxy(server.port, '--xforward') as proxy, proxy.peer() as peer:
                    self.assertEqual(peer.deliver(), 250)
                    self.assertEqual(peer.deliver(MESSAGE, OPEN[1:]), 250)
                    self.assertEqual(peer.code('QUIT'), 221)
                self.assertEqual(server.ended(), ['quit'])
            self.assertEqual([line for line in server.said[0] if line.startswith('XFORWARD')],
                             ['XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PROTO=ESMTP HELO=client.example'])
            self.assertEqual(server.contents, [MESSAGE] * 2)

    def test_proxy_before_queue(self):
        """proxy: before the queue of Postfix, by smtpd_proxy_filter, with a filter, as README has it"""
        with Postfix() as behind, Proxy(behind.where['ipv4'], '--xforward', '--filter',
                                        'grep -q virus && { echo No viruses here; exit 1; }; exit 0') as proxy:
            with Relay('smtp:[127.0.0.1]:1', smtpd_proxy_filter=f'127.0.0.1:{proxy.port}') as front:
                swaks(front.port, CONTENTS['ordinary'])
                [(recipient, octets)] = behind.take(1)
                self.assertEqual(recipient, RECIPIENT)
                self.assertTrue(octets.endswith(CONTENTS['ordinary'].replace(b'\r\n', b'\n')), octets)
                with self.assertRaises(smtplib.SMTPDataError) as refusal:
                    python_smtplib(front.port, CONTENTS['ordinary'] + b'virus\r\n')
                self.assertEqual((refusal.exception.smtp_code, refusal.exception.smtp_error),
                                 (554, b'5.7.1 No viruses here'))

    def test_proxy_stale_socket(self):
        """proxy: a Unix socket that a dead proxy left is replaced, and one that a living one has is not; nor a file"""
        with tempfile.TemporaryDirectory() as place, NextHop() as server:
            path = f'{place}/socket'
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(path)
                dead.listen()
            with Proxy(server.port, listen=('--listen', path)) as proxy, proxy.peer() as peer:
                again = subprocess.run([*proxy.command], capture_output=True, encoding='utf-8', timeout=PATIENCE,
                                       check=False)
                self.assertEqual((again.returncode, again.stderr), (71, f'proxy: {path}: Address already in use\n'))
                self.assertEqual(peer.deliver(), 250)
            self.assertEqual(os.listdir(place), [])
            with open(path, 'w') as file:
                file.write('mine')
            again = subprocess.run([*proxy.command], capture_output=True, timeout=PATIENCE, check=False)
            self.assertEqual((again.returncode, os.path.getsize(path)), (71, 4))

    def test_proxy_without_ipv6(self):
        """proxy: every address, on a system without IPv6"""
        with tempfile.TemporaryDirectory() as place, NextHop() as server:
            open(f'{place}/old', 'w').close()
            under = 'env', f'LD_PRELOAD={SHIM}', f'SHIM_DIRECTORY={place}'
            with Proxy(server.port, listen=('--listen', '*:0'), under=under) as proxy, proxy.peer() as peer:
                self.assertEqual(peer.deliver(), 250)
            self.assertEqual(len(proxy.places), 1)

    def test_proxy_closed_descriptors(self):
        """proxy: with standard input, output and error closed neither side hears anything but SMTP"""
        path = '/tmp/ehlo-proxy-closed'
        with NextHop() as server, contextlib.suppress(FileNotFoundError):
            os.unlink(path) if os.path.exists(path) else None
            process = subprocess.Popen(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', PROXY, '--listen', path, '--next',
                                        f'127.0.0.1:{server.port}', '--hostname', 'x.example', '--filter', 'cat'])
            try:
                wait_for(lambda: os.path.exists(path) or process.poll() is not None, 20, 'proxy to listen')
                for _ in range(2):
                    with Peer(path) as peer:
                        self.assertEqual(peer.deliver(), 250)
                        self.assertEqual(peer.code('QUIT'), 221)
            finally:
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(server.contents, [MESSAGE] * 2)

    def test_proxy_usage(self):
        """proxy: bad usage is 64, and says what is needed"""
        good = '--listen', '127.0.0.1:0', '--next', '127.0.0.1:25', '--hostname', 'x.example'
        for options in ((), good[:4], good[2:], (*good[:2], *good[4:]), (*good, 'word'), (*good, '--next-tls', 'maybe'),
                        (*good, '--xclient', '--xforward'), (*good, '--tls-listen', '127.0.0.1:0'),
                        (*good, '--next-cafile', '/etc/passwd'), (*good, '--directory', '/tmp'),
                        (*good, '--filter-timeout', '1'), (*good, '--tls-key', '/x'),
                        (*good[:3], 'nowhere', *good[4:]), ('--unknown',)):
            done = subprocess.run([PROXY, *options], capture_output=True, encoding='utf-8', timeout=PATIENCE,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (64, ''), options)
            self.assertRegex(done.stderr, r'proxy: .*\n')
        for status, *options in ((66, '--tls-cert', '/nowhere'), (71, '--filter', 'true', '--directory', '/nowhere'),
                                 (66, '--next-tls', 'try', '--next-cafile', '/nowhere')):
            done = subprocess.run([PROXY, *good, *options], capture_output=True, encoding='utf-8', timeout=PATIENCE,
                                  check=False)
            self.assertEqual(done.returncode, status, options)
            self.assertIn('/nowhere', done.stderr)
        done = subprocess.run([PROXY, '--help'], capture_output=True, encoding='utf-8', timeout=PATIENCE, check=True)
        self.assertRegex(done.stdout, r'(?s)^usage: proxy .*--xforward')
