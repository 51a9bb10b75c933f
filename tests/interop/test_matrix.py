"""test_matrix.py: what other tests leave out of the matrix (see matrix.py): clients of the world to maild and, through
proxy, to servers of our own; proxy and send to servers of the world. Octets and envelopes are compared, and a Tap sees
that the mode was the one that was meant.
"""

import contextlib
import functools
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import threading
import unittest

import test_send_tls
import test_tls
from harness import PATIENCE, Port
from maild import Maild, wait_for
from matrix import BEHIND_PROXY, FROM_SEND, TO_MAILD, TO_PROXY, cells, impossible
from proxy import Proxy
from receivers import HERE, Aiosmtpd, OpenSMTPD, SmtpServer, SmtpSink
from receivers import Exim as EximReceiver
from receivers import Postfix as PostfixReceiver
from receivers import Sendmail as SendmailReceiver
from test_extensions import DSN, FROM, TO, OpenSMTPDRelay, SendmailRelay, StdioServer, parameters
from test_maild_login import hash_password
from test_maild_senders import Exim, Postfix
from test_send_auth import WithSasl
from test_send_receivers import send
from test_senders import CONTENTS, ENVELOPE, RECIPIENT, SENDER, File, compare, msmtp, run, smtp_source
from test_tls import PASSWORD, USER, TlsServer, client_context

UTF8_SENDER, UTF8_RECIPIENT = 'δοκιμή@παράδειγμα.example', 'jürgen@example.org'
SEEN = {'8BITMIME': rb'MAIL FROM:[^\n]* BODY=8BITMIME', 'SMTPUTF8': rb'MAIL FROM:[^\n]* SMTPUTF8', 'LMTP': rb'LHLO ',
        'CHUNKING': rb'BDAT \d', 'DSN': rb'RCPT TO:[^\n]* NOTIFY=FAILURE', 'plain': rb'EHLO '}
TITLES = {'8BITMIME': '8-bit', 'SMTPUTF8': 'UTF-8 header', 'plain': 'dots', 'DSN': 'ordinary', 'CHUNKING': '5 MB',
          'LMTP': 'dots', 'STARTTLS': '5 MB', 'TLS': '5 MB', 'AUTH': 'dots'}
UNDER_TLS = {'STARTTLS', 'TLS', 'AUTH'}


def setUpModule():
    test_send_tls.setUpModule()


def tearDownModule():
    test_send_tls.tearDownModule()


def content_of(mode):
    """With a name of its own, for servers that pass it on in an order of theirs."""
    return CONTENTS[TITLES[mode]].replace(b'<1@client.example>', f'<{mode}@client.example>'.encode())


def envelope_of(mode):
    return (UTF8_SENDER, UTF8_RECIPIENT) if mode == 'SMTPUTF8' else (SENDER, RECIPIENT)


def order(message):
    return message[-1][message[-1].index(b'Message-ID:'):][:40]


class Tap(Port):
    """A port that leads to another. `heard`: what clients have said."""

    def __init__(self, port):
        self.to, self.connections = port, []

    @property
    def heard(self):
        return b''.join(bytes(octets) for octets in self.connections)

    def connected(self, near):
        far = socket.create_connection(('127.0.0.1', self.to))
        self.connections.append(bytearray())  # of its own for each: they come at the same time
        for pair in (near, far, self.connections[-1]), (far, near, bytearray()):
            threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source, drain, heard):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                heard += octets
                drain.sendall(octets)
        with contextlib.suppress(OSError):
            drain.shutdown(socket.SHUT_WR)

    def check(self, test, modes):
        """Was it all of these?"""
        hidden = UNDER_TLS & set(modes)
        test.assertEqual(b'MAIL FROM:' in self.heard.upper(), not hidden, self.heard[:2000])
        if hidden:
            begin = self.heard if 'TLS' in modes else self.heard.partition(b'STARTTLS\r\n')[2]
            test.assertEqual(begin[:2], b'\x16\x03', self.heard[:200])  # a handshake
        else:
            for mode in modes:
                test.assertRegex(self.heard.upper(), SEEN[mode])


