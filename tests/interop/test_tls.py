"""test_tls.py: the library behind real TLS, as server and as client: ../tls/tls-server and ../tls/tls-client.

Senders of the world come to tls-server by STARTTLS and by implicit TLS; tls-client goes to Postfix, Exim and Python.
What somebody in between puts behind STARTTLS, or behind its answer, in clear must never be taken for what was said
under TLS (RFC 3207 6, CVE-2011-0411).
"""

import contextlib
import glob
import os
import re
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import PATIENCE, Listener
from maild import wait_for
from test_extensions import StdioServer
from test_maild_senders import Exim, Postfix
from test_senders import CONTENTS, ENVELOPE, RECIPIENT, SENDER, File, compare, msmtp, python_smtplib, run

USER, PASSWORD = 'user', 'pass-w+rd=%'
MODES = 'starttls', 'implicit'


def setUpModule():
    """One certificate for all: of localhost, by itself."""
    global DIRECTORY, CERTIFICATE, KEY
    DIRECTORY = tempfile.TemporaryDirectory(prefix='ehlo-tls-')
    os.chmod(DIRECTORY.name, 0o755)
    CERTIFICATE, KEY = f'{DIRECTORY.name}/certificate', f'{DIRECTORY.name}/key'
    run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', KEY, '-out',
        CERTIFICATE)
    os.chmod(KEY, 0o644)  # other users' servers read it


def tearDownModule():
    DIRECTORY.cleanup()


def client_context():
    return ssl.create_default_context(cafile=CERTIFICATE)


class TlsServer(Listener):
    PROGRAM = os.environ['TLS_SERVER']
    TALKS = True

    def __init__(self, mode='starttls', *authorities):
        self.file = tempfile.NamedTemporaryFile()
        super().__init__(CERTIFICATE, KEY, self.file.name, f'{USER}:{PASSWORD}', mode, *authorities)

    def __exit__(self, *error):
        self.file.close()
        super().__exit__(*error)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def last(self):
        """The one message, and what it was sent by."""
        self.file.seek(0)
        found = re.fullmatch(rb'(?s)(.*)---sent by (\w+)---\n', self.file.read())
        return found and (found[1], found[2].decode())


# ---- the library's server ----

