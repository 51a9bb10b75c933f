"""test_maild_senders.py: mail programs of the world deliver to maild, and what is in the Maildir is what was sent.

By epoll and by poll, over SMTP and LMTP, TCP and Unix sockets, IPv4 and IPv6; at last Postfix and Exim relay to it.
"""

import os
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
import unittest

from harness import PATIENCE
from maild import Maild, wait_for
from matrix import TO_MAILD, cells
from test_senders import (CONTENTS, EXTRA, RECIPIENT, SENDER, SENDERS, File, compare, curl, msmtp, python_smtplib, run,
                          smtp_source, swaks)

LOOPS = {'epoll': (), 'poll': ('--poll',)}
OTHER = 'other@example.org'


def stored(content):
    return content.replace(b'\r\n', b'\n')


class Senders(unittest.TestCase):
    """Filled below: one test for each sender, content and kind of loop."""

    def deliver(self, send, content, options):
        with Maild(*options) as maild:
            send(maild.port, content)
            messages = maild.messages()
        self.assertEqual([message[:2] for message in messages], [(SENDER, RECIPIENT)])
        compare(self, messages[0][2], stored(content + EXTRA.get(send, b'')))


def add_tests():
    for sender_name, send in SENDERS.items():
        for content_name, content in CONTENTS.items():
            if sender_name.startswith('swaks') and content_name in ('no body', 'a dot at the end'):
                continue  # it adds a body, and takes that dot for the end
            for loop_name, options in LOOPS.items():
                def test(self, send=send, content=content, options=options):
                    self.deliver(send, content, options)
                cells(TO_MAILD, sender_name.partition(',')[0], 'plain')(test)
                test.__doc__ = f'maild, {loop_name}: {sender_name}: {content_name}'
                setattr(Senders, f'test_maild_{loop_name}_{sender_name}_{content_name}'.replace(' ', '_'), test)


add_tests()