# ---- where clients go ----

class ToMaild:
    """For one mode, or several that go together. `count`: of messages; `messages`: [(sender, recipient, content)]."""
    TABLE = TO_MAILD
    END = b'\n'

    def __init__(self, modes):
        self.modes, self.tls = modes, UNDER_TLS & set(modes)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            words = ('--tls-cert', test_tls.CERTIFICATE, '--tls-key', test_tls.KEY) if self.tls else ()
            listen = '--smtps' if 'TLS' in self.modes else '--lmtp' if 'LMTP' in self.modes else '--listen'
            if 'AUTH' in self.modes:
                file = stack.enter_context(tempfile.NamedTemporaryFile('w'))
                file.write(hash_password(USER, PASSWORD))
                file.flush()
                words, listen = (*words, '--passwords', file.name), '--submission'
            self.maild = stack.enter_context(Maild(*words, listen=(listen, '127.0.0.1:0')))
            self.tap = stack.enter_context(Tap(*self.maild.ports.values()))
            self.stack = stack.pop_all()
        self.port = self.tap.port
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def log(self):
        return self.maild.log()

    def count(self):
        return len(self.maild.files())

    def messages(self):
        return self.maild.messages()

    def check(self, test):
        self.tap.check(test, self.modes)
        accepted = [line for line in self.log().splitlines() if line.startswith('maild: accepted ')]
        for line in accepted:
            test.assertEqual((' tls=TLS' in line, f' user={USER} ' in line),
                             (bool(self.tls), 'AUTH' in self.modes), line)


class ToProxy(ToMaild):
    """And so to stdio-server; where there is a login, to tls-server, under TLS on both sides."""
    TABLE = TO_PROXY
    END = b'\r\n'

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            own = ('--tls-cert', test_tls.CERTIFICATE, '--tls-key', test_tls.KEY) if self.tls else ()
            listen = '--tls-listen' if 'TLS' in self.modes else '--listen'
            if 'AUTH' in self.modes:
                self.server = stack.enter_context(TlsServer())
                where = f'localhost:{self.server.port}'
                words = '--next-tls', 'require', '--next-cafile', test_tls.CERTIFICATE
            else:
                words = ['--lmtp'] * ('LMTP' in self.modes)
                dsn = ('--extension', 'DSN') if 'DSN' in self.modes else ()
                self.server = stack.enter_context(StdioServer(*dsn, *words))
                where = self.server.port
            self.proxy = stack.enter_context(Proxy(where, *own, *words, listen=(listen, '127.0.0.1:0')))
            self.tap = stack.enter_context(Tap(self.proxy.port))
            self.stack = stack.pop_all()
        self.port = self.tap.port
        return self

    def log(self):
        return self.proxy.log() + self.server.said()

    def count(self):
        return int(self.server.last() is not None) if 'AUTH' in self.modes else self.server.count()

    def messages(self):
        if 'AUTH' in self.modes:
            octets, by = self.server.last()
            assert by == 'ESMTPSA', by
            return [(SENDER, RECIPIENT, octets)]  # the file has no envelope
        found = []
        for envelope, octets in self.server.spool.messages():
            sender, recipient = (line.partition(':')[2] for line in envelope if not line.startswith('PARAMETERS'))
            found.append((sender, recipient, octets))
        return found

    def check(self, test):
        self.tap.check(test, self.modes)
        if 'DSN' in self.modes:
            test.assertRegex(self.server.said(), r'C: RCPT TO:[^\n]* NOTIFY=FAILURE')


# ---- clients ----

def by_curl(port, mode):
    sender, recipient = envelope_of(mode)
    words = []
    if mode in UNDER_TLS:
        words += ['--ssl-reqd', '--cacert', test_tls.CERTIFICATE]
    if mode == 'AUTH':
        words += ['--user', f'{USER}:{PASSWORD}']
    with File(content_of(mode), b'\r\n') as file:
        run('curl', '-sS', *words, '--mail-from', sender, '--mail-rcpt', recipient, '--upload-file', file.name,
            f'{"smtps" if mode == "TLS" else "smtp"}://localhost:{port}/client.example')