class Server(unittest.TestCase):
    def check(self, server, content, by='ESMTPS'):
        stored = server.last()
        self.assertIsNotNone(stored, server.said())
        compare(self, stored[0], content)
        self.assertEqual(stored[1], by)
        self.assertRegex(server.said(), r'(?m)^handshake: TLSv1\.[23]$')

    def client(self, server, mode):
        if mode == 'implicit':
            return smtplib.SMTP_SSL('localhost', server.port, 'client.example', timeout=PATIENCE,
                                    context=client_context())
        client = smtplib.SMTP('localhost', server.port, 'client.example', timeout=PATIENCE)
        client.starttls(context=client_context())
        return client

    def test_tls_smtplib(self):
        """TLS: smtplib: STARTTLS and implicit, login right and wrong, 5 MB"""
        for mode in MODES:
            for content in 'dots', '5 MB':
                with TlsServer(mode) as server:
                    with self.client(server, mode) as client:
                        client.ehlo()
                        self.assertEqual((client.has_extn('starttls'), client.esmtp_features['auth'].split()),
                                         (False, ['PLAIN', 'LOGIN']))
                        with self.assertRaises(smtplib.SMTPAuthenticationError):
                            client.login(USER, 'wrong')
                        client.login(USER, PASSWORD)
                        client.sendmail(SENDER, [RECIPIENT], CONTENTS[content])
                    self.check(server, CONTENTS[content], 'ESMTPSA')

    def test_tls_in_clear(self):
        """TLS: smtplib: AUTH is not there before STARTTLS"""
        with TlsServer() as server, smtplib.SMTP('localhost', server.port, 'client.example') as client:
            client.ehlo()
            self.assertEqual((client.has_extn('starttls'), client.has_extn('auth')), (True, False))
            self.assertGreaterEqual(client.docmd('AUTH PLAIN', 'AHVzZXIAcGFzcy13K3JkPSU=')[0], 500)
            client.starttls(context=client_context())
            client.ehlo()
            self.assertEqual(client.docmd('STARTTLS')[0] // 100, 5)
            self.assertEqual(client.docmd('AUTH PLAIN', 'AHVzZXIAcGFzcy13K3JkPSU=')[0], 235)

    def test_tls_forgets(self):
        """TLS: smtplib: the transaction and the name of before are forgotten (RFC 3207 4.2)"""
        with TlsServer() as server, smtplib.SMTP('localhost', server.port, 'client.example') as client:
            client.ehlo()
            client.starttls(context=client_context())
            self.assertEqual([client.docmd(line)[0] for line in (f'MAIL FROM:<{SENDER}>', 'EHLO client.example',
                                                                 f'RCPT TO:<{RECIPIENT}>', f'MAIL FROM:<{SENDER}>')],
                             [503, 250, 503, 250])

    def test_tls_s_client(self):
        """TLS: openssl s_client: STARTTLS and implicit, TLS 1.2 and 1.3"""
        for mode in MODES:
            for version in '-tls1_2', '-tls1_3':
                with TlsServer(mode) as server:
                    lines = ['EHLO client.example', f'MAIL FROM:<{SENDER}>', f'RCPT TO:<{RECIPIENT}>', 'DATA',
                             'by s_client', '.', 'QUIT']
                    done = subprocess.run(['openssl', 's_client', '-connect', f'localhost:{server.port}', '-quiet',
                                           '-verify_return_error', '-CAfile', CERTIFICATE, version,
                                           *['-starttls', 'smtp'] * (mode == 'starttls')],
                                          input='\r\n'.join((*lines, '')).encode(), capture_output=True,
                                          timeout=PATIENCE, check=False)
                    self.assertRegex(done.stdout, rb'\n221 ', done)
                    self.check(server, b'by s_client\r\n')

    def test_tls_curl_msmtp(self):
        """TLS: curl, msmtp: STARTTLS and implicit, with a login"""
        for mode in MODES:
            with TlsServer(mode) as server, File(CONTENTS['dots'], b'\r\n') as file:
                scheme = 'smtp' if mode == 'starttls' else 'smtps'
                run('curl', '-sS', '--ssl-reqd', '--cacert', CERTIFICATE, '--user', f'{USER}:{PASSWORD}', '--mail-from',
                    SENDER, '--mail-rcpt', RECIPIENT, '--upload-file', file.name,
                    f'{scheme}://localhost:{server.port}/client.example')
                self.check(server, CONTENTS['dots'], 'ESMTPSA')
            with TlsServer(mode) as server:
                msmtp(server.port, CONTENTS['dots'], '--host=localhost', '--tls=on', f'--tls-trust-file={CERTIFICATE}',
                      f'--tls-starttls={"on" if mode == "starttls" else "off"}', '--auth=plain', f'--user={USER}',
                      f'--passwordeval=echo "{PASSWORD}"')
                self.check(server, CONTENTS['dots'], 'ESMTPSA')

    def test_tls_postfix(self):
        """TLS: Postfix as the client, which insists on it: STARTTLS with SASL, and implicit"""
        sasl = {'smtp_sasl_auth_enable': 'yes', 'smtp_sasl_password_maps': f'static:{USER}:{PASSWORD}',
                'smtp_sasl_security_options': 'noplaintext', 'smtp_sasl_tls_security_options': 'noanonymous'}
        for mode in MODES:
            with TlsServer(mode) as server:
                more = {**sasl, 'smtp_tls_wrappermode': 'yes' if mode == 'implicit' else 'no'}
                with Postfix(f'smtp:[127.0.0.1]:{server.port}', smtp_tls_security_level='encrypt', **more) as relay:
                    python_smtplib(relay.port, CONTENTS['5 MB'])
                    wait_for(lambda: server.last() is not None, 30, relay.log)
                octets, by = server.last()
                compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['5 MB'])
                self.assertEqual(by, 'ESMTPSA')

    def test_tls_postfix_insists(self):
        """TLS: Postfix as the client sends nothing where there is no STARTTLS"""
        with StdioServer() as server:
            with Postfix(f'smtp:[127.0.0.1]:{server.port}', smtp_tls_security_level='encrypt') as relay:
                python_smtplib(relay.port, CONTENTS['ordinary'])
                wait_for(lambda: 'TLS is required, but was not offered' in relay.log(), 30, relay.log)
            self.assertEqual(server.count(), 0)

    def test_tls_exim(self):
        """TLS: Exim, which has GnuTLS, as the client: STARTTLS and implicit"""
        for mode in MODES:
            lines = '  hosts_require_tls = *' + '\n  protocol = smtps' * (mode == 'implicit')
            with TlsServer(mode) as server, Exim(server.port, transport=lines) as relay:
                python_smtplib(relay.port, CONTENTS['dots'])
                wait_for(lambda: server.last() is not None, 30, relay.log)
                octets, by = server.last()
                compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['dots'])
                self.assertEqual(by, 'ESMTPS')

    # ---- somebody in between ----

    def dialogue(self, connection, octets):
        """All that is said to it in one packet, in clear, until it waits or closes."""
        connection.sendall(octets)
        connection.settimeout(1)
        answer = b''
        with contextlib.suppress(socket.timeout, ConnectionError):
            while not answer.endswith(b'220 2.0.0 Ready to start TLS\r\n') and (piece := connection.recv(4096)):
                answer += piece
        connection.settimeout(PATIENCE)
        return answer

    def hello(self, server):
        connection = socket.create_connection(('127.0.0.1', server.port), PATIENCE)
        lines = connection.makefile('rb')
        self.assertTrue(lines.readline().startswith(b'220 '))
        connection.sendall(b'EHLO client.example\r\n')
        while lines.readline()[3:4] == b'-':
            pass
        lines.close()
        return connection

    def no_tls(self, connection):
        """There can be none on this connection any more."""
        with self.assertRaises(OSError):  # SSLError is one
            with client_context().wrap_socket(connection, server_hostname='localhost',
                                              do_handshake_on_connect=False) as tls:
                tls.do_handshake()

    def test_tls_injection(self):
        """TLS: commands in the packet of STARTTLS are not run: not in clear, not under TLS; nor half of one"""
        for injected in (b'', b'MAIL FROM:<evil@client.example>\r\n', b'RSET\r\n' * 3000, b'MAIL FROM:<ev', b'\r\n',
                         b'EHLO evil.example\r\nMAIL FROM:<evil@client.example>\r\n'):
            with TlsServer() as server, self.hello(server) as connection:
                self.dialogue(connection, b'STARTTLS\r\n' + injected)
                if injected == b'':  # that would have shown it
                    with client_context().wrap_socket(connection, server_hostname='localhost') as tls:
                        tls.sendall(b'EHLO client.example\r\nQUIT\r\n')
                        self.assertRegex(b''.join(iter(lambda: tls.recv(4096), b'')), rb'(?s)^250.*\n221 ')
                else:
                    self.no_tls(connection)
                    wait_for(lambda: 'violation: octets before TLS' in server.said(), 5, server.said)
                    self.assertNotIn('handshake', server.said())
                self.assertEqual(server.said().count('command: MAIL'), 0)
                self.assertEqual(server.said().count('command: RSET'), 0)

    def test_tls_injection_later(self):
        """TLS: commands in clear behind the 220 are no handshake, and are not run"""
        with TlsServer() as server, self.hello(server) as connection:
            self.assertRegex(self.dialogue(connection, b'STARTTLS\r\n'), b'^220 ')
            connection.sendall(b'MAIL FROM:<evil@client.example>\r\n')
            self.no_tls(connection)
            wait_for(lambda: 'handshake failed' in server.said(), 5, server.said)
            self.assertEqual(server.said().count('command: MAIL'), 0)

    def test_tls_no_handshake(self):
        """TLS: a client that goes after 220, or begins with nonsense, or trusts nobody: nothing is left"""
        for octets in b'', b'\x16\x03', b'\x00' * 100:
            with TlsServer() as server, self.hello(server) as connection:
                self.dialogue(connection, b'STARTTLS\r\n')
                with contextlib.suppress(OSError):  # it may have gone by now
                    connection.sendall(octets)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
                wait_for(lambda: 'handshake failed' in server.said(), 5, server.said)
        for mode in MODES:
            with TlsServer(mode) as server, contextlib.suppress(ssl.SSLError), self.untrusting(server, mode):
                self.fail('the certificate was trusted')

    def untrusting(self, server, mode):
        if mode == 'implicit':
            return smtplib.SMTP_SSL('localhost', server.port, context=ssl.create_default_context())
        client = smtplib.SMTP('localhost', server.port)
        try:
            client.starttls(context=ssl.create_default_context())
        except ssl.SSLError:
            client.close()
            raise
        return client


