"""receivers.py: mail servers that test_send_receivers.py has examples/send deliver to.

Each runs in the foreground on loopback addresses, with a configuration, a spool and mailboxes in a directory of its
own, all gone at the end of the with statement. All take mail for any address at example.org, but say 550 to those that
begin with "refused", and 450, where they can be told to, to those that begin with "later".

What a server does to a message on its way into the mailbox is its own affair, and is told here for each, to be taken
off; nothing else may differ:

    receiver      in front of the message                   line ends   beside that
    Postfix       Return-Path, X-Original-To,               LF          an empty line before a body that has no header
                  Delivered-To, Received
    Exim          Return-path, Envelope-to, Delivery-date,  LF          an empty line behind the header, whether or not
                  Received                                              there is a body
    sendmail      (a line of its mailer's), Received        LF          an empty line behind the header, whether or not
                                                                        there is a body
    OpenSMTPD     Return-Path, Delivered-To, Received       LF          Date, Message-ID behind a header that lacks them
    aiosmtpd      (a line of aiosmtpd_receiver.py)          CRLF
    smtp-server   (a line of smtp_server_receiver.js)       CRLF
    smtp-sink     X-Client-Addr, X-Client-Proto,            LF          an empty line at the end
                  X-Helo-Args, X-Mail-Args, X-Rcpt-Args,
                  Received
    maild         Return-Path, Delivered-To for one         LF
                  recipient, Received
    stdio-server                                            CRLF
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import tempfile
import time
import urllib.parse

import sendmail
from harness import Listener, Spool
from maild import ADDED, Maild, wait_for
from test_maild_senders import Relay
from test_maild_senders import Postfix as PostfixRelay
from test_senders import HOSTS, run

HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = 65534
DOMAIN = 'example.org'
MOST = 300  # recipients of a transaction

FIELD = rb'[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*'
RETURN_PATH = rb'(?i:Return-path): <[^\n]*>\n'
RECEIVED = rb'Received: [^\n]*\n(?:[ \t][^\n]*\n)*'


def header_and_rest(content):
    """Of a message with LF as line ending."""
    end = re.match(rb'(?:%b)*' % FIELD, content).end()
    return content[:end], content[end:]


def connect(where):
    if '/' in where:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(where)
        return connection
    host, _, port = where.rpartition(':')
    return socket.create_connection((host.strip('[]'), int(port)), 1)


class Receiver:
    """A server. `where`: {'ipv4', 'ipv6', 'lmtp', 'unix', 'unix lmtp': a place as send's --server has it}."""
    NAME = None
    ADDS = None            # in front: a pattern, with the recipient in a group of that name
    QUEUES = False         # what it has said 250 to is in the mailbox later
    PIPELINING = True
    ENHANCED = True        # status codes
    SMTPUTF8 = False
    CHUNKING = False
    MOST = MOST            # what is over it gets 452; None: it does not count
    REFUSES = (550, 450)   # what it can be told to say
    LONGEST_LINE = None    # of content; None: any
    NEEDS_HEADER = False   # refuses with 550 5.7.1 what does not begin with a header

    def stored(self, content):
        """What becomes of a message behind ADDS."""
        return content.replace(b'\r\n', b'\n')

    def files(self):
        """Those that are complete: one for each message and recipient, or for each message."""
        raise NotImplementedError

    def read(self, name):
        """[(recipient, octets behind ADDS)] of a file."""
        with open(name, 'rb') as file:
            octets = file.read()
        added = re.match(self.ADDS, octets)
        assert added, f'{self.NAME}: {octets[:1000]}'
        return [(added['recipient'].decode(), octets[added.end():])]

    def take(self, count):
        """[(recipient, octets behind ADDS)] in their order, once there are so many. They are removed."""
        if self.QUEUES:
            wait_for(lambda: len(self.files()) >= count, because=f'{count} files of {self.NAME}')
        found = []
        for name in self.files():
            found += self.read(name)
            os.unlink(name)
        return sorted(found)

    def discard(self):
        """What a test that failed has left must not make others fail."""
        if self.QUEUES:
            time.sleep(2)
        for name in self.files():
            os.unlink(name)

    def connections(self):
        """How many it has had, or None if it does not say."""

    def log(self):
        return ''


class Daemon(Relay, Receiver):
    """What subclasses have: `command` and `logs`, set by `configure`; the rest of a Receiver."""
    CONNECTION = None  # what is in the log for each connection

    @property
    def where(self):
        return {'ipv4': f'127.0.0.1:{self.port}', 'ipv6': f'[::1]:{self.port}'}

    def listens(self):
        assert self.process.poll() is None, self.log()
        try:
            for where in self.where.values():
                connect(where).close()
        except OSError:
            return False
        return True

    def files(self):
        return glob.glob(f'{self.directory.name}/mail/*/new/*')

    def connections(self):
        return self.CONNECTION and len(re.findall(self.CONNECTION, self.log()))

    def processes(self):
        """All that have to do with its directory, whatever sessions and groups they have made for themselves."""
        directory, found = self.directory.name, []
        for process in glob.glob('/proc/[0-9]*'):
            with contextlib.suppress(OSError):
                places = [os.readlink(f'{process}/{what}') for what in ('cwd', 'root', 'exe')]
                with open(f'{process}/cmdline') as file:
                    places += file.read().split('\0')
                if any(place.startswith(directory) for place in places):
                    found.append(int(process[6:]))
        return found

    def __exit__(self, *_):
        try:
            self.stop()
            self.process.wait(20)
            wait_for(lambda: self.processes() == [], 20, f'the processes of {self.NAME} to end')
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(20)
            self.output.close()
            self.directory.cleanup()


class Postfix(Daemon):
    """virtual(8) delivers to a Maildir."""
    NAME = 'Postfix'
    CHUNKING = True
    QUEUES = True
    ADDS = RETURN_PATH + rb'X-Original-To: [^\n]*\nDelivered-To: (?P<recipient>[^\n]*)\n' + RECEIVED
    SMTPUTF8 = True
    CONNECTION = r'smtpd\[\d+\]: connect from'

    def stored(self, content):
        header, rest = header_and_rest(super().stored(content))
        return header + (b'' if rest[:1] in (b'', b'\n') else b'\n') + rest

    def stop(self):
        """There is no such file if it has not come so far; then it ends by itself."""
        with contextlib.suppress(FileNotFoundError):
            PostfixRelay.stop(self)

    def configure(self, directory):
        self.logs = [f'{directory}/log']
        self.command = ['postfix', '-c', f'{directory}/etc', 'start-fg']
        for name in 'etc', 'queue', 'data', 'mail':
            os.mkdir(f'{directory}/{name}')
        run('chown', 'postfix', f'{directory}/data')
        os.chown(f'{directory}/mail', NOBODY, NOBODY)
        settings = {
            'compatibility_level': '3.6', 'queue_directory': f'{directory}/queue',
            'data_directory': f'{directory}/data', 'maillog_file': f'{directory}/log',
            'maillog_file_prefixes': directory, 'myhostname': 'postfix.example', 'mydestination': '',
            'inet_interfaces': '127.0.0.1, [::1]', 'inet_protocols': 'all', 'alias_maps': '', 'biff': 'no',
            'smtpd_peername_lookup': 'no', 'notify_classes': '', 'message_size_limit': '0', 'smtputf8_enable': 'yes',
            'virtual_mailbox_domains': DOMAIN, 'virtual_mailbox_base': f'{directory}/mail',
            'virtual_mailbox_maps': 'static:all/', 'virtual_mailbox_limit': '0',
            'virtual_uid_maps': f'static:{NOBODY}', 'virtual_gid_maps': f'static:{NOBODY}',
            'local_header_rewrite_clients': '',  # no fields are added for those that are missing
            'smtpd_relay_restrictions': 'reject_unauth_destination',
            'smtpd_recipient_restrictions': f'check_recipient_access regexp:{directory}/etc/recipients',
            'smtpd_recipient_limit': self.MOST, 'smtpd_hard_error_limit': '10000', 'smtpd_error_sleep_time': '0'}
        services = [f'{host}:{self.port} inet n - n - - smtpd' for host in ('127.0.0.1', '[::1]')]
        services += ['cleanup unix n - n - 0 cleanup', 'qmgr unix n - n 300 1 qmgr', 'virtual unix - n n - - virtual',
                     'rewrite unix - - n - - trivial-rewrite', 'anvil unix - - n - 1 anvil',
                     'postlog unix-dgram n - n - 1 postlogd', 'proxymap unix - - n - - proxymap',
                     'flush unix n - n 1000? 0 flush']
        services += [f'{name} unix - - n - 0 bounce' for name in ('bounce', 'defer', 'trace')]
        services += [f'{name} unix - - n - - error' for name in ('error', 'retry')]
        for name, lines in {'main.cf': [f'{name} = {value}' for name, value in settings.items()],
                            'master.cf': services,
                            'recipients': ['/^refused/ 550 5.1.1 No such mailbox here',
                                           '/^later/ 450 4.2.1 Come again']}.items():
            with open(f'{directory}/etc/{name}', 'w') as file:
                file.writelines(f'{line}\n' for line in lines)


class Exim(Daemon):
    """Its appendfile transport delivers to a Maildir."""
    NAME = 'Exim'
    CHUNKING = True
    ENHANCED = False
    QUEUES = True
    ADDS = RETURN_PATH + rb'Envelope-to: (?P<recipient>[^\n]*)\nDelivery-date: [^\n]*\n' + RECEIVED
    SMTPUTF8 = True
    CONNECTION = r'SMTP connection from [^\n]* \(TCP/IP connection count'

    def stored(self, content):
        header, rest = header_and_rest(super().stored(content))
        return header + (b'' if rest[:1] == b'\n' else b'\n') + rest

    def configure(self, directory):
        self.logs = [f'{directory}/{name}log' for name in ('main', 'panic')]
        # It starts itself anew, as its own user, who cannot look into every place where a tree may stand.
        program = shutil.copy(os.environ['EXIM'], f'{directory}/exim')
        self.command = [program, '-C', f'{directory}/conf', '-bdf', '-oP', f'{directory}/pid']
        for name in 'spool', 'mail', '.':
            os.makedirs(f'{directory}/{name}', exist_ok=True)
            run('chown', 'Debian-exim:Debian-exim', f'{directory}/{name}')
        with open(f'{directory}/conf', 'w') as file:
            file.write(f'''
exim_path = {program}
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {directory}/spool
log_file_path = {directory}/%slog
log_selector = +smtp_connection
primary_hostname = exim.example
local_interfaces = <; 127.0.0.1 ; ::1
daemon_smtp_ports = {self.port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
keep_environment =
smtputf8_advertise_hosts = *
message_size_limit = 0
recipients_max = {self.MOST}
acl_smtp_rcpt = recipients
acl_smtp_data = all
never_users =
qualify_domain = exim.example

begin acl
recipients:
  deny local_parts = ^refused
    message = 550 5.1.1 No such mailbox here
  defer local_parts = ^later
    message = 450 4.2.1 Come again
  accept domains = {DOMAIN}
all:
  accept

begin routers
all:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {directory}/mail/all
  user = Debian-exim
  envelope_to_add
  return_path_add
  delivery_date_add

begin retry
* * F,1h,1s
''')


class Sendmail(Daemon):
    """A script for its mailer has a file for each message and recipient."""
    NAME = 'sendmail'
    QUEUES = True
    ADDS = rb'To: (?P<recipient>[^\n]*)\n' + RECEIVED
    environment = sendmail.ENVIRONMENT

    def stored(self, content):
        header, rest = header_and_rest(super().stored(content))
        return header + (b'' if rest[:1] == b'\n' else b'\n') + rest

    def configure(self, directory):
        self.logs = []  # syslog or, with all content, a file of its dialogues is all it knows
        os.mkdir(f'{directory}/mail')
        os.chown(f'{directory}/mail', NOBODY, NOBODY)
        with open(f'{directory}/mailer', 'w') as file:
            file.write(f'''#!/bin/sh
cd {directory}/mail && cat >$$.tmp || exit 75
for recipient; do
  {{ echo "To: $recipient"; cat $$.tmp; }} >$$-$recipient.tmp && mv $$-$recipient.tmp $$-$recipient.eml || exit 75
done
rm $$.tmp
''')
        os.chmod(f'{directory}/mailer', 0o755)
        listen = [f'DaemonPortOptions=Family={family}, Addr={address}, Port={self.port}, Name={family}'
                  for family, address in {'inet': '127.0.0.1', 'inet6': '::1'}.items()]
        options = *listen, f'DefaultUser={NOBODY}:{NOBODY}', f'MaxRecipientsPerMessage={self.MOST}'
        self.command = sendmail.configure(directory, 'sendmail.example', '\n'.join(options), f'''
Krefused regex -aREFUSED ^<?refused
Klater regex -aLATER ^<?later
Sparse=0
R$+	$#local $: $1
Scheck_rcpt
R$+	$: $(refused $1 $: $1 $)
R$+	$: $(later $1 $: $1 $)
RREFUSED	$#error $@ 5.1.1 $: "550 No such mailbox here"
RLATER	$#error $@ 4.2.1 $: "450 Come again"
Mlocal, P={directory}/mailer, F=lmnu, A=mailer $u''')

    def files(self):
        return glob.glob(f'{self.directory.name}/mail/*.eml')


class OpenSMTPD(Daemon):
    """Its maildir action delivers to Maildirs. All its paths are fixed, so it gets a root directory of its own."""
    NAME = 'OpenSMTPD'
    QUEUES = True
    PIPELINING = False
    ADDS = RETURN_PATH + rb'Delivered-To: (?P<recipient>[^\n]*)\n' + RECEIVED
    MOST = 1000  # what is over it gets 451
    LONGEST_LINE = 65535 - 2
    NEEDS_HEADER = True
    CONNECTION = r'smtp connected'

    def __init__(self, most=MOST):
        self.MOST = most

    def read(self, name):
        [(recipient, octets)] = super().read(name)
        header, rest = header_and_rest(octets)
        header = re.sub(rb'(?m)^(?:Date: [^\n]* \([^()\n]*\)|Message-ID: <[0-9a-f]+@opensmtpd\.example>)\n', b'', header)
        return [(recipient, header + rest)]

    def files(self):
        return glob.glob(f'{self.directory.name}/root/mail/*/new/*')

    def configure(self, directory):
        self.logs = []
        root = f'{directory}/root'
        shutil.copytree(os.environ['OPENSMTPD'], root)
        for name, mode in {'var/spool/smtpd': 0o711, 'tmp': 0o1777, 'mail': 0o777}.items():
            os.chmod(f'{root}/{name}', mode)
        for name, number in {'null': 3, 'urandom': 9}.items():
            os.mknod(f'{root}/dev/{name}', 0o020666, os.makedev(1, number))
            os.chmod(f'{root}/dev/{name}', 0o666)
        with open(f'{root}/etc/smtpd.conf', 'w') as file:
            file.write(f'''
table everybody {{ "@" = "mail" }}
table unknown {{ "^refused.*" }}
table busy {{ "^later.*" }}
smtp max-message-size "1G"
smtp limit max-mails 1000
smtp limit max-rcpt {self.MOST}
filter refused phase rcpt-to match rcpt-to regex <unknown> reject "550 5.1.1 No such mailbox here"
filter later phase rcpt-to match rcpt-to regex <busy> reject "450 4.2.1 Come again"
filter both chain {{ refused, later }}
listen on 127.0.0.1 port {self.port} hostname opensmtpd.example filter both
listen on ::1 port {self.port} hostname opensmtpd.example filter both
action store maildir "/mail/%{{rcpt}}" virtual <everybody>
match from any for domain "{DOMAIN}" action store
''')
        self.command = ['chroot', root, '/usr/sbin/smtpd', '-d']


class Aiosmtpd(Daemon):
    """aiosmtpd_receiver.py, run by the system's python3, for which the package is installed."""
    NAME = 'aiosmtpd'
    PIPELINING = ENHANCED = False
    ADDS = rb'To: (?P<recipient>[^\n]*)\n'
    SMTPUTF8 = True
    CONNECTION = r'hello from'

    def stored(self, content):
        return content

    def configure(self, directory):
        self.logs = []
        os.mkdir(f'{directory}/mail')
        self.command = ['/usr/bin/python3', f'{HERE}/aiosmtpd_receiver.py', str(self.port), f'{directory}/mail',
                        str(self.MOST)]

    def files(self):
        return glob.glob(f'{self.directory.name}/mail/*.eml')


class SmtpServer(Daemon):
    """smtp_server_receiver.js, which `how` is told to."""
    NAME = 'smtp-server'
    ADDS = rb'To: (?P<recipient>[^\n]*)\n'
    SMTPUTF8 = True
    CONNECTION = r'connection from'

    def __init__(self, *how):
        self.how = how

    @property
    def where(self):
        return {'lmtp': f'127.0.0.1:{self.port}'} if 'lmtp' in self.how else super().where

    def stored(self, content):
        return content

    def configure(self, directory):
        self.logs = []
        os.mkdir(f'{directory}/mail')
        self.command = ['node', f'{HERE}/smtp_server_receiver.js', os.environ['SMTP_SERVER'], str(self.port),
                        f'{directory}/mail', str(self.MOST), *self.how]

    def files(self):
        return glob.glob(f'{self.directory.name}/mail/*.eml')


class SmtpSink(Daemon):
    """Dumps to files, one for each message. `options` are its own; `at`: the one place where it is to listen."""
    NAME = 'smtp-sink'
    ADDS = rb'(?:X-[A-Z][A-Za-z]*-(?:Addr|Proto|Args): [^\n]*\n)+' + RECEIVED
    MOST = None
    REFUSES = ()

    def __init__(self, *options, at='ipv4'):
        self.options, self.at = options, at

    @property
    def where(self):
        host = '[::1]' if self.at == 'ipv6' else '127.0.0.1'
        return {self.at: f'{self.directory.name}/socket' if 'unix' in self.at else f'{host}:{self.port}'}

    def stored(self, content):
        return super().stored(content) + b'\n'

    def configure(self, directory):
        self.logs = []
        os.mkdir(f'{directory}/mail')
        os.chown(f'{directory}/mail', NOBODY, NOBODY)
        place = ('unix:' if 'unix' in self.at else 'inet:') + self.where[self.at]
        self.command = ['smtp-sink', '-u', 'nobody', '-d', f'{directory}/mail/M.', *['-L'] * ('lmtp' in self.at),
                        *self.options, place, '100']

    def read(self, name):
        with open(name, 'rb') as file:
            octets = file.read()
        added = re.match(self.ADDS, octets)
        assert added, f'{self.NAME}: {octets[:1000]}'
        recipients = re.findall(rb'(?m)^X-Rcpt-Args: <([^\n]*)>', added[0])
        return [(recipient.decode(), octets[added.end():]) for recipient in recipients]

    def files(self):
        return glob.glob(f'{self.directory.name}/mail/*')

    def take(self, count):
        """A file is begun before it is known whether there will be a message; then it goes when the session is over."""
        wait_for(lambda: count > 0 or self.files() == [], because='no file')
        return super().take(count)


# ---- ours ----

CHECKER = """while IFS='\t' read -r word id recipient rest; do
  [ "$word" = check ] || continue
  case $recipient in
  refused*) echo "$id 550 5.1.1 No such mailbox here" ;;
  later*) echo "$id 450 4.2.1 Come again" ;;
  *) echo "$id 250" ;;
  esac
done"""


class MaildReceiver(Receiver):
    NAME = 'maild'
    SMTPUTF8 = True
    CHUNKING = True

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix='ehlo-socket-'))
            listen = '--listen 127.0.0.1:0 --listen [::1]:0 --lmtp-listen 127.0.0.1:0 --lmtp-listen'.split()
            self.maild = stack.enter_context(
                Maild('--max-recipients', str(self.MOST), '--max-errors', '0', '--check-recipients', CHECKER,
                      listen=(*listen, f'{directory}/lmtp')))
            self.stack = stack.pop_all()
        places = re.findall(r'(?m)^maild: listening on (.*) for', self.log())
        self.where = dict(zip(('ipv4', 'ipv6', 'lmtp', 'unix lmtp'), places))
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    def log(self):
        return self.maild.log()

    def files(self):
        return self.maild.files()

    def read(self, name):
        """A recipient who is alone is named in the message, too."""
        with open(name, 'rb') as file:
            octets = file.read()
        added = ADDED.match(octets)
        assert added, f'{self.NAME}: {octets[:1000]}'
        recipient = urllib.parse.unquote(name.split('/')[-3])
        assert added['recipient'] in (None, recipient.encode()), octets[:1000]
        return [(recipient, octets[added.end():])]


class StdioServer(Receiver):
    NAME = 'stdio-server'
    CHUNKING = True
    SMTPUTF8 = True
    REFUSES = (550,)

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        refused = [word for number in range(1000) for word in ('--refuse', f'refused{number}@{DOMAIN}')]
        with contextlib.ExitStack() as stack:
            self.spool = stack.enter_context(Spool())
            self.listener = stack.enter_context(
                Listener('--spool', self.spool.path, *HOSTS, *refused, '--max-errors', '0', '--max-recipients',
                         str(self.MOST), *self.options))
            self.stack = stack.pop_all()
        self.where = {'lmtp' if '--lmtp' in self.options else 'ipv4': f'127.0.0.1:{self.listener.port}'}
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    def stored(self, content):
        return content

    def files(self):
        return glob.glob(f'{self.spool.path}/*.env')

    def read(self, name):
        """The envelope is put in place behind the content."""
        with open(name, encoding='utf-8') as envelope, open(name[:-3] + 'eml', 'rb') as file:
            octets = file.read()
            found = [(line[3:-1], octets) for line in envelope if line.startswith('TO:')]
        os.unlink(name[:-3] + 'eml')
        return found

    def connections(self):
        return len(self.listener.processes)