def by_swaks(port, mode):
    sender, recipient = envelope_of(mode)
    words = []
    if mode in UNDER_TLS:
        words += ['--tls-on-connect' if mode == 'TLS' else '--tls', '--tls-verify', '--tls-ca-path',
                  test_tls.CERTIFICATE]
    if mode == 'AUTH':
        words += ['--auth', 'PLAIN', '--auth-user', USER, '--auth-password', PASSWORD]
    if mode == 'LMTP':
        words += ['--protocol', 'LMTP']
    with File(content_of(mode)[:-2]) as file:  # it adds the last line end by itself
        run('swaks', '--server', 'localhost', '--port', str(port), '--ehlo', 'client.example', '--from', sender,
            '--to', recipient, '--data', '@' + file.name, '--suppress-data', *words)


def by_msmtp(port, mode):
    words = []
    if mode in UNDER_TLS:
        words += ['--host=localhost', '--tls=on', f'--tls-trust-file={test_tls.CERTIFICATE}',
                  f'--tls-starttls={"off" if mode == "TLS" else "on"}']
    if mode == 'AUTH':
        words += ['--auth=on', f'--user={USER}', f'--passwordeval=echo "{PASSWORD}"']
    if mode == 'LMTP':
        words += ['--protocol=lmtp']
    if mode == 'DSN':
        words += ['--dsn-notify=failure', '--dsn-return=headers']
    msmtp(port, content_of(mode), *words)


def by_smtplib(port, mode, host='localhost', titles=None):
    context = {'timeout': PATIENCE, 'local_hostname': 'client.example'}
    if mode == 'TLS':
        client = smtplib.SMTP_SSL(host, port, context=client_context(), **context)
    elif mode == 'LMTP':
        client = smtplib.LMTP(host, port, local_hostname='client.example')
    else:
        client = smtplib.SMTP(host, port, **context)
    with client:
        if mode in ('STARTTLS', 'AUTH'):
            client.starttls(context=client_context())
        if mode == 'AUTH':
            client.login(USER, PASSWORD)
        for title in titles or (mode,):
            words = {'8BITMIME': ['BODY=8BITMIME'], 'SMTPUTF8': ['BODY=8BITMIME', 'SMTPUTF8'],
                     'DSN': ['RET=HDRS']}.get(title, [])
            sender, recipient = envelope_of(title)
            client.sendmail(sender, [recipient], content_of(title), words, ['NOTIFY=FAILURE'] * (title == 'DSN'))


def by_smtp_source(port, mode):
    smtp_source(port, content_of(mode), *['-L'] * (mode == 'LMTP'))


def by_nodemailer(port, mode):
    with File(content_of(mode), b'\r\n') as file:
        run('node', f'{HERE}/nodemailer_sender.js', str(port), mode, *envelope_of(mode), file.name,
            test_tls.CERTIFICATE, USER, PASSWORD)


PROGRAMS = {'nodemailer': by_nodemailer, 'curl': by_curl, 'swaks': by_swaks, 'msmtp': by_msmtp, 'smtplib': by_smtplib,
            'smtp-source': by_smtp_source}


