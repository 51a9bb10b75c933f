"""test_send_tls.py: examples/send under TLS: with whom it speaks, and with whom not.

Played is a server that a function of the test leads through its dialogue. The certificates are made here, by openssl.
"""

import contextlib
import os
import ssl
import subprocess
import tempfile
import threading
import unittest

import test_tls
from harness import PATIENCE, Led
from maild import wait_for
from matrix import FROM_SEND, cells
from receivers import Aiosmtpd
from test_extensions import StdioServer
from test_maild_senders import Exim, Postfix
from test_senders import CONTENTS, ENVELOPE, RECIPIENT, SENDER, compare, run
from test_tls import MODES, PASSWORD, USER, TlsServer

SEND = os.environ['SEND']
TAKEN = f'{RECIPIENT}\t250\t'


def certificate(name, *names, days_ago=0, issuer=None, extensions=()):
    """Makes NAME and NAME.key in the directory of this module, for `names` as subjectAltName has them."""
    path = f'{DIRECTORY.name}/{name}'
    under = ('faketime', f'{days_ago} days ago') if days_ago else ()
    issued = ('-CA', issuer, '-CAkey', f'{issuer}.key') if issuer else ()
    extensions = [*extensions, *[f'subjectAltName={",".join(names)}'] * bool(names)]
    run(*under, 'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days',
        '2', '-subj', f'/CN={name}', *issued, *[word for line in extensions for word in ('-addext', line)], '-keyout',
        f'{path}.key', '-out', path)
    os.chmod(f'{path}.key', 0o644)
    return path


def setUpModule():
    global DIRECTORY
    test_tls.setUpModule()
    DIRECTORY = test_tls.DIRECTORY
    certificate('other', 'DNS:other.example')
    certificate('expired', 'IP:127.0.0.1', days_ago=10)
    certificate('client')


def tearDownModule():
    test_tls.tearDownModule()


def trusted():
    return '--cafile', test_tls.CERTIFICATE


class Played(Led):
    """A server whose dialogues are led by `plays`, one function for each connection."""

    def __init__(self, *plays):
        self.plays = plays

    def lead(self):
        for play in self.plays:
            talk = Talk(self.accept())
            try:
                play(talk)
            finally:
                talk.close()


class Talk:
    def __init__(self, connection):
        self.connection, self.lines = connection, connection.makefile('rb')

    def close(self):
        self.lines.close()
        self.connection.close()

    def say(self, *lines):
        self.connection.sendall(b''.join(line.encode() + b'\r\n' for line in lines))

    def line(self, start):
        line = self.lines.readline().decode()
        assert line.startswith(start) and line.endswith('\r\n'), (line, start)
        return line[:-2]

    def hear(self, start):
        """As it has to come next; '': the end."""
        if start:
            return self.line(start)
        rest = self.lines.read()
        assert rest == b'', rest
        return ''

    def tls(self, name=None, version=None, authorities=None):
        path = f'{DIRECTORY.name}/{name}' if name else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path or test_tls.CERTIFICATE, f'{path}.key' if path else test_tls.KEY)
        if version:
            context.set_ciphers('ALL:@SECLEVEL=0')
            context.minimum_version = context.maximum_version = version
        if authorities:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authorities)
        context.sni_callback = lambda tls, name, context: setattr(self, 'name', name)
        self.lines.close()
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.lines = self.connection.makefile('rb')

    def hello(self, *offers):
        self.hear('EHLO client.example')
        self.say(*[f'250-{line}' for line in ('server.example', *offers)], '250 ENHANCEDSTATUSCODES')

    def starttls(self, *behind, answer='220 go ahead', offers=('STARTTLS',)):
        """As far as STARTTLS."""
        self.say('220 server.example')
        self.hello(*offers)
        self.hear('STARTTLS')
        self.say(answer, *behind)

    def take(self):
        self.hear('MAIL FROM:')
        self.say('250 ok')
        self.hear('RCPT TO:')
        self.say('250 ok')
        self.hear('DATA')
        self.say('354 go ahead')
        while self.lines.readline() not in (b'.\r\n', b''):
            pass
        self.say('250 2.0.0 taken')
        self.leave()

    def leave(self):
        self.hear('QUIT')
        self.say('221 bye')
        self.end()

    def end(self):
        self.hear('')

    def in_clear(self):
        self.say('220 server.example')
        self.hello('STARTTLS')
        self.take()


