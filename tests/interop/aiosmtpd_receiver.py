"""aiosmtpd_receiver.py PORT DIRECTORY MOST [lmtp | CERTIFICATE KEY USER PASSWORD | CERTIFICATE KEY implicit]: the
receiver of that name in receivers.py.

Takes mail on 127.0.0.1 and ::1, says a line for each connection, and has in DIRECTORY a file for each message and
recipient: "To: ", the recipient and LF, then the octets that aiosmtpd gives. With a certificate it takes mail from that
user alone, under STARTTLS; or from everybody, under TLS from the beginning.
"""

import os
import signal
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, directory, most):
        self.directory, self.most = directory, most
        self.count = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        print('hello from', hostname, flush=True)
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if len(envelope.rcpt_tos) >= self.most:
            return '452 4.5.3 Too many recipients'
        if address.startswith('refused'):
            return '550 5.1.1 No such mailbox here'
        if address.startswith('later'):
            return '450 4.2.1 Come again'
        envelope.rcpt_tos.append(address)
        return '250 2.1.5 Fine'

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            self.count += 1
            name = os.path.join(self.directory, str(self.count))
            with open(name + '.tmp', 'wb') as file:
                file.write(b'To: ' + recipient.encode() + b'\n')
                file.write(envelope.original_content)
            os.rename(name + '.tmp', name + '.eml')
        return '250 2.6.0 Stored'


def for_users(certificate, key, user, password):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, login):
        print('login by', mechanism, flush=True)
        good = (login.login, login.password) == (user.encode(), password.encode())
        return AuthResult(success=good, handled=False)

    return {'tls_context': context, 'require_starttls': True, 'auth_required': True, 'authenticator': authenticate}


def at_once(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS)  # its controller has it for a client as well, to see that it listens
    context.load_cert_chain(certificate, key)
    return {'ssl_context': context}


class LmtpController(Controller):
    def factory(self):
        return LMTP(self.handler, **self.SMTP_kwargs)


def main():
    port, directory, most, *how = sys.argv[1:]
    kind = LmtpController if how == ['lmtp'] else Controller
    more = {} if len(how) < 3 else at_once(*how[:2]) if how[2:] == ['implicit'] else for_users(*how)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # of the threads, too
    SMTP.line_length_limit = 2 ** 24
    handler = Handler(directory, int(most))
    controllers = [kind(handler, hostname=host, port=int(port), enable_SMTPUTF8=True, data_size_limit=None,
                              server_hostname='aiosmtpd.example', **more) for host in ('127.0.0.1', '::1')]
    for controller in controllers:
        controller.start()
    signal.sigwait([signal.SIGTERM])
    for controller in controllers:
        controller.stop()


main()
