"""test_send_auth.py: examples/send logs in: to whom, by what, and what it does where that fails: nothing.

Postfix with Cyrus SASL, Exim, aiosmtpd and tls-server know the mechanisms by themselves. What servers should not do in
them is played here; `scram` is another reckoning of RFC 5802, in Python, held to the example of RFC 7677.
"""

import base64
import hashlib
import hmac
import os
import subprocess
import tempfile
import threading

import test_send_tls
import test_tls
from harness import PATIENCE
from maild import wait_for
from matrix import FROM_SEND, cells
from receivers import Aiosmtpd
from test_extensions import StdioServer
from test_maild_senders import Exim, Postfix
from test_send_tls import SEND, TAKEN, Played, Test, go_away, trusted
from test_senders import CONTENTS, ENVELOPE, RECIPIENT, SENDER, compare, run
from test_tls import MODES, PASSWORD, USER, TlsServer

CLEAR = '--starttls', 'off', '--allow-plaintext-auth'
MECHANISMS = 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'CRAM-MD5', 'PLAIN', 'LOGIN'  # the strongest first


def setUpModule():
    test_send_tls.setUpModule()


def tearDownModule():
    test_send_tls.tearDownModule()


def login(password=PASSWORD, user=USER):
    return '--auth-user', user, '--auth-pass', password


def encode(octets):
    return base64.b64encode(octets).decode()


def scram(digest, password, salt, iterations, bare, first, final):
    """(ClientProof, ServerSignature) of RFC 5802 3."""
    def mac(key, octets):
        return hmac.digest(key, octets, digest)
    salted = hashlib.pbkdf2_hmac(digest, password, salt, iterations)
    message = b','.join((bare, first, final))
    client = mac(salted, b'Client Key')
    signature = mac(hashlib.new(digest, client).digest(), message)
    return (bytes(a ^ b for a, b in zip(client, signature)), mac(mac(salted, b'Server Key'), message))


class Scram:
    """A play: says AUTH `mechanism`, and takes the mail of who knows the password. `error`: what it does wrong."""

    def __init__(self, mechanism='SCRAM-SHA-256', error=None, iterations=4096):
        self.mechanism, self.error, self.iterations = mechanism, error, iterations
        self.digest = mechanism.replace('SCRAM-', '').replace('-', '').lower()

    def __call__(self, talk):
        talk.say('220 server.example')
        talk.hello(f'AUTH {self.mechanism}')
        initial = base64.b64decode(talk.line(f'AUTH {self.mechanism} ')[len(f'AUTH {self.mechanism} '):])
        assert initial.startswith(b'n,,n=us=3Der=2C,r='), initial
        if self.error == 'at once':
            talk.say('235 2.7.0 welcome')
            return talk.leave()
        bare, salt = initial[3:], os.urandom(16)
        nonce = bare.partition(b',r=')[2]
        if self.error == 'nonce':
            nonce = b'x' + nonce[1:]
        suffix = b'' if self.error == 'no nonce' else b'more'
        first = b'r=%b%b,s=%b,i=%d' % (nonce, suffix, base64.b64encode(salt), self.iterations)
        if self.error == 'extension':
            first = b'm=needed,' + first
        talk.say('334 ' + encode(b'nonsense' if self.error == 'nonsense' else first))
        response = talk.line('')
        if response == '*':
            assert self.error, 'cancelled'
            talk.say('501 5.7.0 cancelled')
            return talk.leave()
        final, _, proof = base64.b64decode(response).rpartition(b',p=')
        assert final == b'c=biws,r=' + nonce + suffix, final
        right, signature = scram(self.digest, PASSWORD.encode(), salt, self.iterations, bare, first, final)
        if base64.b64decode(proof) != right:
            if self.error == 'e=':
                talk.say('334 ' + encode(b'e=invalid-proof'))
                assert talk.line('') == ''
            talk.say('535 5.7.8 wrong')
            return talk.leave()
        if self.error == 'unsigned':
            talk.say('235 2.7.0 welcome')
            return talk.leave()
        if self.error == 'signature':
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        if self.error == 'short signature':
            signature = signature[:-1]
        talk.say('334 ' + encode(b'v=' + base64.b64encode(signature)))
        if self.error and 'signature' in self.error:
            assert talk.line('') == '*'
            talk.say('501 5.7.0 cancelled')
            return talk.leave()
        assert talk.line('') == ''
        talk.say('235 2.7.0 welcome')
        return talk.take()