def go_away(talk):
    """Whatever comes is not answered, and nothing of a mail is in it."""
    with contextlib.suppress(OSError):
        rest = talk.lines.read()
        assert b'MAIL' not in rest and b'AUTH' not in rest, rest


class Test(unittest.TestCase):
    def send(self, port, *words, content=CONTENTS['ordinary'], environment=None, host='127.0.0.1'):
        with tempfile.NamedTemporaryFile(prefix='ehlo-send-') as file:
            file.write(content.replace(b'\r\n', b'\n'))
            file.flush()
            command = [SEND, '--server', f'{host}:{port}', '--from', SENDER, '--to', RECIPIENT, '--hello',
                       'client.example', '--timeout', str(PATIENCE // 2), *words, file.name]
            done = subprocess.run(command, capture_output=True, encoding='utf-8', timeout=PATIENCE, check=False,
                                  stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
        return done

    def told(self, done, status, output, errors=''):
        self.assertEqual(done.returncode, status, done)
        self.assertRegex(done.stdout, f'^{output}', done)
        self.assertRegex(done.stderr, f'(?s)^{errors}$', done)

    def refused(self, done, code, why, status=75, errors=''):
        self.told(done, status, f'{RECIPIENT}\t{code}\t[0-9.-]*\t{why}', errors)

    def usage(self, words, why, status=64):
        done = self.send(1, *words)
        self.assertEqual((done.returncode, done.stdout), (status, ''), (words, done))
        self.assertRegex(done.stderr, f'^send: {why}\n$', words)


class Tls(Test):
    # ---- servers ----

    def test_send_tls_server(self):
        """send, TLS: tls-server: STARTTLS and from the beginning, verified; 5 MB, octet by octet"""
        for mode in MODES:
            for content in 'dots', '5 MB':
                with TlsServer(mode) as server:
                    how = ('--tls',) if mode == 'implicit' else ('--starttls', 'require')
                    done = self.send(server.port, *how, *trusted(), '--trace', content=CONTENTS[content])
                    self.assertEqual(done.returncode, 0, done)
                    self.assertIn(', the server is verified\n', done.stderr)
                    self.assertRegex(done.stderr, r'(?m)^TLS: TLSv1\.3, TLS_AES_\w+, ')
                    octets, by = server.last()
                    compare(self, octets, CONTENTS[content])
                    self.assertEqual(by, 'ESMTPS')

    def test_send_tls_try(self):
        """send, TLS: by itself it uses STARTTLS, notes a certificate that is not verified, and takes it"""
        for words, note in (((), 'going on with --starttls try: self-signed certificate'), (trusted(), ''),
                            (('--starttls', 'try', '--cafile', f'{DIRECTORY.name}/other'), 'going on')):
            with TlsServer() as server:
                done = self.send(server.port, *words)
                self.told(done, 0, TAKEN, f'send: [^\n]*{note}[^\n]*\n' if note else '')
                self.assertEqual(server.last()[1], 'ESMTPS')
        with StdioServer() as server:
            self.told(self.send(server.port), 0, TAKEN)
            self.assertEqual(server.count(), 1)

    def test_send_tls_off(self):
        """send, TLS: with --starttls off there is none"""
        with TlsServer() as server:
            self.told(self.send(server.port, '--starttls', 'off'), 0, TAKEN)
            self.assertEqual(server.last()[1], 'ESMTP')

    @cells(FROM_SEND, 'Postfix', 'STARTTLS', 'TLS')
    def test_send_tls_postfix(self):
        """send, TLS: Postfix: STARTTLS and from the beginning, with a CA and a certificate that it issued"""
        ca = certificate('ca', extensions=('keyUsage=critical,keyCertSign',))
        run('openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=leaf',
            '-addext', 'subjectAltName=DNS:localhost', '-keyout', f'{DIRECTORY.name}/leaf.key', '-out',
            f'{DIRECTORY.name}/leaf.csr')
        run('openssl', 'x509', '-req', '-in', f'{DIRECTORY.name}/leaf.csr', '-CA', ca, '-CAkey', f'{ca}.key',
            '-copy_extensions', 'copy', '-days', '2', '-out', f'{DIRECTORY.name}/leaf')
        for mode in MODES:
            more = {'smtpd_tls_cert_file': f'{DIRECTORY.name}/leaf', 'smtpd_tls_key_file': f'{DIRECTORY.name}/leaf.key',
                    'smtpd_tls_security_level': 'encrypt',
                    'smtpd_tls_wrappermode': 'yes' if mode == 'implicit' else 'no'}
            how = '--tls' if mode == 'implicit' else '--starttls=require'
            with StdioServer() as server, Postfix(f'smtp:[127.0.0.1]:{server.port}', **more) as relay:
                self.refused(self.send(relay.port, how, *trusted(), host='localhost'), 451, 'The certificate .*: unable')
                self.refused(self.send(relay.port, how, '--cafile', ca), 451, 'The certificate .*: IP address mismatch')
                for authority in ca, f'{DIRECTORY.name}/leaf':
                    done = self.send(relay.port, how, '--cafile', authority, host='localhost', content=CONTENTS['dots'])
                    self.told(done, 0, TAKEN)
                self.told(self.send(relay.port, how, '--cafile', ca, '--tls-name', 'localhost',
                                    content=CONTENTS['dots']), 0, TAKEN)
                wait_for(lambda: server.count() == 3, 30, relay.log)
                for envelope, octets in server.spool.messages():
                    self.assertEqual(envelope, ENVELOPE)
                    compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['dots'])

    # ---- certificates ----

    def test_send_tls_bad_certificates(self):
        """send, TLS: self-signed, of another name, expired: no octet of the mail; try takes them, and so does --insecure"""
        for name, trust, why in ((None, (), 'self-signed certificate'), ('other', 'other', 'IP address mismatch'),
                                 ('expired', 'expired', 'certificate has expired')):
            trust = ('--cafile', f'{DIRECTORY.name}/{trust}') if trust else ()
            for at_once in False, True:
                def begin(talk, name=name, at_once=at_once):
                    if not at_once:
                        talk.starttls()
                    talk.tls(name)
                    if at_once:
                        talk.say('220 server.example')
                    talk.hello()

                def refusing(talk, begin=begin):
                    with contextlib.suppress(ssl.SSLError, ConnectionError):
                        begin(talk)
                        raise AssertionError('it was trusted')

                def taking(talk, begin=begin):
                    begin(talk)
                    talk.take()

                how = ('--tls',) if at_once else ('--starttls', 'require')
                with self.subTest(name=name, at_once=at_once):
                    with Played(refusing) as server:
                        self.refused(self.send(server.port, *how, *trust), 451,
                                     f'The certificate is not for sure that of the server: {why} \\(--cafile FILE')
                    with Played(taking) as server:
                        self.told(self.send(server.port, *how, '--insecure'), 0, TAKEN, 'send: --insecure: [^\n]*\n')
                    if not at_once:
                        with Played(taking) as server:
                            self.told(self.send(server.port, *trust), 0, TAKEN, f'send: [^\n]*: {why}\n')

    def refusing(self, name):
        def play(talk):
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                talk.tls(name)
                talk.say('220 server.example')
                talk.hello()
                raise AssertionError('it was trusted')
        return play

    def test_send_tls_names(self):
        """send, TLS: --tls-name says whom to expect; the server is told (SNI); no certificate is for an empty name"""
        def play(talk):
            talk.tls('other')
            self.assertEqual(talk.name, 'other.example')
            talk.say('220 server.example')
            talk.hello()
            talk.take()
        with Played(play) as server:
            self.told(self.send(server.port, '--tls', '--cafile', f'{DIRECTORY.name}/other', '--tls-name',
                                'other.example.'), 0, TAKEN)
        for name in 'example', 'x.other.example', 'another.example', 'other':
            with Played(self.refusing('other')) as server:
                self.refused(self.send(server.port, '--tls', '--cafile', f'{DIRECTORY.name}/other', '--tls-name', name),
                             451, 'The certificate is not for sure that of the server: hostname mismatch')
        with Played(go_away) as server:
            self.refused(self.send(server.port, '--tls', '--tls-name', ''), 451, 'TLS failed: : no server can have')

    # ---- servers that go their own way ----

    def test_send_tls_no_handshake(self):
        """send, TLS: 220, then nonsense, the end, or a TLS of long ago: try goes over another connection, in clear"""
        def nonsense(talk):
            talk.starttls()
            talk.lines.read(1)
            talk.say('this is no TLS')
            go_away(talk)

        def close(talk):
            talk.starttls()

        def old(talk):
            talk.starttls()
            with contextlib.suppress(ssl.SSLError):
                talk.tls(version=ssl.TLSVersion.TLSv1_1)
                raise AssertionError('it has TLS 1.1')

        for play, why in (nonsense, 'what the peer says is no TLS'), (close, 'closed by the peer|Connection reset'), \
                         (old, 'the peer has no TLS 1.2'):
            with self.subTest(why):
                with Played(play, Talk.in_clear) as server:
                    self.told(self.send(server.port, '--starttls', 'try'), 0, TAKEN,
                              f'send: [^\n]*: going on in clear: TLS failed: ({why})[^\n]*\n')
                with Played(play) as server:
                    self.refused(self.send(server.port, '--starttls', 'require'), 451, f'TLS failed: ({why})')

    def test_send_tls_at_once_in_clear(self):
        """send, TLS: --tls with a server that begins in clear, or is not there for it"""
        def play(talk):
            talk.say('220 server.example')
            go_away(talk)
        with Played(play) as server:
            self.refused(self.send(server.port, '--tls'), 451, 'TLS failed: what the peer says is no TLS')
        with Played(lambda talk: None) as server:
            self.refused(self.send(server.port, '--tls'), 451, 'TLS failed: (closed by the peer|Connection reset)')

    def test_send_tls_refused_early(self):
        """send, TLS: content is refused before its end by a server that reads no more: that is told, nothing hangs"""
        over = threading.Event()

        def play(talk):
            talk.starttls()
            talk.tls()
            talk.hello()
            for command in 'MAIL FROM:', 'RCPT TO:', 'DATA':
                talk.hear(command)
                talk.say('354 go ahead' if command == 'DATA' else '250 ok')
            talk.lines.read(1)
            talk.say('552 5.3.4 too big')
            assert over.wait(PATIENCE)
        with Played(play) as server:
            done = self.send(server.port, *trusted(), content=b'x' * 2 ** 24 + b'\r\n')
            over.set()
        self.refused(done, 552, 'too big', 1)

    def test_send_tls_silent(self):
        """send, TLS: a server that is silent in the handshake"""
        with Played(lambda talk: talk.end() if talk.lines.read() is None else None) as server:
            self.refused(self.send(server.port, '--tls', '--timeout', '1'), 451, 'TLS failed: the server was silent')

    def test_send_tls_refused(self):
        """send, TLS: STARTTLS is refused, or not offered: try goes on in clear, require does not"""
        def refuse(talk):
            talk.starttls(answer='454 4.7.0 not now')
            talk.take()

        def refuse_and_leave(talk):
            talk.starttls(answer='454 4.7.0 not now')
            talk.leave()

        def offer_none(talk):
            talk.say('220 server.example')
            talk.hello()
            talk.leave()

        with Played(refuse) as server:
            self.told(self.send(server.port), 0, TAKEN, 'send: [^\n]*STARTTLS was refused, going on in clear[^\n]*\n')
        with Played(refuse_and_leave) as server:
            self.refused(self.send(server.port, '--starttls', 'require'), 454, 'not now')
        with Played(offer_none) as server:
            self.refused(self.send(server.port, '--starttls', 'require'), 451,
                         'There is no TLS: the server does not offer STARTTLS')

    def test_send_tls_injection(self):
        """send, TLS: octets behind the 220 in clear: no handshake, no mail, and no other connection"""
        def play(talk):
            talk.starttls('250-evil.example', '250 AUTH PLAIN')
            go_away(talk)
        with Played(play) as server:
            self.refused(self.send(server.port), 451, 'The server broke the protocol', 76, 'send: [^\n]*\n')

    def test_send_tls_forgets(self):
        """send, TLS: what was offered in clear does not count under TLS"""
        def play(talk):
            talk.starttls(offers=('STARTTLS', 'SMTPUTF8'))
            talk.tls()
            talk.hello()
            talk.leave()
        with Played(play) as server:
            self.refused(self.send(server.port, '--smtputf8', *trusted()), 553, '', 1)

    def test_send_tls_requiretls(self):
        """send, TLS: --require-tls: goes out under TLS to who is verified; not in clear, not to others"""
        def play(talk):
            talk.starttls()
            talk.tls()
            talk.hello('REQUIRETLS')
            assert talk.hear('MAIL FROM:').endswith(' REQUIRETLS')
            talk.say('550 seen')
            talk.leave()

        def untrusted(talk):
            talk.starttls()
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                talk.tls()
                talk.hello('REQUIRETLS')

        def in_clear(talk):
            talk.say('220 server.example')
            talk.hello('REQUIRETLS')
            talk.leave()
        with Played(play) as server:
            self.refused(self.send(server.port, '--require-tls', *trusted()), 550, 'seen', 1)
        with Played(untrusted, in_clear) as server:
            self.refused(self.send(server.port, '--require-tls'), 554, '', 1, 'send: [^\n]*\n')
        self.usage(('--require-tls', '--insecure'), '--insecure: --require-tls needs [^\n]*')

    def test_send_tls_client_certificate(self):
        """send, TLS: --tls-cert shows a certificate to who asks for one"""
        def play(talk):
            talk.tls(authorities=f'{DIRECTORY.name}/client')
            assert dict(pair for (pair,) in talk.connection.getpeercert()['subject']) == {'commonName': 'client'}
            talk.say('220 server.example')
            talk.hello('AUTH EXTERNAL')
            assert talk.hear('AUTH EXTERNAL ') == 'AUTH EXTERNAL ='
            talk.say('235 ok')
            talk.take()
        with Played(play) as server:
            self.told(self.send(server.port, '--tls', *trusted(), '--tls-cert', f'{DIRECTORY.name}/client', '--tls-key',
                                f'{DIRECTORY.name}/client.key', '--auth-mech', 'external'), 0, TAKEN)

    def test_send_tls_external(self):
        """send, TLS: tls-server: EXTERNAL by a certificate that it trusts; not by another, not without, not expired"""
        for name, told in (('client', 'verified'), ('other', 'self-signed certificate'), ('expired', 'certificate has expired'),
                           (None, None)):
            for mode in MODES:
                words = ('--tls-cert', f'{DIRECTORY.name}/{name}', '--tls-key', f'{DIRECTORY.name}/{name}.key')
                with self.subTest(name=name, mode=mode), TlsServer(mode, f'{DIRECTORY.name}/client') as server:
                    done = self.send(server.port, *trusted(), *words * bool(name), *['--tls'] * (mode == 'implicit'),
                                     '--auth-mech', 'EXTERNAL')
                    if name == 'client':
                        self.told(done, 0, TAKEN)
                        self.assertEqual(server.last()[1], 'ESMTPSA')
                    else:
                        self.refused(done, 554, 'Cannot log in: the server offers PLAIN LOGIN alone', 77)
                        self.assertIsNone(server.last())
                    said = server.said()
                    self.assertEqual('peer: ' in said, name is not None)
                    self.assertIn(f'peer: CN={name}, {told}' if name else 'handshake: ', said)

    # ---- the command line ----

    def test_send_tls_bad_usage(self):
        """send, TLS: options that do not fit together, files that cannot be read: it is said which"""
        for words, why in ((('--starttls', 'maybe'), '--starttls: off, try or require'),
                           (('--starttls', 'off', '--insecure'), '--starttls off: [^\n]*'),
                           (('--starttls', 'off', '--cafile', 'x'), '--starttls off: [^\n]*'),
                           (('--starttls', 'require', '--tls'), '--starttls: not together with --tls'),
                           (('--tls', '--insecure', '--cafile', 'x'), '--insecure: [^\n]*'),
                           (('--tls-key', 'x'), '--tls-key: it needs --tls-cert')):
            self.usage(words, why + '[^\n]*')
        empty = tempfile.NamedTemporaryFile()
        directory = DIRECTORY.name
        encrypted = f'{directory}/encrypted.key'
        run('openssl', 'pkey', '-in', f'{directory}/client.key', '-aes256', '-passout', 'pass:x', '-out', encrypted)
        for words, why in ((('--cafile', '/nonexistent'), '/nonexistent: No such file'),
                           (('--cafile', empty.name), '.*: there is no certificate in PEM in it'),
                           (('--cafile', test_tls.KEY), '.*: there is no certificate in PEM in it'),
                           (('--tls-cert', '/nonexistent'), '/nonexistent: No such file'),
                           (('--tls-cert', test_tls.KEY), '.*: there is no certificate in PEM in it'),
                           (('--tls-cert', f'{directory}/client'), '.*client: there is no private key in PEM in it'),
                           (('--tls-cert', f'{directory}/client', '--tls-key', '/nonexistent'), '.*: No such file'),
                           (('--tls-cert', f'{directory}/client', '--tls-key', test_tls.KEY),
                            '.*: this is not the key of'),
                           (('--tls-cert', f'{directory}/client', '--tls-key', encrypted), '.*: it is encrypted')):
            self.usage(words, f'TLS: {why}[^\n]*', 66)
