"""test_extensions.py: AUTH, CHUNKING, DSN and the rest with the mail programs of the world, both ways.

Clients log in to stdio-server. Postfix, Exim, sendmail and OpenSMTPD are put between send and stdio-server: what send
asks for has to come out behind them, and content has to be the same octets but for the Received that they add.
"""

import base64
import contextlib
import email.message
import os
import smtplib
import unittest

import sendmail
from harness import PATIENCE, Listener, Spool
from maild import wait_for
from matrix import FROM_SEND, cells
from receivers import OpenSMTPD, Sendmail
from test_maild_senders import Exim, Postfix
from test_send_receivers import send
from test_senders import (CONTENTS, ENVELOPE, HOSTS, RECIPIENT, SENDER, File, compare, curl, msmtp, python_smtplib, run,
                          swaks)

USER, PASSWORD = 'user@client.example', 'pass-w+rd=%'
AUTH = '--auth', 'other:secret', '--auth', f'{USER}:{PASSWORD}'


class StdioServer:
    """With a spool, a port and --trace. `said`: what it has traced so far."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.spool = stack.enter_context(Spool())
            self.listener = stack.enter_context(
                Listener('--spool', self.spool.path, *HOSTS, '--trace', *self.options))
            self.stack = stack.pop_all()
        self.port = self.listener.port
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def said(self):
        self.listener.errors.seek(0)
        return self.listener.errors.read().decode()

    def count(self):
        return sum(name.endswith('.env') for name in self.spool.files())


# ---- AUTH ----

def by_curl(port, mechanism, password):
    with File(CONTENTS['ordinary'], b'\r\n') as file:
        run('curl', '-sS', '--mail-from', SENDER, '--mail-rcpt', RECIPIENT, '--upload-file', file.name, '--user',
            f'{USER}:{password}', '--login-options', f'AUTH={mechanism}', f'smtp://127.0.0.1:{port}/client.example')


def by_msmtp(port, mechanism, password):
    msmtp(port, CONTENTS['ordinary'], f'--auth={mechanism.lower()}', f'--user={USER}',
          f'--passwordeval=echo "{password}"')


def by_swaks(port, mechanism, password):
    swaks(port, CONTENTS['ordinary'], '--auth', mechanism, '--auth-user', USER, '--auth-password', password)


def by_smtplib(port, mechanism, password, initial=True):
    with smtplib.SMTP('127.0.0.1', port, 'client.example', timeout=PATIENCE) as client:
        client.ehlo()
        client.user, client.password = USER, password
        client.auth(mechanism, getattr(client, f'auth_{mechanism.lower()}'), initial_response_ok=initial)
        client.sendmail(SENDER, [RECIPIENT], CONTENTS['ordinary'])


def by_smtplib_in_steps(port, mechanism, password):
    by_smtplib(port, mechanism, password, initial=False)


CLIENTS = {'curl': by_curl, 'msmtp': by_msmtp, 'swaks': by_swaks, 'smtplib': by_smtplib,
           'smtplib, in steps': by_smtplib_in_steps}


class Auth(unittest.TestCase):
    """Filled below: one test for each client and mechanism, with the right password and wrong ones."""

    def log_in(self, client, mechanism):
        with StdioServer(*AUTH) as server:
            client(server.port, mechanism, PASSWORD)
            self.assertEqual([envelope for envelope, _ in server.spool.messages()], [ENVELOPE])
            self.assertEqual(server.said().count(f'AUTH by {mechanism}\n'), 1)
            for wrong in 'pass-w+rd=', 'secret', PASSWORD * 5:
                with self.assertRaises((AssertionError, smtplib.SMTPAuthenticationError)):
                    client(server.port, mechanism, wrong)
            self.assertEqual(server.count(), 1)
            self.assertIn('S: 535 5.7.8 ', server.said())
            for secret in PASSWORD.encode(), f'\0{USER}\0{PASSWORD}'.encode():
                self.assertNotIn(base64.b64encode(secret).decode(), server.said())

    def relay_through_postfix(self, mechanism):
        more = {'smtp_sasl_auth_enable': 'yes', 'smtp_sasl_security_options': '',
                'smtp_sasl_mechanism_filter': mechanism.lower()}
        for password, good in (PASSWORD, True), ('wrong', False):
            with StdioServer(*AUTH) as server, Postfix(f'smtp:[127.0.0.1]:{server.port}',
                                                       smtp_sasl_password_maps=f'static:{USER}:{password}',
                                                       **more) as relay:
                python_smtplib(relay.port, CONTENTS['ordinary'])
                if good:
                    wait_for(lambda: server.count() == 1, 30, relay.log)
                else:
                    wait_for(lambda: 'SASL authentication failed' in relay.log(), 30, relay.log)
                    self.assertEqual(server.count(), 0)
                    self.assertIn('S: 535 5.7.8 ', server.said())
                self.assertIn(f'AUTH by {mechanism}\n', server.said())

    def test_auth_exim(self):
        """AUTH: Exim as the client, PLAIN and LOGIN"""
        for mechanism, words in ('PLAIN', f'^{USER}^{PASSWORD}'), ('LOGIN', f': {USER} : {PASSWORD}'):
            lines = f'all:\n  driver = plaintext\n  public_name = {mechanism}\n  client_send = {words}\n'
            with StdioServer(*AUTH) as server, Exim(server.port, transport='  hosts_require_auth = *',
                                                    authenticators=lines) as relay:
                python_smtplib(relay.port, CONTENTS['ordinary'])
                wait_for(lambda: server.count() == 1, 30, relay.log)
                self.assertIn(f'AUTH by {mechanism}\n', server.said())

    def test_auth_requires_tls(self):
        """AUTH: smtplib, swaks: see that it is not offered in clear"""
        with StdioServer(*AUTH, '--auth-requires-tls') as server:
            with self.assertRaises(smtplib.SMTPException):
                by_smtplib(server.port, 'PLAIN', PASSWORD)
            with self.assertRaises(AssertionError):
                by_swaks(server.port, 'PLAIN', PASSWORD)
            self.assertNotIn('AUTH by', server.said())


def add_auth_tests():
    for mechanism in 'PLAIN', 'LOGIN':
        for name, client in CLIENTS.items():
            def test(self, client=client, mechanism=mechanism):
                self.log_in(client, mechanism)
            test.__doc__ = f'AUTH: {name}: {mechanism}, right and wrong passwords'
            setattr(Auth, f'test_auth_{name}_{mechanism}'.replace(', ', '_').replace(' ', '_').lower(), test)

        def test(self, mechanism=mechanism):
            self.relay_through_postfix(mechanism)
        test.__doc__ = f'AUTH: Postfix as the client: {mechanism}, right and wrong passwords'
        setattr(Auth, f'test_auth_postfix_{mechanism.lower()}', test)


add_auth_tests()


# ---- relays between send and stdio-server ----

class OpenSMTPDRelay(OpenSMTPD):
    """Passes all on to a port."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def configure(self, directory):
        super().configure(directory)
        name = f'{directory}/root/etc/smtpd.conf'
        with open(name) as file:
            text = file.read()
        begin = text.index('action store')
        with open(name, 'w') as file:
            file.write(f'''{text[:begin]}
action onward relay host smtp://127.0.0.1:{self.server}
match from any for any action onward
''')