class WithSasl(Postfix):
    """It looks for what Cyrus SASL is to do beside its own configuration, as Debian has it."""

    def configure(self, directory):
        super().configure(directory)
        os.mkdir(f'{directory}/etc/sasl')
        with open(f'{directory}/etc/sasl/smtpd.conf', 'w') as file:
            file.write(f'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {directory}/etc/sasldb\n'
                       f'mech_list: {" ".join(MECHANISMS)}\n')
        subprocess.run(['saslpasswd2', '-p', '-c', '-f', f'{directory}/etc/sasldb', '-u', 'relay.example', USER],
                       input=PASSWORD.encode(), timeout=PATIENCE, check=True)
        run('chown', 'postfix', f'{directory}/etc/sasldb')


class Auth(Test):
    def locked_out(self, done, code, why, errors=''):
        self.refused(done, code, why, 77, errors)

    # ---- servers ----

    def test_send_auth_tls_server(self):
        """send, AUTH: tls-server: PLAIN and LOGIN under STARTTLS and TLS; a wrong password, and nothing is sent"""
        for mode in MODES:
            how = (*trusted(), *['--tls'] * (mode == 'implicit'))
            for words in (), ('--auth-mech', 'login'):
                with TlsServer(mode) as server:
                    done = self.send(server.port, *how, *login(), *words, '--trace')
                    self.assertEqual(done.returncode, 0, done)
                    for hidden in PASSWORD, encode(PASSWORD.encode()), encode(f'\0{USER}\0{PASSWORD}'.encode()):
                        self.assertNotIn(hidden, done.stderr)
                    self.assertIn(f'C: (AUTH {"LOGIN" if words else "PLAIN"})\n', done.stderr)
                    self.assertEqual(server.last()[1], 'ESMTPSA')
                with TlsServer(mode) as server:
                    self.locked_out(self.send(server.port, *how, *login('wrong'), *words), 535, '')
                    self.assertEqual((server.last(), 'command: MAIL' in server.said()), (None, False))

    @cells(FROM_SEND, 'Postfix', 'AUTH')
    def test_send_auth_postfix(self):
        """send, AUTH: Postfix with Cyrus SASL: five mechanisms, right and wrong; by itself it takes the strongest"""
        more = {'smtpd_tls_cert_file': test_tls.CERTIFICATE, 'smtpd_tls_key_file': test_tls.KEY,
                'smtpd_tls_security_level': 'may', 'smtpd_sasl_auth_enable': 'yes', 'smtpd_tls_auth_only': 'yes',
                'smtpd_sasl_local_domain': 'relay.example', 'smtpd_sasl_security_options': 'noanonymous',
                'smtpd_relay_restrictions': 'permit_sasl_authenticated, reject'}
        with StdioServer() as server, WithSasl(f'smtp:[127.0.0.1]:{server.port}', **more) as relay:
            for mechanism in (None, *MECHANISMS):
                words = ('--auth-mech', mechanism) if mechanism else ()
                done = self.send(relay.port, *trusted(), *login(), *words, '--trace', content=CONTENTS['dots'])
                self.assertEqual(done.returncode, 0, (done, relay.log()))
                self.assertIn(f'(AUTH {mechanism or MECHANISMS[0]})\n', done.stderr)
                self.locked_out(self.send(relay.port, *trusted(), *login('wrong'), *words), 535, '')
            self.refused(self.send(relay.port, *trusted()), 554, '', 1)  # only who is logged in can
            wait_for(lambda: server.count() == 6, 30, relay.log)
            for envelope, octets in server.spool.messages():
                self.assertEqual(envelope, ENVELOPE)
                compare(self, octets[octets.index(b'\r\nDate: ') + 2:], CONTENTS['dots'])

    def test_send_auth_exim(self):
        """send, AUTH: Exim: CRAM-MD5 under STARTTLS, right and wrong"""
        main = f'tls_certificate = {test_tls.CERTIFICATE}\ntls_privatekey = {test_tls.KEY}\nauth_advertise_hosts = *'
        rules = (f'cram:\n  driver = cram_md5\n  public_name = CRAM-MD5\n'
                 f'  server_secret = ${{if eq{{$auth1}}{{{USER}}}{{secret}}fail}}\n  server_set_id = $auth1\n')
        with StdioServer() as server, Exim(server.port, main=main, authenticators=rules, tls_hosts='*') as relay:
            done = self.send(relay.port, *trusted(), *login('secret'))
            self.told(done, 0, TAKEN)
            self.locked_out(self.send(relay.port, *trusted(), *login('wrong')), 535, '')
            wait_for(lambda: server.count() == 1, 30, relay.log)
            self.assertIn('A=cram:user', relay.log())

    @cells(FROM_SEND, 'aiosmtpd', 'STARTTLS', 'AUTH')
    def test_send_auth_aiosmtpd(self):
        """send, AUTH: aiosmtpd: PLAIN and LOGIN under STARTTLS, right and wrong"""
        class WithLogin(Aiosmtpd):
            def configure(self, directory):
                super().configure(directory)
                self.command += [test_tls.CERTIFICATE, test_tls.KEY, USER, PASSWORD]

        with WithLogin() as receiver:
            for mechanism in 'PLAIN', 'LOGIN':
                words = *trusted(), '--auth-mech', mechanism
                self.told(self.send(receiver.port, *words, *login(), content=CONTENTS['dots']), 0, TAKEN)
                [(recipient, octets)] = receiver.take(1)
                self.assertEqual(recipient, RECIPIENT)
                compare(self, octets, CONTENTS['dots'])
                self.locked_out(self.send(receiver.port, *words, *login('wrong')), 535, '')
            self.assertEqual(receiver.files(), [])

    def test_send_auth_stdio_server(self):
        """send, AUTH: stdio-server: in clear with --allow-plaintext-auth alone"""
        for mechanism in 'PLAIN', 'LOGIN':
            with StdioServer('--auth', f'{USER}:{PASSWORD}') as server:
                self.told(self.send(server.port, *CLEAR, *login(), '--auth-mech', mechanism), 0, TAKEN)
                self.assertIn(f'AUTH by {mechanism}\n', server.said())
                self.locked_out(self.send(server.port, *CLEAR, *login('wrong'), '--auth-mech', mechanism), 535, '')
                self.refused(self.send(server.port, *login()), 451, 'There is no TLS: [^\n]*STARTTLS')
                self.assertEqual((server.count(), server.said().count('AUTH by')), (1, 2))

    # ---- passwords ----

    def test_send_auth_password(self):
        """send, AUTH: the password from a file, with a line end or without, or from the environment"""
        for octets, words, environment in ((b'%b', 1, None), (b'%b\n', 1, None), (b'%b\r\n', 1, {'SEND_AUTH_PASS': 'x'}),
                                           (b'', 0, {'SEND_AUTH_PASS': PASSWORD})):
            with tempfile.NamedTemporaryFile() as file, StdioServer('--auth', f'{USER}:{PASSWORD}') as server:
                file.write(octets % PASSWORD.encode() if words else b'')
                file.flush()
                words = ('--auth-pass-file', file.name) if words else ()
                self.told(self.send(server.port, *CLEAR, '--auth-user', USER, *words, environment=environment), 0, TAKEN)
                self.assertIn('AUTH by PLAIN\n', server.said())

    def test_send_auth_bad_password_file(self):
        """send, AUTH: a file that is not there, no file, empty, of two lines, too long, or for all to read"""
        with tempfile.NamedTemporaryFile() as file:
            for name, octets, why in (('/nonexistent', b'', 'No such file or directory'), ('/tmp', b'', 'Is a directory'),
                                      (file.name, b'', 'it is empty; [^\n]*'), (file.name, b'\n', 'it is empty; [^\n]*'),
                                      (file.name, b'a\nb\n', 'it is no password[^\n]*'),
                                      (file.name, b'a\n\n', 'it is no password[^\n]*'),
                                      (file.name, b'a\0b', 'it is no password[^\n]*'),
                                      (file.name, b'x' * 8193, 'it is no password[^\n]*')):
                file.seek(0)
                file.truncate()
                file.write(octets)
                file.flush()
                self.usage((*CLEAR, '--auth-user', USER, '--auth-pass-file', name), f'{name}: {why}', 66)
            os.chmod(file.name, 0o644)
            with StdioServer('--auth', f'{USER}:{"x" * 100}') as server:
                file.seek(0)
                file.truncate()
                file.write(b'x' * 100)
                file.flush()
                self.told(self.send(server.port, *CLEAR, '--auth-user', USER, '--auth-pass-file', file.name), 0, TAKEN,
                          f'send: {file.name}: everybody can read the password in it [^\n]*\n')

    def test_send_auth_hidden(self):
        """send, AUTH: the password is on the command line and in the environment no longer than it takes to read it"""
        connected, seen = threading.Event(), threading.Event()

        def play(talk):
            connected.set()
            assert seen.wait(PATIENCE)
            talk.say('421 4.3.2 closing')
        for words, environment in ((('--auth-pass', 'open-sesame'), {}), ((), {'SEND_AUTH_PASS': 'open-sesame'})):
            connected.clear()
            seen.clear()
            with Played(play) as server, tempfile.NamedTemporaryFile() as file:
                process = subprocess.Popen([SEND, '--server', f'127.0.0.1:{server.port}', '--from', SENDER, '--to',
                                            RECIPIENT, *CLEAR, '--auth-user', USER, *words, file.name],
                                           env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
                self.assertTrue(connected.wait(PATIENCE))
                shown = b''
                for name in 'cmdline', 'environ':
                    with open(f'/proc/{process.pid}/{name}', 'rb') as told:
                        shown += told.read()
                seen.set()
                self.assertEqual(process.wait(PATIENCE), 75)
                self.assertIn(b'--auth-user', shown)
                self.assertNotIn(b'sesame', shown)

    # ---- SCRAM ----

    def test_send_auth_scram_example(self):
        """send, AUTH: the reckoning of this file gives what RFC 7677 3 has"""
        nonce = b'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
        proof, signature = scram('sha256', b'pencil', base64.b64decode('W22ZaJ0SNY7soEsUEjb6gQ=='), 4096,
                                 b'n=user,r=rOprNGfwEbeRWgbNEkqO', b'r=' + nonce + b',s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
                                 b'c=biws,r=' + nonce)
        self.assertEqual((encode(proof), encode(signature)), ('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
                                                              '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='))

    def test_send_auth_scram(self):
        """send, AUTH: SCRAM: right, wrong, refused by e=; commas and equals signs in the name"""
        for mechanism in MECHANISMS[:2]:
            for iterations in 4096, 20000:
                with Played(Scram(mechanism, iterations=iterations)) as server:
                    self.told(self.send(server.port, *CLEAR, *login(user='us=er,')), 0, TAKEN)
            for error in None, 'e=':
                with Played(Scram(mechanism, error)) as server:
                    self.locked_out(self.send(server.port, *CLEAR, *login('wrong', 'us=er,')), 535, 'wrong')

    def test_send_auth_scram_impostors(self):
        """send, AUTH: SCRAM: whoever does not show that he knows the password, or asks for too little or too much work"""
        for error, why in (('signature', 'the server did not show'), ('short signature', 'the server did not show'),
                           ('unsigned', 'the server did not show'), ('at once', 'the server did not show'),
                           ('nonce', 'the server\'s answer is to somebody else'),
                           ('no nonce', 'the server\'s answer is to somebody else'),
                           ('nonsense', 'the server\'s first message is not one of SCRAM'),
                           ('extension', 'the server\'s first message is not one of SCRAM')):
            with self.subTest(error), Played(Scram(error=error)) as server:
                self.locked_out(self.send(server.port, *CLEAR, *login(user='us=er,')), 554, f'Cannot log in: {why}')
        for iterations in 0, 1, 4095, 10000001, 99999999999:
            with self.subTest(iterations), Played(Scram(error='iterations', iterations=iterations)) as server:
                self.locked_out(self.send(server.port, *CLEAR, *login(user='us=er,')), 554, 'Cannot log in: the server')

    # ---- other mechanisms ----

    def exchange(self, offer, command, *steps, end='235 ok'):
        """`steps`: what is said, and what has to be answered."""
        def play(talk):
            talk.say('220 server.example')
            talk.hello(f'AUTH {offer}')
            self.assertEqual(talk.line(''), command)
            for challenge, response in steps:
                talk.say(f'334 {challenge}')
                self.assertEqual(talk.line(''), response)
            talk.say(end)
            talk.take() if end.startswith('235') else talk.leave()
        return Played(play)

    def test_send_auth_oauth(self):
        """send, AUTH: XOAUTH2, OAUTHBEARER: when they are named; a refusal is answered"""
        initial = encode(f'user={USER}\1auth=Bearer token\1\1'.encode())
        words = *CLEAR, *login('token')
        with self.exchange('XOAUTH2 PLAIN', f'AUTH XOAUTH2 {initial}') as server:
            self.told(self.send(server.port, *words, '--auth-mech', 'XOAUTH2'), 0, TAKEN)
        with self.exchange('XOAUTH2', f'AUTH XOAUTH2 {initial}', ('e30=', ''), end='535 5.7.8 no') as server:
            self.locked_out(self.send(server.port, *words, '--auth-mech', 'XOAUTH2'), 535, 'no')
        with Played(self.oauthbearer) as server:
            self.told(self.send(server.port, *words, '--auth-mech', 'OAUTHBEARER'), 0, TAKEN)

    def oauthbearer(self, talk):
        talk.say('220 server.example')
        talk.hello('AUTH OAUTHBEARER')
        port = talk.connection.getsockname()[1]
        said = base64.b64decode(talk.line('AUTH OAUTHBEARER ').split()[2])
        assert said == f'n,a={USER},\1host=127.0.0.1\1port={port}\1auth=Bearer token\1\1'.encode(), said
        talk.say('235 ok')
        talk.take()

    def test_send_auth_cram(self):
        """send, AUTH: CRAM-MD5: the example of RFC 2195; another challenge behind it is one too many"""
        challenge = encode(b'<1896.697170952@postoffice.reston.mci.net>')
        response = encode(b'tim b913a602c7eda7a495b4e6e7334d3890')
        words = *CLEAR, *login('tanstaaftanstaaf', 'tim')
        with self.exchange('CRAM-MD5 PLAIN', 'AUTH CRAM-MD5', (challenge, response)) as server:
            self.told(self.send(server.port, *words), 0, TAKEN)
        with self.exchange('CRAM-MD5', 'AUTH CRAM-MD5', (challenge, response), ('', '*'), end='501 ok') as server:
            self.locked_out(self.send(server.port, *words), 554, 'Cannot log in: the server asks for more')

    def test_send_auth_choice(self):
        """send, AUTH: no mechanism that both know, or not the one that is named; no AUTH; nothing weaker behind a no"""
        def play(offers):
            def run_it(talk):
                talk.say('220 server.example')
                talk.hello(*offers)
                talk.leave()
            return Played(run_it)
        for offers, words, why in ((('AUTH GSSAPI XOAUTH2',), (), 'the server offers GSSAPI XOAUTH2 alone'),
                                   (('AUTH PLAIN LOGIN',), ('--auth-mech', 'CRAM-MD5'), 'the server offers PLAIN LOGIN'),
                                   ((), (), 'the server does not offer AUTH')):
            with play(offers) as server:
                self.locked_out(self.send(server.port, *CLEAR, *login(), *words), 554, f'Cannot log in: {why}')
        with self.exchange('LOGIN CRAM-MD5 PLAIN', 'AUTH CRAM-MD5', end='504 5.5.4 not now') as server:
            self.locked_out(self.send(server.port, *CLEAR, *login()), 504, 'not now')
        with self.exchange('PLAIN', f'AUTH PLAIN {encode(f"{chr(0)}{USER}{chr(0)}x".encode())}',
                           end='454 4.7.0 later') as server:
            self.refused(self.send(server.port, *CLEAR, *login('x')), 454, 'later', 75)

    # ---- with whom ----

    def test_send_auth_untrusted(self):
        """send, AUTH: no password, and no proof of one, in clear or to a server that is not verified"""
        def in_clear(talk):
            talk.say('220 server.example')
            talk.hello('AUTH PLAIN CRAM-MD5 SCRAM-SHA-256')
            talk.leave()

        def close(talk):
            talk.starttls(offers=('STARTTLS', 'AUTH PLAIN'))

        for mechanism in MECHANISMS:
            with Played(in_clear) as server:
                self.refused(self.send(server.port, *login(), '--auth-mech', mechanism), 451, 'There is no TLS')
        with Played(close) as server:  # a second connection would hang
            self.refused(self.send(server.port, *login()), 451, 'TLS failed')
        with TlsServer() as server:
            self.refused(self.send(server.port, *login()), 451, 'The certificate .*: self-signed')
            self.assertNotIn('command: AUTH', server.said())
        for words, note in (('--insecure',), '--insecure: '), (('--allow-plaintext-auth',), '127'):
            with TlsServer() as server:
                self.told(self.send(server.port, *login(), *words), 0, TAKEN, f'send: {note}[^\n]*\n')
                self.assertEqual(server.last()[1], 'ESMTPSA')

    def test_send_auth_nonsense(self):
        """send, AUTH: a challenge that is no base64 is cancelled, and nothing is sent"""
        def play(talk):
            talk.say('220 server.example')
            talk.hello('AUTH LOGIN')
            talk.hear('AUTH LOGIN')
            talk.say('334 !!!')
            assert talk.line('') == '*'
            talk.say('501 cancelled')
            go_away(talk)
        with Played(play) as server:
            self.refused(self.send(server.port, *CLEAR, *login()), 451, 'The server broke the protocol', 76,
                         'send: [^\n]*\n')

    def test_send_auth_bad_usage(self):
        """send, AUTH: options that do not fit together: it is said which, and no password is shown"""
        for words, why in ((('--auth-user', USER), '--auth-user: a password is needed: [^\n]*'),
                           (('--auth-pass', 'x'), '--auth-user: it is needed for a login'),
                           (('--auth-mech', 'PLAIN'), '--auth-user: it is needed for a login'),
                           ((*login(), '--auth-pass-file', 'x'), '--auth-pass: not together with [^\n]*'),
                           (('--auth-user', '', '--auth-pass', 'x'), '--auth-user: a name is needed'),
                           (login(''), '--auth-pass: the password is empty[^\n]*'),
                           ((*login(), '--auth-mech', 'DIGEST-MD5'), '--auth-mech: SCRAM-SHA-256, [^\n]*'),
                           ((*login(), '--auth-mech', 'SCRAM-SHA-256-PLUS'), '--auth-mech: SCRAM-SHA-256, [^\n]*'),
                           ((*login(), '--auth-mech', 'EXTERNAL'), '--auth-mech: EXTERNAL has no password[^\n]*'),
                           ((*login(), '--starttls', 'off'), '--auth-user: no login in clear but with [^\n]*')):
            self.usage(words, why)