class Clients(unittest.TestCase):
    """Filled below: one test for each client, program and mode that no other test shows."""

    def deliver(self, to, client, mode):
        with to([mode]) as target:
            client(target.port, mode)
            [(sender, recipient, octets)] = target.messages()
            target.check(self)
            if client in (by_curl, by_nodemailer):  # they write domains in ASCII
                sender = sender.replace('xn--hxajbheg2az3al', 'παράδειγμα')
            self.assertEqual((sender, recipient), envelope_of(mode))
            more = b'\r\n' if client is by_smtp_source else b''  # an empty line before the last dot
            compare(self, octets, (content_of(mode) + more).replace(b'\r\n', target.END))

    def relay(self, to, make, modes):
        """A relay is given a message for each of the modes, by smtplib, and adds a Received of its own."""
        together = set(modes) & {*UNDER_TLS, 'LMTP'}
        titles = sorted(together)[:1] or modes
        with to(modes) as target, make(target.port, modes) as relay:
            by_smtplib(relay.port, None, '127.0.0.1', titles)
            wait_for(lambda: target.count() == len(titles), 30, lambda: relay.log() + target.log())
            target.check(self)
            found = []
            for sender, recipient, octets in target.messages():
                self.assertTrue(octets.startswith(b'Received: '), octets[:200])
                found.append((sender, recipient, octets[octets.index(b'\nDate: ') + 1:]))
            expected = [(*envelope_of(title), content_of(title).replace(b'\r\n', target.END)) for title in titles]
            for one, other in zip(sorted(found, key=order), sorted(expected, key=order), strict=True):
                self.assertEqual(one[:2], other[:2])
                compare(self, one[2], other[2])


def postfix(port, modes):
    more = {'smtp_tls_CAfile': test_tls.CERTIFICATE}
    if UNDER_TLS & set(modes):
        more['smtp_tls_security_level'] = 'verify'
    if 'TLS' in modes:
        more['smtp_tls_wrappermode'] = 'yes'
    if 'AUTH' in modes:
        more |= {'smtp_sasl_auth_enable': 'yes', 'smtp_sasl_password_maps': f'static:{USER}:{PASSWORD}',
                 'smtp_sasl_tls_security_options': 'noanonymous'}
    if 'LMTP' in modes:
        return Postfix(f'lmtp:inet:127.0.0.1:{port}', **more)
    return Postfix(f'smtp:[localhost]:{port}', **more)


def exim(port, modes):
    lines, words = [], ''
    if UNDER_TLS & set(modes):
        lines += ['hosts_require_tls = *', f'tls_verify_certificates = {test_tls.CERTIFICATE}', 'tls_verify_hosts = *',
                  'tls_verify_cert_hostnames =']
    if 'TLS' in modes or 'LMTP' in modes:
        lines += ['protocol = smtps' if 'TLS' in modes else 'protocol = lmtp']
    if 'AUTH' in modes:
        lines += ['hosts_require_auth = *']
        words = f'all:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^{USER}^{PASSWORD}\n'
    return Exim(port, transport='\n'.join(f'  {line}' for line in lines), authenticators=words,
                main='smtputf8_advertise_hosts = *\ndsn_advertise_hosts = *')


TLS_REQUIRED = '''
Stls_server
R$*	$: $&{verify}
ROK	$@ OK
R$*	$#error $@ 4.7.0 $: "403 Not trusted: " $1
'''


def sendmail_trusts():
    """Without a CACertPath it begins no TLS, on either side."""
    return [f'CACertFile={test_tls.CERTIFICATE}', 'CACertPath=DIRECTORY']


def sendmail_client(port, modes):
    options, files = [], {}
    if UNDER_TLS & set(modes):
        options += sendmail_trusts()
    if 'AUTH' in modes:
        options += ['DefaultAuthInfo=DIRECTORY/login', 'AuthMechanisms=PLAIN']
        files['login'] = f'{USER}\n{USER}\n{PASSWORD}\nlocalhost\n'
    return SendmailRelay(port, options, TLS_REQUIRED if UNDER_TLS & set(modes) else '',
                         'mXzku' if 'LMTP' in modes else 'mXaku', files=files)