class Special(unittest.TestCase):
    @staticmethod
    def each_loop(*options, **more):
        for loop in LOOPS.values():
            with Maild(*options, *loop, **more) as maild:
                yield maild

    def check(self, maild, content, *recipients):
        """One message for each of them, who are named in it if it is alone."""
        for recipient in recipients:
            messages = maild.messages(recipient)
            named = recipient if len(recipients) == 1 else None
            self.assertEqual([message[:2] for message in messages], [(SENDER, named)], recipient)
            compare(self, messages[0][2], stored(content))
        self.assertEqual(len(maild.files()), len(recipients))

    def test_maild_recipients(self):
        """maild: swaks, msmtp, smtplib: three recipients, one copy for each and on the disk one for all"""
        recipients = [RECIPIENT, OTHER, 'third@example.org']
        def by_smtplib(port, content):
            with smtplib.SMTP('127.0.0.1', port, 'client.example', timeout=PATIENCE) as client:
                client.sendmail(SENDER, recipients, content, ['BODY=8BITMIME'])
        for send in (lambda port, content: swaks(port, content, '--to', ','.join(recipients)),
                     lambda port, content: msmtp(port, content, '--', *recipients[1:]), by_smtplib):
            for maild in self.each_loop():
                send(maild.port, CONTENTS['8-bit'])
                self.check(maild, CONTENTS['8-bit'], *recipients)
                self.assertEqual(len({os.stat(name).st_ino for name in maild.files()}), 1)

    def test_maild_named_twice(self):
        """maild: smtplib: a recipient that is named twice gets one copy"""
        for maild in self.each_loop():
            with smtplib.SMTP('127.0.0.1', maild.port, 'client.example', timeout=PATIENCE) as client:
                client.sendmail(SENDER, [RECIPIENT, RECIPIENT.replace('example.org', 'EXAMPLE.ORG')],
                                CONTENTS['ordinary'])
            self.assertEqual([message[2] for message in maild.messages()], [stored(CONTENTS['ordinary'])])

    def test_maild_null_path(self):
        """maild: swaks: a bounce, from <>"""
        for maild in self.each_loop():
            swaks(maild.port, CONTENTS['ordinary'], '--from', '<>')
            self.assertEqual(maild.messages(), [('', RECIPIENT, stored(CONTENTS['ordinary']))])

    def test_maild_refused(self):
        """maild: swaks, curl, msmtp: all notice a refused recipient; it is in the log"""
        for maild in self.each_loop('--refuse', RECIPIENT):
            for send in swaks, curl, msmtp:
                with self.assertRaises(AssertionError):
                    send(maild.port, CONTENTS['ordinary'])
            self.assertEqual(maild.files(), [])
            maild.wait_log('maild: refused RCPT 550 ', 3)
            self.assertIn(f' from=<{SENDER}> to=<{RECIPIENT}>', maild.log())

    def test_maild_too_big(self):
        """maild: swaks, curl, smtplib: all notice a message that is too big, by SIZE or at its end"""
        for maild in self.each_loop('--max-size', '1000000'):
            for send in swaks, curl:
                with self.assertRaises(AssertionError):
                    send(maild.port, CONTENTS['one line of 1 MB'])
            with self.assertRaises(smtplib.SMTPSenderRefused) as refusal:
                python_smtplib(maild.port, CONTENTS['one line of 1 MB'])
            self.assertEqual(refusal.exception.smtp_code, 552)
            self.assertEqual(maild.files(), [])

    def test_maild_parallel(self):
        """maild: smtp-source: 500 messages for 5 recipients each in 50 sessions at a time"""
        for maild in self.each_loop():
            smtp_source(maild.port, CONTENTS['dots'], '-m', '500', '-s', '50', '-d', '-r', '5')
            messages = maild.messages()
            self.assertEqual(len(messages), 2500)
            self.assertEqual(set(messages), {(SENDER, None, stored(CONTENTS['dots'] + EXTRA[smtp_source]))})
            maild.wait_log('maild: accepted id=', 500)
            self.assertEqual(maild.log().count('maild: accepted id='), 500)

    @cells(TO_MAILD, 'smtp-source', 'LMTP')
    def test_maild_parallel_lmtp(self):
        """maild: smtp-source: LMTP, 200 messages for 3 recipients each in 50 sessions at a time"""
        for maild in self.each_loop(listen=('--lmtp-listen', '127.0.0.1:0')):
            smtp_source(maild.lmtp_port, CONTENTS['dots'], '-L', '-m', '200', '-s', '50', '-r', '3')
            messages = maild.messages()
            self.assertEqual(len(messages), 600)
            self.assertEqual(set(messages), {(SENDER, None, stored(CONTENTS['dots'] + EXTRA[smtp_source]))})

    def test_maild_discard(self):
        """maild: smtp-source: --discard takes and drops"""
        for maild in self.each_loop('--discard'):
            smtp_source(maild.port, CONTENTS['8-bit'], '-m', '100', '-s', '10', '-d')
            maild.wait_log('maild: accepted id=', 100)
            self.assertEqual(maild.log().count('maild: accepted id='), 100)
            self.assertEqual(os.listdir(maild.maildir), [])

    @cells(TO_MAILD, 'swaks', 'LMTP')
    @cells(TO_MAILD, 'msmtp', 'LMTP')
    @cells(TO_MAILD, 'smtplib', 'LMTP')
    def test_maild_lmtp(self):
        """maild: LMTP: swaks with a refused recipient, msmtp, smtplib"""
        for maild in self.each_loop('--refuse', 'nobody@example.org', listen=('--lmtp-listen', '127.0.0.1:0')):
            swaks(maild.lmtp_port, CONTENTS['8-bit'], '--protocol', 'LMTP', '--to',
                  f'{RECIPIENT},nobody@example.org,{OTHER}')
            self.check(maild, CONTENTS['8-bit'], RECIPIENT, OTHER)
        for maild in self.each_loop(listen=('--lmtp-listen', '127.0.0.1:0')):
            msmtp(maild.lmtp_port, CONTENTS['5 MB'], '--protocol=lmtp', '--', OTHER)
            self.check(maild, CONTENTS['5 MB'], RECIPIENT, OTHER)
        for maild in self.each_loop(listen=('--lmtp-listen', '127.0.0.1:0')):
            with smtplib.LMTP('127.0.0.1', maild.lmtp_port, 'client.example') as client:
                client.sendmail(SENDER, [RECIPIENT], CONTENTS['dots'])
            self.check(maild, CONTENTS['dots'], RECIPIENT)

    def test_maild_unix_socket(self):
        """maild: LMTP on a Unix socket: swaks, msmtp; the socket is removed at the end"""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(directory, 'lmtp')

        def by_swaks(content):
            with File(content[:-2]) as file:
                run('swaks', '--socket', path, '--protocol', 'LMTP', '--ehlo', 'client.example', '--from', SENDER,
                    '--to', f'{RECIPIENT},{OTHER}', '--data', '@' + file.name, '--suppress-data')

        def by_msmtp(content):
            msmtp(1, content, f'--socket={path}', '--protocol=lmtp', '--', OTHER)

        for send in by_swaks, by_msmtp:  # smtplib.LMTP reads one reply for all recipients
            for content in 'ordinary', '5 MB':
                for maild in self.each_loop(listen=('--lmtp-listen', path)):
                    self.assertEqual(maild.lmtp_port, path)
                    send(CONTENTS[content])
                    self.check(maild, CONTENTS[content], RECIPIENT, OTHER)
                self.assertEqual(os.listdir(directory), [])

    def test_maild_stale_socket(self):
        """maild: a Unix socket that nobody listens on any more is replaced, one in use is not"""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(directory, 'lmtp')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with Maild(listen=('--lmtp-listen', path)) as maild:
            second = subprocess.run([*maild.process.args], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(b'Address already in use', second.stderr)
            with smtplib.LMTP(path, local_hostname='client.example') as client:
                client.sendmail(SENDER, [RECIPIENT], CONTENTS['ordinary'])
            self.check(maild, CONTENTS['ordinary'], RECIPIENT)

    def test_maild_ipv6(self):
        """maild: IPv6: curl, msmtp, smtplib, smtp-source"""
        def by_curl(port, content):
            with File(content, b'\r\n') as file:
                run('curl', '-sS', '--mail-from', SENDER, '--mail-rcpt', RECIPIENT, '--upload-file', file.name,
                    f'smtp://[::1]:{port}/client.example')

        def by_msmtp(port, content):
            msmtp(port, content, '--host=::1')

        def by_smtplib(port, content):
            with smtplib.SMTP('::1', port, 'client.example', timeout=PATIENCE) as client:
                client.sendmail(SENDER, [RECIPIENT], content, ['BODY=8BITMIME'])

        def by_smtp_source(port, content):
            with File(content) as file:
                run('smtp-source', '-M', 'client.example', '-f', SENDER, '-t', RECIPIENT, '-F', file.name,
                    f'inet:[::1]:{port}')
        for send in by_curl, by_msmtp, by_smtplib, by_smtp_source:
            for maild in self.each_loop(listen=('--listen', '[::1]:0')):
                send(maild.port, CONTENTS['dots'])
                self.check(maild, CONTENTS['dots'] + (b'\r\n' if send is by_smtp_source else b''), RECIPIENT)
                with open(maild.files()[0]) as file:
                    self.assertIn('[IPv6:::1]', file.read())

    def test_maild_all_at_once(self):
        """maild: SMTP on two addresses, LMTP on TCP and on a Unix socket, in one server"""
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), 'lmtp')
        for maild in self.each_loop(listen=('--listen', '127.0.0.1:0', '--listen', '[::1]:0', '--lmtp-listen',
                                            '127.0.0.1:0', '--lmtp-listen', path)):
            python_smtplib(maild.port, CONTENTS['8-bit'])
            for where in maild.lmtp_port, path:
                with smtplib.LMTP(*((where,) if where == path else ('127.0.0.1', where)),
                                  local_hostname='client.example') as client:
                    client.sendmail(SENDER, [RECIPIENT], CONTENTS['8-bit'])
            self.assertEqual([message[2] for message in maild.messages()], [stored(CONTENTS['8-bit'])] * 3)