class SendmailRelay(Sendmail):
    """Passes all on to a port. `options` and `rules`: further lines, DIRECTORY in them is its own; `mailer`: the flags
    of the one that it has; `modifiers`: of the port where it listens; `files`: what is to be in its directory, which
    it takes only if nobody else can read it."""

    def __init__(self, port, options=(), rules='', mailer='mXaku', modifiers='', files=()):
        self.server, self.options, self.rules, self.mailer = port, options, rules, mailer
        self.modifiers, self.more = modifiers, dict(files)

    @property
    def where(self):
        return {'ipv4': f'127.0.0.1:{self.port}'}

    def configure(self, directory):
        self.logs = [f'{directory}/log']
        for name, text in self.more.items():
            with open(f'{directory}/{name}', 'w', opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
        listen = f'DaemonPortOptions=Addr=127.0.0.1, Port={self.port}, Name=relay'
        listen += f', Modify={self.modifiers}' if self.modifiers else ''
        options = '\n'.join((listen, *self.options)).replace('DIRECTORY', directory)
        self.command = sendmail.configure(directory, 'relay.example', options, f'''
{self.rules.replace('DIRECTORY', directory)}
Sparse=0
R$+	$#local $@ [127.0.0.1] $: $1
Mlocal, P=[IPC], F={self.mailer}, E=\\r\\n, A=TCP $h {self.server}''')
        self.command += ['-X', f'{directory}/log']


RELAYED = 'ordinary', 'dots', 'a dot at the end', 'no body', '8-bit', '5 MB'
DSN = ('--dsn-notify', 'failure,delay', '--dsn-ret', 'hdrs', '--envid', 'an+id', '--orcpt')
FROM = [f'FROM:{SENDER}', 'PARAMETERS:RET=HDRS ENVID=an+2Bid']
TO = [f'TO:{RECIPIENT}', f'PARAMETERS:NOTIFY=FAILURE,DELAY ORCPT=rfc822;{RECIPIENT}']


def parameters(lines):
    """The lines of an envelope, the parameters of each in an order of our own."""
    return [' '.join(sorted(line.replace('PARAMETERS:', 'PARAMETERS: ').split(' '))).upper() for line in lines]


class Between(unittest.TestCase):
    def relay(self, server, relay, by_bdat, dsn=True):
        """send gives it all to the relay, by BDAT if that takes it."""
        contents = [CONTENTS[name].replace(b'<1@client.example>', f'<{name}@client.example>'.encode())
                    for name in RELAYED]
        result = send(f'127.0.0.1:{relay.port}', contents, [RECIPIENT], '--bdat', 'always', *DSN * dsn)
        self.assertEqual((result.status, set(result.codes)), (0, {250}), result)
        self.assertEqual(result.said('C', 'BDAT .*LAST$'), len(contents) * by_bdat, result)
        wait_for(lambda: server.count() == len(contents), 30, lambda: relay.log() + server.said())
        arrived = []
        for envelope, octets in server.spool.messages():
            self.assertEqual(parameters(envelope), parameters([*FROM, *TO] if dsn else ENVELOPE))
            self.assertTrue(octets.startswith(b'Received: '), octets[:200])
            arrived.append(octets[octets.index(b'\r\nDate: ') + 2:])
        def order(octets):
            return octets[octets.index(b'Message-ID:'):]
        for octets, content in zip(sorted(arrived, key=order), sorted(contents, key=order)):
            compare(self, octets, content)
        return server.said()

    @cells(FROM_SEND, 'Postfix', 'DSN')
    def test_between_postfix(self):
        """send, by BDAT, to Postfix to stdio-server: octets, DSN, XFORWARD"""
        with StdioServer('--extension', 'DSN', '--extension', 'XFORWARD') as server:
            with Postfix(f'smtp:[127.0.0.1]:{server.port}', smtp_send_xforward_command='yes') as relay:
                said = self.relay(server, relay, by_bdat=True)
        self.assertRegex(said, r'(?m)^ +XFORWARD of .*\bHELO=client\.example\b')
        self.assertRegex(said, r'(?m)^ +XFORWARD of .*\bADDR=127\.0\.0\.1\b')
        self.assertNotIn('\nS: 5', said)
        self.assertNotIn('VIOLATION', said)

    def test_between_postfix_xclient(self):
        """send, for another by XCLIENT, to Postfix, which tells stdio-server of him by XFORWARD"""
        with StdioServer('--extension', 'XFORWARD') as server:
            with Postfix(f'smtp:[127.0.0.1]:{server.port}', smtp_send_xforward_command='yes',
                         smtpd_authorized_xclient_hosts='127.0.0.1', mynetworks='127.0.0.1 192.0.2.9') as relay:
                where = f'127.0.0.1:{relay.port}'
                result = send(where, [CONTENTS['ordinary']], [RECIPIENT], '--xclient',
                              'NAME=other.example ADDR=192.0.2.9')
                self.assertEqual((result.status, result.codes), (0, [250]), result)
                self.assertEqual([result.said('C', 'EHLO'), result.said('S', '220')], [2, 2], result)
                wait_for(lambda: server.count() == 1, 30, lambda: relay.log() + server.said())
                self.assertRegex(server.said(), r'(?m)^ +XFORWARD of .*\bADDR=192\.0\.2\.9\b')
                result = send(where, [CONTENTS['ordinary']], [RECIPIENT], '--xclient', 'ADDR=198.51.100.1')
                self.assertEqual((result.status, result.codes), (1, [554]), result)  # no relaying for him
            with Postfix(f'smtp:[127.0.0.1]:{server.port}') as relay:
                result = send(f'127.0.0.1:{relay.port}', [CONTENTS['ordinary']], [RECIPIENT], '--xclient', 'ADDR=192.0.2.9')
                self.assertEqual((result.status, result.outcomes[0][:2]), (1, (554, '5.3.3')), result)
                self.assertEqual(result.said('C', 'XCLIENT'), 0, result)

    def test_between_postfix_lmtp(self):
        """send, by BDAT, to Postfix to stdio-server in LMTP: octets, DSN"""
        with StdioServer('--extension', 'DSN', '--lmtp') as server:
            with Postfix(f'lmtp:inet:127.0.0.1:{server.port}') as relay:
                said = self.relay(server, relay, by_bdat=True)
        self.assertNotIn('VIOLATION', said)

    @cells(FROM_SEND, 'Exim', 'DSN')
    def test_between_exim(self):
        """send to Exim to stdio-server, by BDAT both times: octets, DSN"""
        with StdioServer('--extension', 'DSN') as server:
            with Exim(server.port, main='dsn_advertise_hosts = *') as relay:
                said = self.relay(server, relay, by_bdat=True)
        self.assertEqual(said.count('\nC: DATA\n'), 0)
        self.assertGreaterEqual(said.count(' LAST\n'), len(RELAYED))
        self.assertNotIn('VIOLATION', said)

    def test_between_exim_data(self):
        """send to Exim to stdio-server, by DATA where it has no CHUNKING"""
        with StdioServer('--chunking', 'off') as server, Exim(server.port) as relay:
            said = self.relay(server, relay, by_bdat=True, dsn=False)
        self.assertEqual(said.count('\nC: DATA\n'), len(RELAYED))

    @cells(FROM_SEND, 'sendmail', 'DSN')
    def test_between_sendmail(self):
        """send to sendmail to stdio-server: octets, DSN"""
        with StdioServer('--extension', 'DSN') as server, SendmailRelay(server.port) as relay:
            said = self.relay(server, relay, by_bdat=False)
        self.assertNotIn('VIOLATION', said)

    @cells(FROM_SEND, 'OpenSMTPD', 'DSN')
    def test_between_opensmtpd(self):
        """send to OpenSMTPD to stdio-server: octets, DSN"""
        with StdioServer('--extension', 'DSN') as server, OpenSMTPDRelay(server.port) as relay:
            said = self.relay(server, relay, by_bdat=False)
        self.assertNotIn('VIOLATION', said)


class Ours(unittest.TestCase):
    """send to stdio-server, for what no other server at hand has."""

    def deliver(self, contents, recipients, options, *extensions, end=b'\n'):
        with StdioServer(*(word for name in extensions for word in ('--extension', name)), '--domain',
                         'b.example') as server:
            result = send(f'127.0.0.1:{server.port}', contents, recipients, *options, end=end)
            return result, server.spool.messages()

    def test_ours_binarymime(self):
        """send to stdio-server: BINARYMIME: every octet; 554 without it, or with --bdat never"""
        octets = (b'Content-Type: application/octet-stream\r\ncontent-transfer-encoding:\r\n Binary\r\n\r\n' +
                  bytes(range(256)) * 1000 + b'\r\n.\r\n\r\r\n\n')
        result, messages = self.deliver([octets, CONTENTS['dots']], [RECIPIENT], (), 'BINARYMIME', end=b'\r\n')
        self.assertEqual((result.status, result.said('C', 'MAIL.* BODY=BINARYMIME')), (0, 1), result)
        for (_, stored), sent in zip(messages, (octets, CONTENTS['dots']), strict=True):
            compare(self, stored, sent)
        for options, extensions in ((), ()), (('--bdat', 'never'), ('BINARYMIME',)):
            result, messages = self.deliver([octets], [RECIPIENT], options, *extensions, end=b'\r\n')
            self.assertEqual((result.status, result.outcomes[0][:2], messages), (1, (554, '5.3.3'), []), result)

    def test_ours_parameters(self):
        """send to stdio-server: all parameters; 554 where the extension is not offered"""
        every = {('--deliver-by', '3000,rt'): ('BY=3000;RT', 'DELIVERBY=60'),
                 ('--hold-for', '60'): ('HOLDFOR=60', 'FUTURERELEASE=600,2040-01-31T12:00:00Z'),
                 ('--priority', '-3'): ('MT-PRIORITY=-3', 'MT-PRIORITY'),
                 ('--submitter', 'a+b@c.example'): ('SUBMITTER=a+2Bb@c.example', 'SUBMITTER'),
                 ('--dsn-ret', 'full'): ('RET=FULL', 'DSN'), ('--envid', 'a b'): ('ENVID=a+20b', 'DSN')}
        for words, (parameter, extension) in every.items():
            result, messages = self.deliver([CONTENTS['dots']], [RECIPIENT], words, extension)
            self.assertEqual(result.codes, [250], result)
            self.assertEqual(messages[0][0], [ENVELOPE[0], f'PARAMETERS:{parameter}', ENVELOPE[1]])
            result, messages = self.deliver([CONTENTS['dots']], [RECIPIENT], words)
            self.assertEqual((result.status, result.outcomes[0][:2], messages), (1, (554, '5.3.3'), []), result)
        for words, parameter in ((('--dsn-notify', 'never'), 'NOTIFY=NEVER'), (('--orcpt',), None)):
            for recipient in RECIPIENT, 'j\u00fcrgen+x@example.org', '"a b"@example.org':
                spelt = {'j': 'utf-8;j\u00fcrgen\\x{2B}x@example.org', '"': 'rfc822;"a+20b"@example.org'}
                shown = parameter or 'ORCPT=' + spelt.get(recipient[0], f'rfc822;{recipient}')
                result, messages = self.deliver([CONTENTS['dots']], [recipient], (*words, '--smtputf8'), 'DSN')
                self.assertEqual(messages[0][0], [ENVELOPE[0], f'TO:{recipient}', f'PARAMETERS:{shown}'], result)
            result, messages = self.deliver([CONTENTS['dots']], [RECIPIENT], words)
            self.assertEqual((result.status, result.outcomes[0][:2], messages), (1, (554, '5.3.3'), []), result)
        result, messages = self.deliver([CONTENTS['dots']], [RECIPIENT], ('--require-tls',), 'REQUIRETLS')
        self.assertEqual((result.status, result.outcomes[0][:2], messages), (1, (554, '5.7.30'), []), result)
        for words, extension in ((('--hold-for', '601'), 'FUTURERELEASE=600,2040-01-31T12:00:00Z'),
                                 (('--deliver-by', '59,r'), 'DELIVERBY=60')):
            result, messages = self.deliver([CONTENTS['dots']], [RECIPIENT], words, extension)
            self.assertEqual((result.status, result.outcomes[0][:2], messages), (1, (554, '5.3.3'), []), result)

    def test_ours_limits(self):
        """send to stdio-server: LIMITS: further transactions, further connections, and no 452 in any of them"""
        recipients = [f'user{number}@example.org' for number in range(5)]
        result, messages = self.deliver([CONTENTS['dots'], CONTENTS['ordinary']], recipients, (),
                                        'LIMITS=MAILMAX=2 RCPTMAX=2')
        self.assertEqual((result.status, set(result.codes)), (0, {250}), result)
        self.assertEqual([result.said(who, line) for who, line in (('S', '452'), ('S', '220'), ('C', 'QUIT'))],
                         [0, 3, 3], result)
        self.assertEqual([len(envelope) for envelope, _ in messages], [3, 3, 2] * 2)
        self.assertEqual({line[3:] for envelope, _ in messages for line in envelope[1:]}, set(recipients))

    def test_ours_swaks_xclient(self):
        """swaks: XCLIENT to stdio-server"""
        with StdioServer('--extension', 'XCLIENT') as server:
            swaks(server.port, CONTENTS['ordinary'], '--xclient-addr', '192.0.2.9', '--xclient-name', 'c.example')
            self.assertEqual(server.count(), 1)
            self.assertRegex(server.said(), r'(?m)^ +XCLIENT of .*ADDR=192\.0\.2\.9')

    def test_ours_smtplib(self):
        """smtplib: DSN parameters, BODY and SMTPUTF8 as it says them; ETRN"""
        message = email.message.EmailMessage()
        message['From'], message['To'] = SENDER, 'j\u00fcrgen@example.org'
        with StdioServer('--extension', 'DSN', '--extension', 'ETRN') as server:
            with smtplib.SMTP('127.0.0.1', server.port, 'client.example', timeout=PATIENCE) as client:
                client.send_message(message, mail_options=['RET=FULL', 'ENVID=x'], rcpt_options=['NOTIFY=NEVER'])
                self.assertEqual([client.docmd('ETRN', node)[0] for node in ('example.org', 'x.example')], [250, 458])
            self.assertEqual(server.spool.messages()[0][0],
                             [f'FROM:{SENDER}', 'PARAMETERS:RET=FULL ENVID=x', 'TO:j\u00fcrgen@example.org',
                              'PARAMETERS:NOTIFY=NEVER'])