class OpenSMTPDClient(OpenSMTPDRelay):
    def __init__(self, port, modes):
        super().__init__(port)
        self.modes = modes

    def configure(self, directory):
        super().configure(directory)
        name = f'{directory}/root/etc/smtpd.conf'
        with open(name) as file:
            text = file.read()
        os.makedirs(f'{directory}/root/etc/ssl/certs')
        shutil.copy(test_tls.CERTIFICATE, f'{directory}/root/etc/ssl/certs/ca-certificates.crt')
        scheme = {'TLS': 'smtps', 'STARTTLS': 'smtp+tls', 'LMTP': 'lmtp'}
        where = next((scheme[mode] for mode in scheme if mode in self.modes), 'smtp')
        if 'AUTH' in self.modes:
            text = f'table logins {{ "us" = "{USER}:{PASSWORD}" }}\n{text}'
            text = text.replace(f'smtp://127.0.0.1:{self.server}',
                                f'"{where}://us@127.0.0.1:{self.server}" auth <logins>')
        with open(name, 'w') as file:
            file.write(text.replace('relay host smtp:', f'relay host {where}:'))


RELAYS = {'Postfix': postfix, 'Exim': exim, 'sendmail': sendmail_client, 'OpenSMTPD': OpenSMTPDClient}
TOGETHER = ('plain', '8BITMIME', 'SMTPUTF8', 'CHUNKING'), ('DSN',), ('STARTTLS', 'AUTH'), ('TLS',), ('LMTP',)


def name_test(where, name, doc, test):
    test.__doc__ = doc
    setattr(where, 'test_matrix_' + re.sub(r'\W+', '_', name).lower(), test)


def add_client_tests():
    never = impossible()
    for to in ToMaild, ToProxy:
        for peer, client in PROGRAMS.items():
            modes = 'STARTTLS', 'TLS', 'AUTH', 'LMTP', '8BITMIME', 'SMTPUTF8', 'DSN'
            for mode in (*['plain'] * (peer == 'nodemailer'), *modes):
                if (to.TABLE, peer, mode) not in never:
                    @cells(to.TABLE, peer, mode)
                    def test(self, to=to, client=client, mode=mode):
                        self.deliver(to, client, mode)
                    name_test(Clients, f'{to.TABLE} {peer} {mode}', f'matrix: {peer} {to.TABLE}: {mode}', test)
        for peer, make in RELAYS.items():
            for modes in (TOGETHER[0] + TOGETHER[1], *TOGETHER[2:]):  # a relay may say DSN of an address in UTF-8
                modes = [mode for mode in modes if (to.TABLE, peer, mode) not in never]
                if not modes:
                    continue

                @cells(to.TABLE, peer, *modes)
                def test(self, to=to, make=make, modes=modes):
                    self.relay(to, make, modes)
                words = ', '.join(modes)
                name_test(Clients, f'{to.TABLE} {peer} {words}', f'matrix: {peer} {to.TABLE}: {words}', test)


add_client_tests()


# ---- servers ----

class AiosmtpdServer(Aiosmtpd):
    def __init__(self, modes):
        self.modes = modes

    def configure(self, directory):
        super().configure(directory)
        if 'LMTP' in self.modes:
            self.command += ['lmtp']
        elif UNDER_TLS & set(self.modes):
            how = ['implicit'] if 'TLS' in self.modes else [USER, PASSWORD]
            self.command += [test_tls.CERTIFICATE, test_tls.KEY, *how]


def smtp_server(modes):
    """Told what these need."""
    if not UNDER_TLS & set(modes):
        return SmtpServer(*['lmtp'] * ('LMTP' in modes))
    return SmtpServer(test_tls.CERTIFICATE, test_tls.KEY, *(['implicit'] if 'TLS' in modes else [USER, PASSWORD]))


def opensmtpd_server(port, modes):
    assert not UNDER_TLS & set(modes), modes
    return OpenSMTPDRelay(port)


def postfix_server(port, modes):
    more = {'smtpd_tls_cert_file': test_tls.CERTIFICATE, 'smtpd_tls_key_file': test_tls.KEY}
    if 'AUTH' in modes:
        more |= {'smtpd_sasl_auth_enable': 'yes', 'smtpd_tls_auth_only': 'yes',
                 'smtpd_sasl_local_domain': 'relay.example',
                 'smtpd_relay_restrictions': 'permit_sasl_authenticated, reject'}
    if UNDER_TLS & set(modes):
        more |= {'smtpd_tls_security_level': 'encrypt', 'smtpd_tls_wrappermode': 'yes' if 'TLS' in modes else 'no'}
    return (WithSasl if 'AUTH' in modes else Postfix)(f'smtp:[127.0.0.1]:{port}', **more)