# ---- relays ----

RELAYED = ('ordinary', 'dots', 'a dot at the end', 'no body', '8-bit', 'UTF-8 header', 'controls', 'one line of 1 MB',
           '5 MB')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Relay:
    """A mail server in the foreground with a directory of its own, which passes all on to maild."""
    environment = os.environ

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix='ehlo-relay-')
        os.chmod(self.directory.name, 0o755)  # its parts run as other users
        self.port = free_port()
        self.configure(self.directory.name)
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True, env=self.environment)
        try:
            wait_for(self.listens, 20, f'{self.command} to listen')
        except AssertionError as error:
            text = self.log()
            self.__exit__()
            raise AssertionError(text) from error
        return self

    def listens(self):
        assert self.process.poll() is None, self.log()
        try:
            socket.create_connection(('127.0.0.1', self.port), 1).close()
        except OSError:
            return False
        return True

    def log(self):
        text = ''
        self.output.seek(0)
        text += self.output.read().decode(errors='replace')
        for name in self.logs:
            if os.path.exists(name):
                with open(name, errors='replace') as file:
                    text += file.read()
        return text

    def stop(self):
        self.process.terminate()

    def __exit__(self, *_):
        self.stop()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.directory.cleanup()


class Postfix(Relay):
    """`more`: further settings."""

    def __init__(self, transport, **more):
        self.transport, self.more = transport, more

    def stop(self):
        """Its master is in a session of its own."""
        with open(f'{self.directory.name}/queue/pid/master.pid') as file:
            os.kill(int(file.read()), signal.SIGTERM)

    def configure(self, directory):
        self.logs = [f'{directory}/log']
        self.command = ['postfix', '-c', f'{directory}/etc', 'start-fg']
        for name in 'etc', 'queue', 'data':
            os.mkdir(f'{directory}/{name}')
        run('chown', 'postfix', f'{directory}/data')
        settings = {
            'compatibility_level': '3.6', 'queue_directory': f'{directory}/queue',
            'data_directory': f'{directory}/data',
            'maillog_file': f'{directory}/log', 'maillog_file_prefixes': directory, 'myhostname': 'relay.example',
            'mydestination': '', 'mynetworks': '127.0.0.0/8', 'inet_interfaces': '127.0.0.1',
            'inet_protocols': 'ipv4', 'relayhost': '', 'default_transport': self.transport, 'alias_maps': '',
            'local_recipient_maps': '', 'relay_domains': '', 'smtpd_relay_restrictions': 'permit_mynetworks, reject',
            'smtp_line_length_limit': '0', 'lmtp_line_length_limit': '0', 'notify_classes': '',
            'message_size_limit': '0',
            'smtp_dns_support_level': 'disabled', 'lmtp_dns_support_level': 'disabled', 'biff': 'no',
            'smtpd_peername_lookup': 'no', 'minimal_backoff_time': '1s', 'queue_run_delay': '1s',
            'smtp_host_lookup': 'native', 'lmtp_host_lookup': 'native', 'disable_mime_output_conversion': 'yes',
            'mailbox_size_limit': '0', **self.more}
        with open(f'{directory}/etc/main.cf', 'w') as file:
            file.writelines(f'{name} = {value}\n' for name, value in settings.items())
        services = [f'127.0.0.1:{self.port} inet n - n - - smtpd', 'cleanup unix n - n - 0 cleanup',
                    'qmgr unix n - n 300 1 qmgr', 'rewrite unix - - n - - trivial-rewrite',
                    'anvil unix - - n - 1 anvil', 'scache unix - - n - 1 scache',
                    'postlog unix-dgram n - n - 1 postlogd',
                    'proxymap unix - - n - - proxymap', 'smtp unix - - n - - smtp', 'lmtp unix - - n - - lmtp',
                    'tlsmgr unix - - n 1000? 1 tlsmgr', 'flush unix n - n 1000? 0 flush']
        services += [f'{name} unix - - n - 0 bounce' for name in ('bounce', 'defer', 'trace')]
        services += [f'{name} unix - - n - - error' for name in ('error', 'retry')]
        with open(f'{directory}/etc/master.cf', 'w') as file:
            file.writelines(f'{service}\n' for service in services)


