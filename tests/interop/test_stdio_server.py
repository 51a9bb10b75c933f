"""test_stdio_server.py: each option of stdio-server, its files, its exit codes, its ends."""

import base64
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import PROGRAM, Listener, Session, Spool, native

HOSTS = ('--hostname', 'mail.example.org', '--domain', 'example.org')
OPEN = ('EHLO client.example', 'MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>')


class Tests(unittest.TestCase):
    def setUp(self):
        self.spool = self.enterContext(Spool())

    def session(self, *options, **more):
        session = Session('--spool', self.spool.path, *HOSTS, *options, **more)
        self.assertEqual(session.greeting[0][0], 220)
        self.assertTrue(session.greeting[0][1].startswith('mail.example.org '))
        return session

    def end(self, session, rest=b'', errors='', status=0):
        self.assertEqual(session.end(), (rest, errors, status))

    # ---- accepting and storing ----

    def test_store(self):
        """A message: two files, exact octets, in place before the 250"""
        session = self.session()
        self.assertEqual(session.codes(*OPEN, 'RCPT TO:<"c d"@EXAMPLE.org>', 'DATA'), [250, 250, 250, 250, 354])
        session.send(b'..one\r\n\r\n...two\r\n')
        self.assertEqual(session.code('.'), 250)
        self.assertEqual(self.spool.messages(),
                         [(['FROM:a@client.example', 'TO:b@example.org', 'TO:"c d"@EXAMPLE.org'],
                           b'.one\r\n\r\n..two\r\n')])
        self.assertEqual(session.code('QUIT'), 221)
        self.end(session)

    def test_permissions(self):
        """Mail is its owner's alone to read"""
        session = self.session()
        session.codes(*OPEN, 'DATA', '.')
        self.assertEqual({os.stat(os.path.join(self.spool.path, name)).st_mode & 0o777
                          for name in self.spool.files()}, {0o600})
        self.end(session)

    def test_name_in_reply(self):
        """The 250 tells the name of the message"""
        session = self.session()
        session.codes(*OPEN, 'DATA')
        reply = session.command('.')
        self.assertEqual(self.spool.files(), [reply[0][1].split()[-1] + suffix for suffix in ('.eml', '.env')])
        self.end(session)

    def test_order(self):
        """Names sort in the order of acceptance, whichever process accepted and whichever began first"""
        first, second = self.session(), self.session()
        for session in first, second:
            session.code('EHLO client.example')
        for number in range(50):
            one, other = (first, second) if number % 2 else (second, first)
            for session, sender in (other, number * 2 + 1), (one, number * 2):
                self.assertEqual(session.codes(f'MAIL FROM:<{sender}@client.example>', 'RCPT TO:<b@example.org>',
                                               'DATA'), [250, 250, 354])
            self.assertEqual([one.code('.'), other.code('.')], [250, 250])
        self.assertEqual([envelope[0] for envelope, _ in self.spool.messages()],
                         [f'FROM:{number}@client.example' for number in range(100)])
        self.end(first)
        self.end(second)

    def test_addresses(self):
        """Envelopes: the null path, source routes, postmaster in each form (S-RCPT-03, S-RCPT-04)"""
        session = self.session()
        self.assertEqual(session.codes('EHLO client.example', 'MAIL FROM:<>',
                                       'RCPT TO:<@a.example,@b.example:c@example.org>', 'RCPT TO:<postMASTER>',
                                       'RCPT TO:<Postmaster@Example.Org>', 'DATA', '.'),
                         [250, 250, 250, 250, 250, 354, 250])
        self.assertEqual(session.codes('MAIL FROM:<@a.example:d@client.example>', 'RCPT TO:<b@example.org>', 'DATA',
                                       '.'), [250, 250, 354, 250])
        self.assertEqual([envelope for envelope, _ in self.spool.messages()],
                         [['FROM:', 'TO:c@example.org', 'TO:postMASTER', 'TO:Postmaster@Example.Org'],
                          ['FROM:d@client.example', 'TO:b@example.org']])
        self.end(session)

    def test_reset_between(self):
        """Only the recipients of the transaction itself, after RSET, EHLO and refused RCPTs"""
        session = self.session()
        session.codes(*OPEN, 'RSET', *OPEN[1:], 'RCPT TO:<x@elsewhere.example>', *OPEN, 'DATA', '.')
        self.assertEqual([envelope for envelope, _ in self.spool.messages()],
                         [['FROM:a@client.example', 'TO:b@example.org']])
        self.end(session)

    # ---- the options ----

    def test_domain(self):
        """--domain: repeatable, without case, literals too (P-ADDR-17); all else 550"""
        session = self.session('--domain', 'Second.Example', '--domain', '[127.0.0.1]')
        self.assertEqual(session.codes(*OPEN, 'RCPT TO:<b@EXAMPLE.ORG>', 'RCPT TO:<b@second.example>',
                                       'RCPT TO:<b@[127.0.0.1]>', 'RCPT TO:<b@third.example>',
                                       'RCPT TO:<b@sub.example.org>', 'RCPT TO:<b@example.orgx>',
                                       'RCPT TO:<b%third.example@example.org>'),
                         [250, 250, 250, 250, 250, 250, 550, 550, 550, 250])
        self.end(session)

    def test_no_domain(self):
        """No --domain: bare postmaster and nobody else (S-RCPT-03)"""
        session = Session('--hostname', 'mail.example.org')
        self.assertEqual(session.codes(*OPEN, 'RCPT TO:<postmaster@mail.example.org>', 'RCPT TO:<POSTMASTER>'),
                         [250, 250, 550, 550, 250])
        self.end(session)

    def test_refuse(self):
        """--refuse: repeatable; local-part decoded and with its case, domain without"""
        session = self.session('--refuse', 'bad@example.org', '--refuse', '"very bad"@example.org')
        self.assertEqual(session.codes(*OPEN[:2], 'RCPT TO:<bad@example.org>', 'RCPT TO:<bad@EXAMPLE.org>',
                                       'RCPT TO:<"b\\ad"@example.org>', 'RCPT TO:<"very\\ bad"@example.org>',
                                       'RCPT TO:<Bad@example.org>', 'RCPT TO:<bad.@example.org>',
                                       'RCPT TO:<bad1@example.org>'), [250, 250, 550, 550, 550, 550, 250, 501, 250])
        self.end(session)

    def test_no_spool(self):
        """No --spool: 451, never a 250 for a message that is kept nowhere"""
        session = Session(*HOSTS)
        self.assertEqual(session.codes(*OPEN, 'DATA', 'QUIT'), [250, 250, 250, 451, 221])
        self.end(session)

    def test_lmtp(self):
        """--lmtp: LHLO, a verdict for each recipient, one message (S-LMTP-15)"""
        session = self.session('--lmtp')
        self.assertEqual(session.codes('EHLO client.example', 'HELO client.example'), [500, 500])
        self.assertEqual(session.codes('LHLO client.example', *OPEN[1:], 'RCPT TO:<c@example.org>',
                                       'RCPT TO:<d@third.example>', 'DATA', '.'),
                         [250, 250, 250, 250, 550, 354, 250])
        self.assertEqual(session.reply()[0][0], 250)
        self.assertEqual(session.code('QUIT'), 221)
        self.assertEqual(self.spool.messages(), [(['FROM:a@client.example', 'TO:b@example.org', 'TO:c@example.org'],
                                                  b'')])
        self.end(session)

    def test_max_size(self):
        """--max-size: told, checked at MAIL, enforced in the content"""
        session = self.session('--max-size', '1000')
        self.assertIn((250, 'SIZE 1000'), session.command(OPEN[0]))
        self.assertEqual(session.codes(OPEN[1] + ' SIZE=1001', OPEN[1] + ' SIZE=1000', OPEN[2], 'DATA'),
                         [552, 250, 250, 354])
        session.send(b'x' * 998 + b'\r\n' + b'y' * 998 + b'\r\n')
        self.assertEqual(session.code('.'), 552)
        self.assertEqual(self.spool.files(), [])
        self.assertEqual(session.codes(*OPEN[1:], 'DATA'), [250, 250, 354])
        session.send(b'x' * 998 + b'\r\n')
        self.assertEqual(session.code('.'), 250)
        self.assertEqual([len(content) for _, content in self.spool.messages()], [1000])
        self.end(session)

    def test_max_size_lmtp(self):
        """--max-size with --lmtp: 552 for each recipient"""
        session = self.session('--lmtp', '--max-size', '10')
        self.assertEqual(session.codes('LHLO client.example', *OPEN[1:], OPEN[2], 'DATA', 'more than ten octets\r\n.'),
                         [250, 250, 250, 250, 354, 552])
        session.send('NOOP')
        self.assertEqual([session.reply()[0][0], session.reply()[0][0]], [552, 250])
        self.end(session)

    def test_max_recipients(self):
        """--max-recipients: 452 from the next one on; the others get their mail"""
        session = self.session('--max-recipients', '2')
        self.assertEqual(session.codes(*OPEN, 'RCPT TO:<c@example.org>', 'RCPT TO:<d@example.org>', 'DATA', '.'),
                         [250, 250, 250, 250, 452, 354, 250])
        self.assertEqual(self.spool.messages()[0][0][1:], ['TO:b@example.org', 'TO:c@example.org'])
        self.end(session)

    def test_max_errors(self):
        """--max-errors: 421 and the end, also of the process"""
        session = self.session('--max-errors', '3')
        self.assertEqual(session.codes('BOGUS', 'BOGUS'), [500, 500])
        session.send('BOGUS')
        replies = session.reply() + session.reply()
        self.assertEqual(replies[-1][0], 421)
        self.assertEqual(session.reply(), [])
        session.process.wait(10)
        self.end(session)

    def test_max_errors_none(self):
        """--max-errors 0: no limit"""
        session = self.session('--max-errors', '0')
        self.assertEqual(set(session.codes(*['BOGUS'] * 100)), {500})
        self.end(session)

    def test_smtputf8(self):
        """--smtputf8: on at first; the last one counts"""
        for options, on in ((), True), (('off',), False), (('on', 'off'), False), (('off', 'on'), True):
            session = self.session(*(word for option in options for word in ('--smtputf8', option)))
            self.assertEqual((250, 'SMTPUTF8') in session.command(OPEN[0]), on)
            self.assertEqual(session.codes(OPEN[1] + ' SMTPUTF8', 'RSET', OPEN[1], 'RCPT TO:<bär@example.org>'),
                             [250 if on else 555, 250, 250, 553 if on else 500])
            self.assertEqual(session.code('RSET'), 250)
            if on:
                self.assertEqual(session.codes('MAIL FROM:<bär@client.example> SMTPUTF8', 'RCPT TO:<bär@example.org>',
                                               'DATA', '.'), [250, 250, 354, 250])
                self.assertEqual(self.spool.messages()[-1][0], ['FROM:bär@client.example', 'TO:bär@example.org'])
            self.end(session)

    def test_verbs(self):
        """--verbs: 502 and unlisted without, working and listed with"""
        session = self.session()
        listed = {text for _, text in session.command(OPEN[0])}
        self.assertFalse(listed & {'SEND', 'SOML', 'SAML', 'EXPN', 'TURN'})
        self.assertEqual(session.codes('SEND FROM:<a@client.example>', 'SOML FROM:<a@client.example>',
                                       'SAML FROM:<a@client.example>', 'EXPN list', 'TURN'), [502] * 5)
        self.end(session)
        session = self.session('--verbs', 'send,soml,saml', '--verbs', 'expn,turn')
        listed = {text for _, text in session.command(OPEN[0])}
        self.assertEqual(listed & {'SEND', 'SOML', 'SAML', 'EXPN', 'TURN'}, {'SEND', 'SOML', 'SAML', 'EXPN', 'TURN'})
        for verb in 'SEND', 'SOML', 'SAML':
            self.assertEqual(session.codes(f'{verb} FROM:<{verb}@client.example>', OPEN[2], 'DATA', '.'),
                             [250, 250, 354, 250])
        self.assertEqual([envelope[0] for envelope, _ in self.spool.messages()],
                         ['FROM:SEND@client.example', 'FROM:SOML@client.example', 'FROM:SAML@client.example'])
        self.assertEqual(session.codes('EXPN list', 'TURN'), [252, 502])  # it has no mail to send back
        self.end(session)

    def hello(self, session, verb='EHLO'):
        """{keyword: what stands behind it}"""
        return {text.partition(' ')[0]: text.partition(' ')[2]
                for _, text in session.command(f'{verb} client.example')[1:]}

    def test_chunking(self):
        """--chunking: on at first; BDAT stores what DATA does, in LMTP too"""
        for options, on in ((), True), (('off',), False), (('off', 'on'), True):
            session = self.session(*(word for option in options for word in ('--chunking', option)))
            self.assertEqual('CHUNKING' in self.hello(session), on)
            self.assertEqual(session.codes(*OPEN[1:], b'BDAT 6\r\n.one\r\n', 'NOOP'),
                             [250, 250, 250 if on else 502, 250])
            self.end(session)
        session = self.session()
        session.codes(*OPEN)
        session.send(b'BDAT 9\r\n.\r\n..\r\n\r\nBDAT 0\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n')
        self.assertEqual([session.reply()[0][0] for _ in range(4)], [250, 250, 250, 250])
        self.assertEqual(session.codes(*OPEN[1:], 'BDAT 0 LAST'), [250, 250, 250])
        session.end()
        session = self.session('--lmtp')
        self.assertEqual(session.codes('LHLO client.example', *OPEN[1:], OPEN[2], b'BDAT 3 LAST\r\nx\r\n'),
                         [250, 250, 250, 250, 250])
        self.assertEqual(session.reply()[0][0], 250)
        self.end(session)
        self.assertEqual([content for _, content in self.spool.messages()], [b'.\r\n..\r\n\r\nQUIT\r\n', b'', b'x\r\n'])

    def test_chunking_refused(self):
        """BDAT without --spool, or of what is too big: refused, nothing is kept, the octets are no commands"""
        session = Session(*HOSTS)
        self.assertEqual(session.codes(*OPEN, b'BDAT 6\r\nNOOP\r\n', 'BDAT 0 LAST', 'RSET', *OPEN[1:], 'BDAT 0 LAST'),
                         [250, 250, 250, 451, 503, 250, 250, 250, 451])
        self.end(session)
        session = self.session('--max-size', '10')
        self.assertEqual(session.codes(*OPEN, b'BDAT 6\r\nNOOP\r\n', b'BDAT 6 LAST\r\nNOOP\r\n'), [250] * 4 + [552])
        self.assertEqual(self.spool.files(), [])
        self.end(session)

    def test_auth(self):
        """--auth: PLAIN and LOGIN, right and wrong; nobody acts as somebody else; none without it"""
        def encode(octets):
            return base64.b64encode(octets).decode()
        plain = [(b'\0user\0pass:word', 235), (b'user\0user\0pass:word', 235), (b'\0other\0secret', 235),
                 (b'\0user\0pass:wor', 535), (b'\0user\0pass:wordx', 535), (b'\0user\0pass:worx', 535),
                 (b'\0use\0pass:word', 535), (b'\0user\0secret', 535), (b'\0other\0pass:word', 535),
                 (b'other\0user\0pass:word', 535), (b'\0pass:word\0user', 535), (b'\0user', 501), (b'', 501)]
        users = '--auth', 'user:pass:word', '--auth', 'other:secret'
        for octets, code in plain:
            session = self.session(*users)
            self.assertEqual(self.hello(session)['AUTH'], 'PLAIN LOGIN')
            self.assertEqual(session.codes('AUTH PLAIN ' + (encode(octets) or '=')), [code], octets)
            if code == 235:
                self.assertEqual(session.codes('AUTH PLAIN ' + encode(octets), *OPEN[1:]), [503, 250, 250])
            self.end(session)
        for name, password, code in ((b'user', b'pass:word', 235), (b'user', b'password', 535), (b'', b'', 501)):
            session = self.session(*users)
            self.hello(session)
            self.assertEqual(session.codes('AUTH LOGIN', encode(name)), [334, 334] if name else [334, 501])
            if name:
                self.assertEqual(session.code(encode(password)), code)
            self.end(session)
        session = self.session(*users)
        self.hello(session)
        self.assertEqual(session.codes('AUTH PLAIN', '*', 'AUTH CRAM-MD5', 'AUTH PLAIN', '$'),
                         [334, 501, 504, 334, 501])
        self.end(session)
        session = self.session()
        self.assertNotIn('AUTH', self.hello(session))
        self.assertEqual(session.code('AUTH PLAIN ' + encode(plain[0][0])), 502)
        self.end(session)

    def test_auth_requires_tls(self):
        """--auth-requires-tls, --starttls-in-clear: not in clear, but behind STARTTLS; then all begins anew"""
        session = self.session('--auth', 'user:password', '--auth-requires-tls')
        self.assertEqual(self.hello(session).keys() & {'AUTH', 'STARTTLS'}, set())
        self.assertGreaterEqual(session.code('AUTH PLAIN AHVzZXIAcGFzc3dvcmQ='), 500)
        self.assertEqual(session.code('STARTTLS'), 502)
        self.end(session)
        session = self.session('--auth', 'user:password', '--auth-requires-tls', '--starttls-in-clear')
        self.assertEqual(self.hello(session).keys() & {'AUTH', 'STARTTLS'}, {'STARTTLS'})
        self.assertEqual(session.codes('STARTTLS', OPEN[1]), [220, 503])
        self.assertEqual(self.hello(session).keys() & {'AUTH', 'STARTTLS'}, {'AUTH'})
        self.assertEqual(session.codes('AUTH PLAIN AHVzZXIAcGFzc3dvcmQ=', 'STARTTLS', *OPEN[1:]), [235, 502, 250, 250])
        self.end(session)

    def test_starttls_injection(self):
        """--starttls-in-clear: what stands behind STARTTLS in one piece is not run, and closes"""
        session = self.session('--starttls-in-clear', '--trace')
        session.code(OPEN[0])
        session.send(b'STARTTLS\r\nEHLO client.example\r\n')
        rest, errors, status = session.end()
        self.assertEqual((rest, status), (b'', 0))
        self.assertRegex(errors, r'(?m)^ +VIOLATION octets before TLS$')
        self.assertEqual(errors.count('C: EHLO'), 1)

    def test_extension(self):
        """--extension: each keyword and what it tells; none of them without it"""
        told = {'DSN': '', 'BINARYMIME': '', 'DELIVERBY=240': '240', 'MT-PRIORITY=STANAG4406': 'STANAG4406',
                'RRVS': '', 'NO-SOLICITING=net.example:ADV': 'net.example:ADV', 'MTRK': '', 'SUBMITTER': '',
                'CONPERM': '', 'CONNEG': '', 'CHECKPOINT': '', 'ETRN': '', 'XCLIENT=NAME ADDR': 'NAME ADDR',
                'XFORWARD': 'NAME ADDR PORT PROTO HELO IDENT SOURCE', 'VRFY': '', 'SIZE=5000': '5000',
                'LIMITS=MAILMAX=5 RCPTMAX=7 RCPTDOMAINMAX=1': 'MAILMAX=5 RCPTMAX=7 RCPTDOMAINMAX=1'}
        for text, value in told.items():
            session = self.session('--extension', text)
            self.assertEqual(self.hello(session).get(text.partition('=')[0]), value, text)
            self.end(session)
        for options in list(told), ['FUTURERELEASE=864000,2040-01-31T12:00:00Z', 'BURL=imap', 'DSN', 'dsn']:
            session = self.session(*(word for text in options for word in ('--extension', text)))
            listed = self.hello(session)
            self.assertEqual({text.partition('=')[0].upper() for text in options} - listed.keys(), set())
            self.assertEqual(listed.get('FUTURERELEASE', '864000 2040-01-31T12:00:00Z'), '864000 2040-01-31T12:00:00Z')
            self.end(session)
        session = self.session()
        self.assertEqual(self.hello(session).keys() & {text.partition('=')[0] for text in told}, {'SIZE'})
        self.end(session)

    def test_parameters(self):
        """Envelopes: a line of parameters behind each address that has some but SIZE, BODY and SMTPUTF8"""
        session = self.session(*(word for name in ('DSN', 'BINARYMIME', 'MT-PRIORITY', 'RRVS', 'SUBMITTER',
                                                   'DELIVERBY', 'FUTURERELEASE=9999,2040-01-31T12:00:00Z')
                                 for word in ('--extension', name)))
        session.code(OPEN[0])
        for mail, shown in (('RET=HDRS SIZE=5 ENVID=a+20b', 'RET=HDRS ENVID=a+20b'), ('size=5 BODY=8BITMIME', None),
                            ('BODY=7BIT SMTPUTF8', None), ('Body=BinaryMIME', 'Body=BinaryMIME'),
                            ('MT-PRIORITY=-3 BY=120;NT HOLDFOR=60 SUBMITTER=x@y.example',
                             'MT-PRIORITY=-3 BY=120;NT HOLDFOR=60 SUBMITTER=x@y.example')):
            rcpt = 'NOTIFY=SUCCESS,delay ORCPT=rfc822;b+2Bc@x.example'
            self.assertEqual(session.codes(f'{OPEN[1]} {mail}', f'{OPEN[2]} {rcpt}', 'RCPT TO:<c@example.org>',
                                           'RCPT TO:<d@example.org> RRVS=2014-04-03T23:01:00Z', 'BDAT 0 LAST'),
                             [250] * 5, mail)
            self.assertEqual(self.spool.messages()[-1][0],
                             ['FROM:a@client.example', *[f'PARAMETERS:{shown}'] * (shown is not None),
                              'TO:b@example.org', f'PARAMETERS:{rcpt}', 'TO:c@example.org', 'TO:d@example.org',
                              'PARAMETERS:RRVS=2014-04-03T23:01:00Z'])
        self.assertEqual(session.code(OPEN[1] + ' HOLDFOR=10000'), 501)
        self.end(session)

    def test_binarymime(self):
        """--extension BINARYMIME: every octet as it was"""
        session = self.session('--extension', 'BINARYMIME')
        octets = bytes(range(256)) * 3 + b'\r\n.\r\n\n\r'
        self.assertEqual(session.codes(OPEN[0], OPEN[1] + ' BODY=BINARYMIME', OPEN[2],
                                       b'BDAT %d LAST\r\n' % len(octets) + octets, 'NOOP'), [250] * 5)
        self.assertEqual(self.spool.messages()[0][1], octets)
        self.end(session)

    def test_limits(self):
        """--extension LIMITS: MAILs, recipients and their domains over the limits: 452"""
        session = self.session('--extension', 'LIMITS=MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=2', '--domain', 'b.example',
                               '--domain', 'c.example', '--spool', self.spool.path)
        self.assertEqual(session.codes(*OPEN, 'RCPT TO:<x@b.example>', 'RCPT TO:<y@c.example>', 'RCPT TO:<y@B.EXAMPLE>',
                                       'RCPT TO:<z@b.example>', 'RSET', OPEN[1], 'RCPT TO:<x@c.example>',
                                       'RCPT TO:<Postmaster>', 'DATA', '.', OPEN[1]),
                         [250, 250, 250, 250, 452, 250, 452, 250, 250, 452, 250, 354, 250, 452])
        self.assertEqual(self.spool.messages()[0][0][1:], ['TO:Postmaster'])
        self.end(session)

    def test_other_verbs(self):
        """ETRN for its own domains, ATRN and TURN have no mail, BURL fetches nothing"""
        session = self.session('--extension', 'ETRN', '--extension', 'ATRN', '--auth', 'u:p', '--verbs', 'turn')
        self.assertEqual(session.codes(OPEN[0], 'ETRN example.org', 'ETRN @EXAMPLE.ORG', 'ETRN other.example',
                                       'ETRN #example.org', 'ATRN', 'AUTH PLAIN AHUAcA==', 'ATRN', 'ATRN example.org',
                                       'TURN'), [250, 250, 250, 458, 458, 530, 235, 453, 453, 502])
        self.end(session)
        session = self.session('--extension', 'BURL=imap')
        reply = [session.code(line) for line in OPEN] and session.command('BURL imap://x.example/;UID=1 LAST')
        self.assertEqual([(code, text[:6]) for code, text in reply], [(554, '5.6.6 ')])
        self.end(session)
        session = self.session()
        self.assertEqual(session.codes(OPEN[0], 'ETRN example.org', 'ATRN', *OPEN[1:], 'BURL imap://x/;UID=1 LAST'),
                         [250, 502, 502, 250, 250, 502])
        self.end(session)

    def test_proxy(self):
        """--extension XCLIENT, XFORWARD: accepted and shown; XCLIENT begins anew; 502 without"""
        session = self.session('--extension', 'XCLIENT', '--extension', 'XFORWARD=NAME ADDR', '--trace')
        self.assertEqual(session.codes(OPEN[0], 'XFORWARD NAME=a.example ADDR=192.0.2.1', 'XFORWARD HELO=a.example',
                                       'XCLIENT NAME=b.example ADDR=192.0.2.2 LOGIN=[UNAVAILABLE]', OPEN[1], *OPEN[:2]),
                         [250, 250, 501, 220, 503, 250, 250])
        _, errors, _ = session.end()
        self.assertRegex(errors, r'(?m)^ +XFORWARD of NAME=a\.example ADDR=192\.0\.2\.1$')
        self.assertRegex(errors, r'(?m)^ +XCLIENT of NAME=b\.example ADDR=192\.0\.2\.2 LOGIN=\[UNAVAILABLE\]$')
        session = self.session()
        self.assertEqual(session.codes(OPEN[0], 'XFORWARD NAME=a.example', 'XCLIENT NAME=b.example'), [250, 502, 502])
        self.end(session)

    def test_trace_secrets(self):
        """--trace: nothing of AUTH, whatever becomes of it, nor of a URL"""
        session = self.session('--trace', '--auth', 'user:secret', '--extension', 'BURL')
        session.codes(OPEN[0], 'AUTH FOO c2VjcmV0', 'AUTH LOGIN c2VjcmV0', 'd29yZHM=', 'AUTH LOGIN', 'c2VjcmV0',
                      'd29yZHM=', 'AUTH PLAIN', 'c2VjcmV0', 'AUTH PLAIN AHVzZXIAc2VjcmV0', *OPEN[1:],
                      'BURL imap://x.example/;URLAUTH=c2VjcmV0 LAST')
        _, errors, status = session.end()
        self.assertEqual(status, 0)
        for secret in 'c2VjcmV0', 'AHVzZXIAc2VjcmV0', 'd29yZHM=', 'secret', 'words':
            self.assertNotIn(secret, errors)
        self.assertRegex(errors, r'(?m)^C: AUTH \(not shown\)$')
        self.assertRegex(errors, r'(?m)^ +AUTH by PLAIN$')

    def test_trace(self):
        """--trace: the dialogue and the events; the peer's octets escaped; no AUTH"""
        session = self.session('--trace')
        session.codes(*OPEN, 'DATA')
        session.codes(b'content\r\n.\r\n', 'AUTH PLAIN AHVzZXIAc2VjcmV0', 'c2VjcmV0', b'  auth PLAIN c2VjcmV0\r\n',
                      'NOOP x', b'NO\x1b[31m\xffOP\r\n', b'\\\x07\r\n', 'QUIT')
        rest, errors, status = session.end()
        self.assertEqual((rest, status), (b'', 0))
        for line in ('S: 220 mail.example.org', 'C: EHLO client.example', 'S: 250-mail.example.org',
                     'C: MAIL FROM:<a@client.example>', 'C: DATA', 'S: 354 ', 'C: NOOP x', 'C: QUIT', 'S: 221 '):
            self.assertRegex(errors, '(?m)^' + re.escape(line))
        for name in 'CONNECT', 'HELLO', 'MAIL', 'RCPT', 'DATA', 'BODY', 'MESSAGE', 'END', 'VIOLATION':
            self.assertRegex(errors, f'(?m)^ +{name}\\b')
        self.assertRegex(errors, r'(?m)^ +stored as ')
        self.assertNotIn('c2VjcmV0', errors)
        self.assertNotIn('AHVzZXIAc2VjcmV0', errors)
        self.assertIn('\\x1B[31m\\xFF', errors)
        self.assertIn('\\\\\\x07', errors)
        self.assertRegex(errors, r'\A[\n -~]*\Z')

    def test_silent(self):
        """Without --trace nothing is said on standard error"""
        session = self.session()
        session.codes('BOGUS', *OPEN, b'NO\x00OP\r\n', 'DATA', '.', 'QUIT')
        self.end(session)

    def test_help(self):
        """--help: on standard output, exit 0"""
        done = subprocess.run([PROGRAM, '--help'], capture_output=True, check=True)
        for option in ('hostname', 'domain', 'refuse', 'spool', 'lmtp', 'max-size', 'max-recipients', 'max-errors',
                       'smtputf8', 'chunking', 'auth', 'auth-requires-tls', 'starttls-in-clear', 'verbs', 'trace'):
            self.assertIn(f'--{option} '.encode(), done.stdout)
        self.assertEqual(done.stderr, b'')

    def test_bad_usage(self):
        """Bad usage: 64, one line on standard error, nothing to the peer"""
        for options in (['--bogus'], ['--hostname'], ['--hostname', ''], ['--hostname', 'two words'],
                        ['--hostname', 'mail.example.org.'], ['--domain', ''], ['--domain', '-x.example'],
                        ['--refuse', 'nobody'], ['--refuse', '<a@b.example>'], ['--refuse', 'a@b.example '],
                        ['--max-size', 'x'], ['--max-size', '-1'], ['--max-size', '1k'], ['--max-size', ''],
                        ['--max-recipients', '0'], ['--max-recipients', '4294967296'], ['--max-errors', '4294967296'],
                        ['--smtputf8', 'yes'], ['--smtputf8', ''], ['--verbs', ''], ['--verbs', 'send,'],
                        ['--chunking', 'yes'], ['--auth', 'user'], ['--auth', ':word'], ['--auth', 'user:'],
                        ['--extension', ''], ['--extension', 'NONE'], ['--extension', 'AUTH'], ['--extension', 'DSN='],
                        ['--extension', 'STARTTLS'], ['--extension', 'AUTH=PLAIN'], ['--extension', 'DSN=x'],
                        ['--extension', 'FUTURERELEASE'], ['--extension', 'FUTURERELEASE=5'],
                        ['--extension', 'FUTURERELEASE=0,2040-01-31T12:00:00Z'], ['--extension', 'DELIVERBY=x'],
                        ['--extension', 'LIMITS='], ['--extension', 'LIMITS=MAILMAX'],
                        ['--extension', 'LIMITS=MAILMAX=1000000'], ['--extension', 'LIMITS=MAILMAX=1 '],
                        ['--extension', 'MT-PRIORITY=x y'], ['--extension', 'NO-SOLICITING=x y'],
                        ['--extension', 'XCLIENT=NAME,ADDR'], ['--extension', 'BURL', '--extension', 'ETRN'],
                        ['--extension', 'CHECKPOINT', '--lmtp'], ['--extension', 'BINARYMIME', '--chunking', 'off'],
                        ['--verbs', 'vrfy'], ['--verbs', 'sen'], ['--lmtp=yes'], ['extra'], ['-x'],
                        ['--spool', '/nonexistent/spool'], ['--spool', '/dev/null']):
            done = subprocess.run([PROGRAM, *options], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (64, b''), options)
            self.assertRegex(done.stderr, rb'\A[^\n]+\n\Z', options)

    # ---- ends and failures ----

    def test_eof(self):
        """The peer goes at every octet of a session: nothing unfinished is stored, exit 0"""
        whole = ('\r\n'.join((*OPEN, 'DATA', '..x', '.', 'QUIT')) + '\r\n').encode()
        stored = whole.index(b'\r\n.\r\n') + 5
        for cut in range(len(whole) + 1):
            done = subprocess.run([PROGRAM, '--spool', self.spool.path, *HOSTS], input=whole[:cut], capture_output=True,
                                  check=True)
            self.assertEqual(done.stderr, b'')
            self.assertEqual(len(self.spool.messages()), 1 if cut >= stored else 0, whole[:cut])
            for name in self.spool.files():
                os.unlink(os.path.join(self.spool.path, name))

    def test_gone(self):
        """The peer stops reading and goes: no SIGPIPE, nothing left behind, exit 0"""
        session = self.session()
        session.codes(*OPEN, 'DATA')
        session.send(b'content\r\n')
        session.output.close()
        session.process.stdout.close()
        session.send(b'.\r\nNOOP\r\n')
        session.process.stdin.close()
        self.assertEqual(session.process.wait(), 0)
        self.assertEqual(session.process.stderr.read(), b'')
        session.process.stderr.close()
        session.alarm.cancel()
        self.assertEqual(len(self.spool.messages()), 1)

    def test_after_quit(self):
        """Nothing behind QUIT is run, and the process does not wait for the end of its input"""
        session = self.session()
        session.send(b'QUIT\r\nNOOP\r\n')
        self.assertEqual(session.reply()[0][0], 221)
        self.assertEqual(session.reply(), [])
        self.assertEqual(session.process.wait(10), 0)
        self.end(session)

    def test_stop(self):
        """SIGTERM: 421, and what was not finished is removed (S-SESS-11)"""
        session = self.session()
        session.codes(*OPEN, 'DATA')
        session.send(b'content\r\n')
        while not self.spool.files():
            time.sleep(0.01)
        session.process.send_signal(signal.SIGTERM)
        self.assertEqual(session.reply()[0][0], 421)
        self.end(session)
        self.assertEqual(self.spool.files(), [])

    def test_disk_full(self):
        """No room for the content: 451 at its end, a line on standard error, nothing kept (S-DATA-12)"""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        for options in (), ('--lmtp',):
            session = self.session(*options, preexec_fn=limit)
            hello = 'LHLO client.example' if options else OPEN[0]
            session.codes(hello, *OPEN[1:], 'RCPT TO:<c@example.org>', 'DATA')
            session.send((b'x' * 998 + b'\r\n') * 1000)
            self.assertEqual(session.code('.'), 451)
            if options:
                self.assertEqual(session.reply()[0][0], 451)
            self.assertEqual(self.spool.files(), [])
            self.assertEqual(session.codes(*OPEN[1:], 'DATA', '.'), [250, 250, 354, 250])
            _, errors, status = session.end()
            self.assertEqual((errors.count('\n'), status), (1, 0))
            self.assertIn('File too large', errors)
            for name in self.spool.files():
                os.unlink(os.path.join(self.spool.path, name))

    def test_spool_gone(self):
        """The spool is removed: 451 at DATA, a line on standard error, the session goes on"""
        path = tempfile.mkdtemp()
        session = Session('--spool', path, *HOSTS)
        shutil.rmtree(path)
        self.assertEqual(session.codes(*OPEN, 'DATA', 'RSET', 'QUIT'), [250, 250, 250, 451, 250, 221])
        _, errors, status = session.end()
        self.assertEqual((errors, status), (f'stdio-server: {path}: No such file or directory\n', 0))

    def test_spool_gone_later(self):
        """The spool is removed while content comes: 451 at its end, a line on standard error"""
        path = tempfile.mkdtemp()
        session = Session('--spool', path, *HOSTS)
        session.codes(*OPEN, 'DATA')
        shutil.rmtree(path)
        self.assertEqual(session.codes('.', 'QUIT'), [451, 221])
        _, errors, status = session.end()
        self.assertEqual((errors, status), (f'stdio-server: {path}: No such file or directory\n', 0))

    @native('the leak detector does not work under strace')
    def test_on_the_disk(self):
        """Before the 250: both files are synced, then renamed, .eml first, then the directory (S-DATA-11)"""
        log = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), 'calls')
        session = self.session(under=('strace', '-o', log, '-e', 'trace=openat,fsync,rename,renameat,renameat2,write'))
        session.codes(*OPEN, 'DATA')
        session.codes(b'content\r\n.\r\n', 'QUIT')
        self.end(session)
        with open(log) as file:
            calls = file.read()
        pattern = (r'openat\([^\n]*\.tmp"[^\n]* = (?P<eml>\d+)\n.*openat\([^\n]*\.tmp"[^\n]* = (?P<env>\d+)\n'
                   r'(?=.*fsync\((?P=env)\) += 0.*rename)(?=.*fsync\((?P=eml)\) += 0.*rename)'
                   r'.*rename[^\n]*\.eml"\) += 0.*rename[^\n]*\.env"\) += 0.*fsync\(\d+\) += 0\nwrite\(1, "250 ')
        self.assertRegex(calls, re.compile(pattern, re.DOTALL))

    @native('libfaketime waits for itself when a program with sanitizers starts')
    def test_timeout(self):
        """A silent peer: 421 after five minutes (H-TIME-08), on a clock that runs 100 times as fast"""
        session = self.session(under=('faketime', '-f', '+0 x100'))
        session.codes(*OPEN)
        begun = time.monotonic()
        self.assertEqual(session.reply()[0][0], 421)
        self.assertTrue(2.5 < time.monotonic() - begun < 20)
        self.end(session)

    @native('libfaketime waits for itself when a program with sanitizers starts')
    def test_not_reading(self):
        """A peer that sends on and on and reads no reply: thrown out after five minutes and ten seconds, so fast"""
        session = self.session(under=('faketime', '-f', '+0 x100'))
        with self.assertRaises(BrokenPipeError):
            session.send(b'NOOP\r\n' * 200000)
        rest, errors, status = session.end()
        self.assertLess(len(rest), 100000)
        self.assertEqual((errors, status), ('', 0))

    def test_last_reply(self):
        """Octets behind QUIT do not reset the connection: the 221 arrives, and then the end"""
        with Listener('--spool', self.spool.path, *HOSTS) as listener:
            with socket.create_connection(('127.0.0.1', listener.port)) as peer:
                peer.sendall(b'QUIT\r\n' + b'NOOP\r\n' * 100000)
                peer.shutdown(socket.SHUT_WR)
                octets = b''
                while piece := peer.recv(4096):
                    octets += piece
        self.assertRegex(octets, rb'\A220 [^\n]*\n221 [^\n]*\n\Z')

    @native('valgrind runs no program that has sanitizers')
    def test_valgrind(self):
        """One long session under valgrind: no error, no leak"""
        session = Session('--spool', self.spool.path, *HOSTS, '--refuse', 'x@example.org', '--trace',
                          under=('valgrind', '-q', '--error-exitcode=99', '--leak-check=full',
                                 '--show-leak-kinds=all'))
        session.codes(*OPEN, 'RCPT TO:<x@example.org>', 'DATA')
        session.codes(b'..\r\n' * 1000 + b'x' * 100000 + b'\r\n.\r\n', *OPEN[1:], 'RSET', 'HELP', 'VRFY b',
                      b'\x00\xff\r\n', b'x' * 100000 + b'\r\n', *OPEN[1:], 'DATA')
        session.send(b'unfinished')
        rest, errors, status = session.end()
        self.assertEqual((rest, status), (b'', 0), errors)
        self.assertEqual(len(self.spool.messages()), 1)