class EximServer(Exim):
    acls = 'known:\n  accept authenticated = *\n'
    at_once = False

    def configure(self, directory):
        super().configure(directory)
        self.command += ['-tls-on-connect'] * self.at_once


def exim_server(port, modes):
    main = 'dsn_advertise_hosts = *'
    if UNDER_TLS & set(modes):
        main += f'\ntls_certificate = {test_tls.CERTIFICATE}\ntls_privatekey = {test_tls.KEY}'
    rules = ''
    if 'AUTH' in modes:
        main += '\nauth_advertise_hosts = *\nacl_smtp_mail = known'
        rules = ('plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  server_set_id = $auth2\n'
                 f'  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}\n')
    relay = EximServer(port, main=main, authenticators=rules, tls_hosts='*' if 'STARTTLS' in modes else '')
    relay.at_once = 'TLS' in modes
    return relay


class SendmailWithSasl(SendmailRelay):
    def configure(self, directory):
        super().configure(directory)
        os.mkdir(f'{directory}/sasl')
        with open(f'{directory}/sasl/Sendmail.conf', 'w') as file:
            file.write(f'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {directory}/sasldb\n')
        subprocess.run(['saslpasswd2', '-p', '-c', '-f', f'{directory}/sasldb', '-u', 'relay.example', USER],
                       input=PASSWORD.encode(), timeout=PATIENCE, check=True)


def sendmail_server(port, modes):
    if not UNDER_TLS & set(modes):
        return SendmailRelay(port)
    options = [*sendmail_trusts(), f'ServerCertFile={test_tls.CERTIFICATE}', 'ServerKeyFile=DIRECTORY/key']
    with open(test_tls.KEY) as file:
        files = {'key': file.read()}
    if 'AUTH' not in modes:
        return SendmailRelay(port, options, modifiers='s', files=files)
    options += ['AuthMechanisms=PLAIN', 'AuthOptions=p', 'AuthRealm=relay.example']
    return SendmailWithSasl(port, options, 'ESASL_CONF_PATH=DIRECTORY/sasl', modifiers='a', files=files)


RECEIVERS = {'Postfix': PostfixReceiver, 'Exim': EximReceiver, 'sendmail': SendmailReceiver, 'OpenSMTPD': OpenSMTPD,
             'aiosmtpd': Aiosmtpd, 'smtp-server': SmtpServer, 'smtp-sink': SmtpSink}
SERVERS = {'Postfix': postfix_server, 'Exim': exim_server, 'sendmail': sendmail_server, 'OpenSMTPD': opensmtpd_server}