class Exim(Relay):
    """`main`, `transport`, `authenticators`, `acls`: further lines of the configuration."""
    acls = ''

    def __init__(self, port, main='', transport='', authenticators='', tls_hosts=''):
        self.server, self.main, self.transport, self.authenticators = port, main, transport, authenticators
        self.tls_hosts = tls_hosts  # to which STARTTLS is offered

    def configure(self, directory):
        self.logs = [f'{directory}/{name}log' for name in ('main', 'panic')]
        # It starts itself anew, as its own user, who cannot look into every place where a tree may stand.
        program = shutil.copy(os.environ['EXIM'], f'{directory}/exim')
        self.command = [program, '-C', f'{directory}/conf', '-bdf', '-oP', f'{directory}/pid']
        for name in 'spool', '.':
            os.makedirs(f'{directory}/{name}', exist_ok=True)
            run('chown', 'Debian-exim:Debian-exim', f'{directory}/{name}')
        with open(f'{directory}/conf', 'w') as file:
            file.write(f'''
exim_path = {program}
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {directory}/spool
log_file_path = {directory}/%slog
primary_hostname = relay.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
tls_advertise_hosts = {self.tls_hosts}
host_lookup =
rfc1413_hosts =
keep_environment =
accept_8bitmime = true
acl_smtp_rcpt = all
acl_smtp_data = all
never_users =
qualify_domain = relay.example
{self.main}

begin acl
all:
  accept
{self.acls}

begin routers
maild:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1
  self = send

begin transports
smtp:
  driver = smtp
  port = {self.server}
  allow_localhost
  hosts_try_fastopen =
  message_linelength_limit = 100000000
{self.transport}

begin retry
* * F,1h,1s

begin authenticators
{self.authenticators}
''')


