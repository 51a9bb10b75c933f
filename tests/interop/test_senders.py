"""test_senders.py: mail programs of the world deliver to stdio-server, and what is stored is what was sent.

Each sender takes each kind of content; octets and envelope are compared. Beside that: what only some senders can do
(pipelining, LMTP, internationalized addresses, many sessions at a time).
"""

import email.message
import email.policy
import os
import random
import smtplib
import subprocess
import tempfile
import unittest

from harness import PATIENCE, PROGRAM, Listener, Spool

HOSTS = ('--hostname', 'mail.example.org', '--domain', 'example.org')
SENDER = 'sender@client.example'
RECIPIENT = 'user@example.org'
ENVELOPE = [f'FROM:{SENDER}', f'TO:{RECIPIENT}']

HEADER = (b'Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n'
          b'From: Sender <sender@client.example>\r\n'
          b'To: User <user@example.org>\r\n'
          b'Message-ID: <1@client.example>\r\n'
          b'Subject: a test\r\n')


def lines_of(*lines):
    return b''.join(line + b'\r\n' for line in lines)


def five_megabytes():
    alphabet = bytes(c for c in range(32, 127) if c not in b'\\%')  # swaks reads these two in its own way
    return lines_of(*(bytes(random.Random(line).choices(alphabet, k=76)) for line in range(5 * 1024 * 1024 // 78)))


CONTENTS = {
    'ordinary': HEADER + lines_of(b'', b'Hello,', b'', b'this is a message.', b''),
    'dots': HEADER + lines_of(b'', b'.', b'..', b'...', b'.x', b' .', b'. ', b'x.', b'', b'.', b'x'),
    'a dot at the end': HEADER + lines_of(b'', b'x', b'.'),
    'no body': HEADER + b'\r\n',
    '8-bit': HEADER + lines_of(b'', *(bytes(range(first, first + 32)) for first in range(128, 256, 32))),
    'UTF-8 header': HEADER + lines_of('Comments: Grüße aus Köln, Γειά σου'.encode(), b'', 'Ελληνικά'.encode()),
    'controls': HEADER + lines_of(b'', bytes(c for c in range(1, 32) if c not in b'\r\n\x1a'), b'\x7f'),
    'one line of 1 MB': HEADER + lines_of(b'', b'x' * 1000000),
    '5 MB': HEADER + lines_of(b'') + five_megabytes(),
}


def run(*command, stdin=None):
    done = subprocess.run(command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{command[0]}: {done.returncode}: {done.stdout.decode(errors="replace")[-2000:]}')


class File:
    """Content in a file, its lines ended by CRLF or, as most of these programs read it, by LF."""

    def __init__(self, content, end=b'\n'):
        self.octets = content.replace(b'\r\n', end)

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(self.octets)
        self.file.seek(0)
        return self.file

    def __exit__(self, *_):
        self.file.close()


def swaks(port, content, *more):
    with File(content[:-2]) as file:  # it adds the last line end by itself
        run('swaks', '--server', '127.0.0.1', '--port', str(port), '--ehlo', 'client.example', '--from', SENDER,
            '--to', RECIPIENT, '--data', '@' + file.name, '--suppress-data', *more)


def swaks_pipelining(port, content):
    swaks(port, content, '--pipeline')


def curl(port, content):
    with File(content, b'\r\n') as file:
        run('curl', '-sS', '--mail-from', SENDER, '--mail-rcpt', RECIPIENT, '--upload-file', file.name,
            f'smtp://127.0.0.1:{port}/client.example')


def msmtp(port, content, *more):
    with File(content) as file:
        run('msmtp', '--file=/dev/null', '--host=127.0.0.1', f'--port={port}', '--domain=client.example',
            f'--from={SENDER}', '--auth=off', '--tls=off', '--set-from-header=off', '--set-date-header=off',
            '--undisclosed-recipients=off', '--remove-bcc-headers=off', *more, RECIPIENT, stdin=file)


def python_smtplib(port, content):
    with smtplib.SMTP('127.0.0.1', port, 'client.example', timeout=PATIENCE) as client:
        client.sendmail(SENDER, [RECIPIENT], content, ['BODY=8BITMIME'])


def smtp_source(port, content, *more, to=RECIPIENT):
    with File(content) as file:
        os.chmod(file.name, 0o644)
        run('smtp-source', '-M', 'client.example', '-f', SENDER, '-t', to, '-F', file.name, *more,
            f'inet:127.0.0.1:{port}')


SENDERS = {'swaks': swaks, 'swaks, pipelining': swaks_pipelining, 'curl': curl, 'msmtp': msmtp,
           'smtplib': python_smtplib, 'smtp-source': smtp_source}


EXTRA = {smtp_source: b'\r\n'}  # an empty line before the last dot, whatever the content


class Senders(unittest.TestCase):
    """Filled below: one test for each sender and content."""

    def deliver(self, send, content):
        with Spool() as spool:
            with Listener('--spool', spool.path, *HOSTS) as listener:
                send(listener.port, content)
            messages = spool.messages()
        self.assertEqual([envelope for envelope, _ in messages], [ENVELOPE])
        compare(self, messages[0][1], content + EXTRA.get(send, b''))


def compare(test, stored, sent):
    if stored != sent:
        at = next((i for i, (a, b) in enumerate(zip(stored, sent)) if a != b), min(len(stored), len(sent)))
        test.fail(f'{len(stored)} octets stored, {len(sent)} sent; from octet {at}: '
                  f'{stored[at - 20:at + 40]!r} for {sent[at - 20:at + 40]!r}')


def add_tests():
    for sender_name, send in SENDERS.items():
        for content_name, content in CONTENTS.items():
            if sender_name.startswith('swaks') and content_name in ('no body', 'a dot at the end'):
                continue  # it adds a body, and takes that dot for the end
            def test(self, send=send, content=content):
                self.deliver(send, content)
            test.__doc__ = f'{sender_name}: {content_name}'
            setattr(Senders, f'test_{sender_name}_{content_name}'.replace(' ', '_'), test)


add_tests()


class Special(unittest.TestCase):
    def spool_and_listener(self, *options):
        spool = self.enterContext(Spool())
        return spool, Listener('--spool', spool.path, *HOSTS, *options)

    def test_swaks_pipe(self):
        """swaks: --pipe"""
        with Spool() as spool, File(CONTENTS['dots'][:-2]) as file:
            run('swaks', '--pipe', f'{PROGRAM} --spool {spool.path} {" ".join(HOSTS)}', '--ehlo', 'client.example',
                '--from', SENDER, '--to', RECIPIENT, '--data', '@' + file.name)
            self.assertEqual(spool.messages(), [(ENVELOPE, CONTENTS['dots'])])

    def test_empty(self):
        """curl, smtplib: no content at all, or an empty line"""
        for send, stored in (curl, b''), (python_smtplib, b'\r\n'):
            spool, listener = self.spool_and_listener()
            with listener:
                send(listener.port, b'')
            self.assertEqual(spool.messages(), [(ENVELOPE, stored)], send.__name__)

    def test_refused(self):
        """swaks, curl, msmtp: all notice a refused recipient"""
        spool, listener = self.spool_and_listener('--refuse', RECIPIENT)
        with listener:
            for send in swaks, curl, msmtp:
                with self.assertRaises(AssertionError):
                    send(listener.port, CONTENTS['ordinary'])
        self.assertEqual(spool.files(), [])

    def test_too_big(self):
        """swaks, curl, smtplib: all notice a message that is too big"""
        spool, listener = self.spool_and_listener('--max-size', '1000000')
        with listener:
            for send in swaks, curl:
                with self.assertRaises(AssertionError):
                    send(listener.port, CONTENTS['one line of 1 MB'])
            with self.assertRaises(smtplib.SMTPSenderRefused) as refusal:
                python_smtplib(listener.port, CONTENTS['one line of 1 MB'])
            self.assertEqual(refusal.exception.smtp_code, 552)
        self.assertEqual(spool.files(), [])

    def test_smtputf8(self):
        """smtplib, curl: internationalized addresses"""
        message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
        message['From'] = 'Δοκιμή <δοκιμή@παράδειγμα.example>'
        message['To'] = 'Jürgen <jürgen@example.org>'
        message['Subject'] = 'Übung'
        message.set_content('Hallo\n', charset='utf-8', cte='8bit')
        spool, listener = self.spool_and_listener()
        with listener:
            with smtplib.SMTP('127.0.0.1', listener.port, 'client.example', timeout=PATIENCE) as client:
                client.send_message(message)
            with File(message.as_bytes(), b'\r\n') as file:
                run('curl', '-sS', '--mail-from', 'δοκιμή@παράδειγμα.example', '--mail-rcpt', 'jürgen@example.org',
                    '--upload-file', file.name, f'smtp://127.0.0.1:{listener.port}/client.example')
        first, second = spool.messages()
        self.assertEqual(first[0], ['FROM:δοκιμή@παράδειγμα.example', 'TO:jürgen@example.org'])
        self.assertEqual(first[1], message.as_bytes())
        self.assertEqual(second[1], message.as_bytes())

    def test_smtputf8_off(self):
        """smtplib: sees that SMTPUTF8 is not offered"""
        spool, listener = self.spool_and_listener('--smtputf8', 'off')
        with listener, smtplib.SMTP('127.0.0.1', listener.port, 'client.example', timeout=PATIENCE) as client:
            message = email.message.EmailMessage()
            message['From'], message['To'] = 'sender@client.example', 'jürgen@example.org'
            with self.assertRaises(smtplib.SMTPNotSupportedError):
                client.send_message(message)
        self.assertEqual(spool.files(), [])

    def test_sessions(self):
        """smtp-source: 200 messages for 10 recipients each, in 10 sessions at a time, each used again and again"""
        spool, listener = self.spool_and_listener()
        with listener:
            smtp_source(listener.port, CONTENTS['dots'], '-m', '200', '-s', '10', '-d', '-r', '10')
        messages = spool.messages()
        self.assertEqual(len(messages), 200)
        for envelope, content in messages:
            self.assertEqual(envelope[0], f'FROM:{SENDER}')
            self.assertEqual(len(envelope), 11)
            self.assertEqual(content, CONTENTS['dots'] + EXTRA[smtp_source])

    def test_lmtp_smtp_source(self):
        """smtp-source: LMTP, two recipients"""
        spool, listener = self.spool_and_listener('--lmtp')
        with listener:
            smtp_source(listener.port, CONTENTS['dots'], '-L', '-m', '20', '-s', '2', '-r', '2')
        messages = spool.messages()
        self.assertEqual([len(envelope) for envelope, _ in messages], [3] * 20)
        self.assertEqual({content for _, content in messages}, {CONTENTS['dots'] + EXTRA[smtp_source]})

    def test_lmtp_swaks(self):
        """swaks: LMTP, two recipients, and one that is refused"""
        spool, listener = self.spool_and_listener('--lmtp', '--refuse', 'nobody@example.org')
        with listener:
            swaks(listener.port, CONTENTS['8-bit'], '--protocol', 'LMTP', '--to',
                  f'{RECIPIENT},nobody@example.org,other@example.org')
        self.assertEqual(spool.messages(), [([*ENVELOPE, 'TO:other@example.org'], CONTENTS['8-bit'])])

    def test_lmtp_msmtp(self):
        """msmtp: LMTP, two recipients"""
        spool, listener = self.spool_and_listener('--lmtp')
        with listener:
            msmtp(listener.port, CONTENTS['5 MB'], '--protocol=lmtp', '--', 'other@example.org')
        self.assertEqual(spool.messages(),
                         [([ENVELOPE[0], 'TO:other@example.org', ENVELOPE[1]], CONTENTS['5 MB'])])

    def test_lmtp_smtplib(self):
        """smtplib: LMTP"""
        spool, listener = self.spool_and_listener('--lmtp')
        with listener, smtplib.LMTP('127.0.0.1', listener.port, 'client.example') as client:
            client.sendmail(SENDER, [RECIPIENT], CONTENTS['dots'])
        self.assertEqual(spool.messages(), [(ENVELOPE, CONTENTS['dots'])])

    def test_null_path(self):
        """swaks: a bounce, from <>"""
        spool, listener = self.spool_and_listener()
        with listener:
            swaks(listener.port, CONTENTS['ordinary'], '--from', '<>')
        self.assertEqual(spool.messages(), [(['FROM:', ENVELOPE[1]], CONTENTS['ordinary'])])