# ---- the library's client ----

def client(port, content, mode='starttls', login='-', mechanism='PLAIN', authority=None, what='mail'):
    with File(content, b'\r\n') as file:
        words = ('mail', SENDER, RECIPIENT, file.name) if what == 'mail' else ('etrn', what)
        done = subprocess.run([os.environ['TLS_CLIENT'], str(port), authority or CERTIFICATE, mode, login, mechanism,
                               *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


class Impostor:
    """A server with a certificate, that says `offer` in its EHLO answer and `answer` to STARTTLS. `got`: what it got in
    clear behind EHLO; `under_tls`."""

    def __init__(self, answer, offer=b'250-STARTTLS\r\n'):
        self.answer, self.offer, self.got, self.under_tls = answer, offer, b'', b''

    def __enter__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()
        self.socket.close()

    def run(self):
        connection, _ = self.socket.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            connection.sendall(b'220 server.example\r\n')
            lines = connection.makefile('rb')
            lines.readline()
            connection.sendall(b'250-server.example\r\n' + self.offer + b'250 8BITMIME\r\n')
            self.got += lines.readline()
            if self.got != b'STARTTLS\r\n':
                return
            connection.sendall(self.answer)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE, KEY)
            with context.wrap_socket(connection, server_side=True) as tls:
                self.under_tls += tls.recv(4096)


class Client(unittest.TestCase):
    def test_tls_client_ours(self):
        """TLS: tls-client to tls-server: STARTTLS and implicit; logins right and wrong, by PLAIN and LOGIN"""
        for mode in MODES:
            for login, mechanism in ((f'{USER}:{PASSWORD}', 'PLAIN'), (f'{USER}:{PASSWORD}', 'LOGIN'), ('-', 'PLAIN')):
                with TlsServer(mode) as server:
                    self.assertEqual(client(server.port, CONTENTS['5 MB'], mode, login, mechanism)[0], 0)
                    octets, by = server.last()
                    compare(self, octets, CONTENTS['5 MB'])
                    self.assertEqual(by, 'ESMTPS' if login == '-' else 'ESMTPSA')
            with TlsServer(mode) as server:
                status, said = client(server.port, CONTENTS['ordinary'], mode, f'{USER}:wrong')
                self.assertEqual((status, server.last()), (1, None), said)
                self.assertIn('AUTH: 535\n', said)

    def test_tls_client_postfix(self):
        """TLS: tls-client to Postfix, which insists on it: STARTTLS and implicit"""
        for mode in MODES:
            with StdioServer() as server:
                more = {'smtpd_tls_wrappermode': 'yes' if mode == 'implicit' else 'no',
                        'smtpd_tls_cert_file': CERTIFICATE, 'smtpd_tls_key_file': KEY, 'smtpd_tls_loglevel': '1',
                        'smtpd_tls_security_level': 'encrypt'}
                with Postfix(f'smtp:[127.0.0.1]:{server.port}', **more) as relay:
                    status, said = client(relay.port, CONTENTS['5 MB'], mode)
                    self.assertEqual(status, 0, said + relay.log())
                    self.assertRegex(said, r'(?m)^handshake: TLSv1\.3$')
                    wait_for(lambda: server.count() == 1, 30, relay.log)
                [(envelope, octets)] = server.spool.messages()
                self.assertEqual(envelope, ENVELOPE)
                compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['5 MB'])

    def test_tls_client_exim(self):
        """TLS: tls-client to Exim: STARTTLS, logins by PLAIN and LOGIN, right and wrong"""
        main = f'tls_certificate = {CERTIFICATE}\ntls_privatekey = {KEY}\nauth_advertise_hosts = *'
        rules = (f'plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n'
                 f'  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{pass}}}}}}}}\n'
                 f'  server_set_id = $auth2\n  server_advertise_condition = ${{if def:tls_in_cipher}}\n'
                 f'login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = Username:: : Password::\n'
                 f'  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}{{eq{{$auth2}}{{pass}}}}}}}}\n'
                 f'  server_set_id = $auth1\n  server_advertise_condition = ${{if def:tls_in_cipher}}\n')
        with StdioServer() as server:
            with Exim(server.port, main=main, authenticators=rules, tls_hosts='*') as relay:
                for count, mechanism in enumerate(('PLAIN', 'LOGIN'), 1):
                    status, said = client(relay.port, CONTENTS['dots'], login=f'{USER}:pass', mechanism=mechanism)
                    self.assertEqual(status, 0, said + relay.log())
                    self.assertIn('AUTH: 235\n', said)
                    wait_for(lambda: server.count() == count, 30, relay.log)
                    status, said = client(relay.port, CONTENTS['dots'], login=f'{USER}:wrong', mechanism=mechanism)
                    self.assertEqual(status, 1)
                    self.assertIn('AUTH: 535\n', said)
            for envelope, octets in server.spool.messages():
                self.assertEqual(envelope, ENVELOPE)
                compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['dots'])

    def test_tls_client_etrn(self):
        """TLS: tls-client asks Postfix for its queue, by ETRN: for a domain that it has, and for another"""
        more = {'smtpd_tls_cert_file': CERTIFICATE, 'smtpd_tls_key_file': KEY, 'smtpd_tls_security_level': 'may',
                'queue_run_delay': '1000s', 'minimal_backoff_time': '1000s', 'fast_flush_domains': 'example.org',
                'smtpd_etrn_restrictions': 'permit_mynetworks, reject'}
        with Postfix('smtp:[127.0.0.1]:1', **more) as relay:
            python_smtplib(relay.port, CONTENTS['ordinary'])
            wait_for(lambda: glob.glob(f'{relay.directory.name}/queue/deferred/?/*'), 30, relay.log)
            status, said = client(relay.port, b'', what='example.org')
            self.assertEqual((status, 'ETRN: 250\n' in said), (0, True), said)
            wait_for(lambda: relay.log().count('status=deferred') > 1, 30, relay.log)
            status, said = client(relay.port, b'', what='other.example')
            self.assertEqual((status, 'ETRN: 459\n' in said), (1, True), said)

    # ---- somebody in between ----

    def test_tls_client_injection(self):
        """TLS: replies in the packet of the answer to STARTTLS are not believed: no handshake, no octet behind it"""
        for injected in (b'', b'250-evil.example\r\n250 AUTH PLAIN\r\n', b'250 o', b'\r\n', b'235 2.7.0 ok\r\n' * 2000):
            with Impostor(b'220 go ahead\r\n' + injected) as server:
                status, said = client(server.port, CONTENTS['ordinary'], login=f'{USER}:{PASSWORD}')
            self.assertEqual(status, 1, said)
            self.assertEqual('violation: ' in said, injected != b'', said)
            self.assertEqual('handshake: ' in said, injected == b'', said)
            self.assertEqual(server.got, b'STARTTLS\r\n')
            self.assertEqual(server.under_tls, b'' if injected else b'EHLO client.example\r\n')

    def test_tls_client_stripped(self):
        """TLS: where STARTTLS was taken out, or is refused, neither password nor mail goes out"""
        offers = {b'': b'QUIT\r\n', b'250-AUTH PLAIN\r\n': b'QUIT\r\n', b'250-STARTTLS\r\n': b'STARTTLS\r\n'}
        for offer, got in offers.items():
            for login in f'{USER}:{PASSWORD}', '-':
                with Impostor(b'454 not now\r\n', offer) as server:
                    status, said = client(server.port, CONTENTS['ordinary'], login=login)
                self.assertEqual((status, server.got, server.under_tls), (1, got, b''), said)

    def test_tls_client_trusts_nobody(self):
        """TLS: a certificate that nobody vouches for: no octet under TLS"""
        other = f'{DIRECTORY.name}/other'
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
            '-subj', '/CN=other', '-keyout', f'{other}.key', '-out', other)
        for mode in MODES:
            with TlsServer(mode) as server:
                status, said = client(server.port, CONTENTS['ordinary'], mode, authority=other)
                self.assertEqual((status, server.last()), (1, None), said)
                self.assertIn('handshake failed: self-signed certificate', said)