class Servers(unittest.TestCase):
    """Filled below: one test for each program, server and modes that no other test shows."""

    def give(self, table, port, mode, together=()):
        """One message; the server sees what it was to see."""
        together = {mode, *together}
        with contextlib.ExitStack() as stack:
            tap = stack.enter_context(Tap(port))
            where, cafile = f'localhost:{tap.port}', ('--cafile', test_tls.CERTIFICATE)
            words = ['--bdat', 'always'] if mode == 'CHUNKING' else []
            how = ['--tls', *cafile] if 'TLS' in together else ['--starttls', 'require', *cafile]
            if table is BEHIND_PROXY:
                hop = 'implicit' if 'TLS' in together else 'require' if UNDER_TLS & together else 'off'
                behind = ['--next-tls', hop]
                behind += ['--next-cafile', test_tls.CERTIFICATE] * bool(UNDER_TLS & together)
                behind += ['--bdat'] * (mode == 'CHUNKING') + ['--lmtp'] * (mode == 'LMTP')
                behind += ['--tls-cert', test_tls.CERTIFICATE, '--tls-key', test_tls.KEY] * ('AUTH' in together)
                proxy = stack.enter_context(Proxy(where, *behind))
                where, how = f'localhost:{proxy.port}', ['--starttls', 'require', *cafile] * ('AUTH' in together)
            elif not UNDER_TLS & together:
                how = []
            if 'AUTH' in together:
                how += ['--auth-user', USER, '--auth-pass', PASSWORD]
            words += ['--smtputf8'] if mode == 'SMTPUTF8' else DSN if mode == 'DSN' else []
            sender, recipient = envelope_of(mode)
            result = send(where, [content_of(mode)], [recipient], *how, *words, sender=sender, lmtp=mode == 'LMTP')
            self.assertEqual((result.status, result.codes), (0, [250]), result)
            tap.check(self, together)

    def receive(self, table, make, modes):
        """Into mailboxes."""
        with make() as receiver:
            [place] = {receiver.where.get('ipv4') or receiver.where['lmtp']}
            for mode in modes:
                self.give(table, int(place.rpartition(':')[2]), mode, () if mode not in UNDER_TLS else modes)
                [(recipient, octets)] = receiver.take(1)
                self.assertEqual(recipient, envelope_of(mode)[1])
                compare(self, octets, receiver.stored(content_of(mode)))
            if 'DSN' in modes:
                told = sorted(re.findall('(?m)^DSN (.*)$', receiver.log()))
                self.assertEqual(told, ['ENVID=an+id', 'NOTIFY=FAILURE,DELAY', f'ORCPT=rfc822;{RECIPIENT}', 'RET=HDRS'])

    def pass_on(self, table, make, modes):
        """Through a server that passes it on to stdio-server."""
        dsn = ('--extension', 'DSN') if 'DSN' in modes else ()
        with StdioServer(*dsn) as server, make(server.port, modes) as relay:
            self.give(table, relay.port, modes[-1], modes)
            wait_for(lambda: server.count() == 1, 30, lambda: relay.log() + server.said())
            [(envelope, octets)] = server.spool.messages()
            self.assertEqual(parameters(envelope), parameters([*FROM, *TO] if dsn else ENVELOPE))
            self.assertTrue(octets.startswith(b'Received: '), octets[:200])
            compare(self, octets[octets.index(b'\r\nDate: ') + 2:], content_of(modes[-1]))


def add_server_test(table, peer, modes, try_it, make):
    @cells(table, peer, *modes)
    def test(self):
        try_it(self, table, make, modes)
    words = ', '.join(modes)
    name_test(Servers, f'{table} {peer} {words}', f'matrix: {table} {peer}: {words}', test)


def add_server_tests():
    never = impossible()
    for peer, make in RECEIVERS.items():
        modes = [mode for mode in TOGETHER[0] if (BEHIND_PROXY, peer, mode) not in never]
        add_server_test(BEHIND_PROXY, peer, modes, Servers.receive, make)
    for peer, make in SERVERS.items():
        for modes in TOGETHER[1:4]:
            if (BEHIND_PROXY, peer, modes[0]) in never:
                continue
            add_server_test(BEHIND_PROXY, peer, modes, Servers.pass_on, make)
            if peer != 'Postfix' and modes != ('DSN',):
                add_server_test(FROM_SEND, peer, modes, Servers.pass_on, make)
    for table in BEHIND_PROXY, FROM_SEND:
        for modes in TOGETHER[2:]:
            add_server_test(table, 'aiosmtpd', modes, Servers.receive, functools.partial(AiosmtpdServer, modes))
        for modes in TOGETHER[1:] if table is BEHIND_PROXY else TOGETHER[1:4]:
            add_server_test(table, 'smtp-server', modes, Servers.receive, functools.partial(smtp_server, modes))
    add_server_test(BEHIND_PROXY, 'smtp-sink', ('LMTP',), Servers.receive, functools.partial(SmtpSink, at='lmtp'))


add_server_tests()