class Relays(unittest.TestCase):
    """The relay gets each kind of content by smtplib and adds a Received of its own, which is all it may differ in."""

    def relay(self, relay, maild):
        for name in RELAYED:
            python_smtplib(relay.port, CONTENTS[name].replace(b'<1@client.example>', f'<{name}>'.encode()))
        wait_for(lambda: len(maild.files()) >= len(RELAYED), 30, f'all messages:\n{relay.log()}{maild.log()}')
        messages = {}
        for sender, recipient, content in maild.messages():
            self.assertEqual((sender, recipient), (SENDER, RECIPIENT))
            self.assertTrue(content.startswith(b'Received: '), content[:200])
            content = content[content.index(b'\nDate: ') + 1:]
            messages[content[content.index(b'Message-ID: <') + 13:].partition(b'>')[0].decode()] = content
        self.assertEqual(set(messages), set(RELAYED))
        for name in RELAYED:
            with self.subTest(name):
                compare(self, messages[name], stored(CONTENTS[name].replace(b'<1@client.example>',
                                                                            f'<{name}>'.encode())))
        self.assertNotIn('refused', maild.log())

    @cells(TO_MAILD, 'Postfix', 'plain')
    def test_maild_postfix(self):
        """maild: Postfix relays to it over SMTP"""
        with Maild() as maild, Postfix(f'smtp:[127.0.0.1]:{maild.port}') as relay:
            self.relay(relay, maild)

    @cells(TO_MAILD, 'Postfix', 'LMTP')
    def test_maild_postfix_lmtp(self):
        """maild: Postfix delivers to it over LMTP on TCP"""
        with Maild('--poll', listen=('--lmtp-listen', '127.0.0.1:0')) as maild:
            with Postfix(f'lmtp:inet:127.0.0.1:{maild.lmtp_port}') as relay:
                self.relay(relay, maild)

    def test_maild_postfix_lmtp_socket(self):
        """maild: Postfix delivers to it over LMTP on a Unix socket"""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(directory, 0o755)
        path = f'{directory}/lmtp'
        with Maild(listen=('--lmtp-listen', path)) as maild, Postfix(f'lmtp:unix:{path}') as relay:
            os.chmod(path, 0o666)
            self.relay(relay, maild)

    @cells(TO_MAILD, 'Exim', 'plain')
    def test_maild_exim(self):
        """maild: Exim relays to it over SMTP"""
        with Maild('--poll') as maild, Exim(maild.port) as relay:
            self.relay(relay, maild)
