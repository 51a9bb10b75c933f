"""test_maild_service.py: maild as a service: systemd's sockets and readiness, several processes, a restart that nobody
notices, another user, figures."""

import contextlib
import os
import pwd
import random
import re
import resource
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import PATIENCE
from maild import HOSTS, MAILD, MESSAGE, OPEN, Maild, Peer, many_descriptors, wait_for
from test_maild_login import Case, Secure, b64

# Starts maild as systemd would: the sockets at descriptors 3 and up, LISTEN_PID its own.
STARTER = '''import fcntl, os, sys
names, sockets, *words = sys.argv[1:]
sockets = [int(number) for number in sockets.split(",")]
copies = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 1000) for number in sockets]
for number in sockets:
    os.close(number)
for at, copy in enumerate(copies):
    os.dup2(copy, 3 + at)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execv(words[0], words)'''


class Service(Case):
    def setUp(self):
        many_descriptors(4000)
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def deliver(self, port, name):
        with smtplib.SMTP('127.0.0.1', port, 'client.example', timeout=PATIENCE) as client:
            client.sendmail('a@client.example', ['b@example.org'], f'Subject: {name}\r\n\r\nHello\r\n')

    def subjects(self, maild):
        return sorted(re.search(rb'Subject: (.*)\n', octets)[1].decode() for _, _, octets in maild.messages())

    # ---- systemd ----

    def test_maild_ready(self):
        """maild, NOTIFY_SOCKET: READY when it serves, STOPPING when it stops; by path and by abstract name"""
        for name in f'{self.directory}/notify', '@' + self.directory:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(name.replace('@', '\0'))
                manager.settimeout(PATIENCE)
                with Maild(env={**os.environ, 'NOTIFY_SOCKET': name}) as maild:
                    self.assertEqual(manager.recv(100), b'READY=1')
                    with Peer(maild.port) as peer:
                        self.assertEqual(peer.deliver(), 250)
                    maild.terminate()
                    self.assertEqual(manager.recv(100), b'STOPPING=1')

    def by_systemd(self, names, sockets, *options, wait=True):
        """A process that has these sockets."""
        numbers = [one.fileno() for one in sockets]
        log = open(f'{self.directory}/log', 'wb')
        self.addCleanup(log.close)
        process = subprocess.Popen([sys.executable, '-c', STARTER, names, ','.join(map(str, numbers)), MAILD, *options],
                                   stderr=log, pass_fds=numbers, start_new_session=True)
        def end():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.addCleanup(end)
        return process

    def test_maild_activation(self):
        """maild, LISTEN_FDS: each socket is what its name says; a restart takes them over; a wrong name is told"""
        os.mkdir(f'{self.directory}/mail')
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(3)]
            notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            notify.bind(f'{self.directory}/notify')
            notify.settimeout(PATIENCE)
            os.environ['NOTIFY_SOCKET'] = f'{self.directory}/notify'
            self.addCleanup(os.environ.pop, 'NOTIFY_SOCKET')
            first = self.by_systemd('smtp:submission:lmtp', sockets, *HOSTS, '--maildir', f'{self.directory}/mail',
                                    '--passwords', self.passwords)
            self.assertEqual(notify.recv(100), b'READY=1')
            ports = [one.getsockname()[1] for one in sockets]
            for again in False, True:
                if again:
                    first.send_signal(signal.SIGUSR2)
                    self.assertRegex(notify.recv(100), rb'^MAINPID=[0-9]+\nREADY=1$')
                    self.assertEqual(first.wait(PATIENCE), 0)
                with Peer(ports[0]) as peer:
                    self.assertEqual(peer.deliver(), 250)
                with Peer(ports[1]) as peer:
                    self.assertEqual(peer.codes(*OPEN[:2]), [250, 530])
                with Peer(ports[2]) as peer:
                    self.assertEqual(peer.deliver(opening=('LHLO client.example', *OPEN[1:])), 250)
            wrong = self.by_systemd('http', sockets[:1], '--discard')
            self.assertEqual(wrong.wait(PATIENCE), 64)

    # ---- processes ----

    def test_maild_processes(self):
        """maild, --processes: all of them serve; one that is killed is started again; SIGTERM stops them in order"""
        with Maild('--processes', '3', '--writers', '1', clean=False) as maild:
            def workers():
                return len(maild.children()) == 3 and maild.children()
            before = wait_for(workers)
            with Peer(maild.port) as busy:
                self.assertEqual(busy.codes(*OPEN), [250] * 3)
                for number in range(30):
                    self.deliver(maild.port, number)
                self.assertEqual(len(maild.files()), 30)
                busy.socket.close()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            with Peer(maild.port, greet=False) as peer:  # it waits for those to come
                wait_for(lambda: workers() and not set(workers()) & set(before))
                peer.greeting = peer.reply()
                self.assertEqual(peer.deliver(), 250)
                self.assertEqual(peer.codes(*OPEN[1:], 'DATA'), [250, 250, 354])
                maild.terminate()
                maild.wait_log('maild: stopping')
                peer.send(MESSAGE)
                self.assertEqual(peer.code('.'), 250)
                self.assertEqual(peer.reply()[0][0], 421)

    # ---- the restart ----

    def restart(self, *options, kinds=1):
        """Connects without pause while one maild takes over from the other, again and again."""
        failures, sent, over = [], [], False
        with Maild('--grace', '20', *options, clean=False) as maild:
            def send(number):
                while not over:
                    name = f'{number}-{len(sent)}'
                    try:
                        self.deliver(maild.port, name)
                        sent.append(name)
                    except (OSError, smtplib.SMTPException) as error:
                        failures.append(repr(error))
            threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
            try:
                for thread in threads:
                    thread.start()
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.codes(*OPEN), [250] * 3)
                    pids, first = [maild.pid], maild.process
                    for count in range(1, 4):
                        served = len(sent)
                        os.kill(pids[-1], signal.SIGUSR2)
                        wait_for(lambda: maild.log().count('maild: listening on') > count)
                        wait_for(lambda: maild.log().count('maild: taken over;') == count * kinds)
                        wait_for(lambda: len(sent) > served + 20)
                        if count == 1:  # the old one still serves who is there
                            self.assertEqual(peer.code('DATA'), 354)
                            peer.send(MESSAGE)
                            self.assertEqual(peer.code('.'), 250)
                            self.assertEqual(peer.code('QUIT'), 221)
                            self.assertEqual(first.wait(PATIENCE), 0)
                        pids.append(wait_for(lambda: self.successor(maild, *pids)))
            finally:
                over = True
                for thread in threads:
                    thread.join()
            self.assertEqual(failures, [])
            self.assertEqual(self.subjects(maild), sorted(['a test', *sent]))
            os.kill(pids[-1], signal.SIGTERM)
            wait_for(maild.alone)

    def successor(self, maild, *before):
        """The process that took over; 0 if there is none yet. Its workers and helpers have its environment, too."""
        for name in os.listdir('/proc'):
            with contextlib.suppress(OSError, ValueError):
                pid = int(name)
                with open(f'/proc/{pid}/stat') as file:
                    state, _, group = file.read().rpartition(') ')[2].split()[:3]
                with open(f'/proc/{pid}/environ', 'rb') as file:
                    itself = f'LISTEN_PID={pid}'.encode() in file.read().split(b'\0')
                if int(group) == maild.process.pid and state != 'Z' and itself and pid not in before:
                    return pid
        return 0

    def test_maild_restart(self):
        """maild, SIGUSR2: four clients connect without pause through three restarts: none is refused, nothing is lost"""
        self.restart()

    def test_maild_restart_processes(self):
        """maild, SIGUSR2 with --processes: the same"""
        self.restart('--processes', '2', '--writers', '1', kinds=2)

    def test_maild_restart_fails(self):
        """maild, SIGUSR2: a new one that does not come to serve changes nothing"""
        key = os.path.join(self.directory, 'key')
        with open(self.key) as one, open(key, 'w') as other:
            other.write(one.read())
        with Maild('--tls-cert', self.pem, '--tls-key', key) as maild:
            os.unlink(key)
            maild.process.send_signal(signal.SIGUSR2)
            maild.wait_log('maild: takeover: the new process did not come to serve; this one goes on')
            with Peer(maild.port) as peer:
                self.assertEqual(peer.deliver(), 250)

    def test_maild_restart_few_descriptors(self):
        """maild, SIGUSR2 where a process may have 200 descriptors and no more"""
        with Maild(clean=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))) as maild:
            maild.status()
            maild.process.send_signal(signal.SIGUSR2)
            maild.wait_log('maild: taken over;')
            pid = wait_for(lambda: self.successor(maild, maild.pid))
            self.deliver(maild.port, 'after')
            os.kill(pid, signal.SIGTERM)
            wait_for(maild.alone)

    def aliases(self, text):
        path = os.path.join(self.directory, 'aliases')
        with open(path, 'w') as file:
            file.write(text)
        return path

    def test_maild_restart_fails_processes(self):
        """maild, SIGUSR2 with --processes: those of the new one cannot begin: it changes nothing"""
        with Maild('--processes', '2', '--aliases', self.aliases('b: b\n')) as maild:
            self.deliver(maild.port, 'before')
            self.aliases('b: nobody\n')
            maild.process.send_signal(signal.SIGUSR2)
            maild.wait_log('maild: takeover: the new process did not come to serve; this one goes on')
            with Peer(maild.port) as peer:
                self.assertEqual(peer.deliver(), 250)

    def test_maild_processes_wrong_later(self):
        """maild, --processes: one is killed while a file is wrong: others serve on; it comes back when it is right"""
        with Maild('--processes', '2', '--aliases', self.aliases('b: b\n'), clean=False) as maild:
            self.deliver(maild.port, 'before')
            first, other = wait_for(lambda: len(maild.children()) == 2 and maild.children())
            self.aliases('b: nobody\n')
            os.kill(first, signal.SIGKILL)
            maild.wait_log('maild: --aliases, line 1: nobody')
            maild.wait_log('has ended; another one is started', 2)
            self.assertEqual(maild.children(), [other])
            self.deliver(maild.port, 'meanwhile')
            self.aliases('b: b\n')
            wait_for(lambda: len(maild.children()) == 2)

    def test_maild_processes_stopped_early(self):
        """maild, --processes: SIGTERM while they are being started, 50 times: none misses it"""
        chance = random.Random(1)
        for _ in range(50):
            process = subprocess.Popen([MAILD, '--listen', '127.0.0.1:0', '--discard', '--processes', '4'],
                                       stderr=subprocess.PIPE, start_new_session=True)
            with process.stderr:
                process.stderr.readline()
                time.sleep(chance.uniform(0, 0.004))
                process.terminate()
                try:
                    self.assertIn(process.wait(PATIENCE), (0, -signal.SIGTERM))
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)

    def test_maild_restart_path(self):
        """maild, SIGUSR2: a Unix socket stays where it is, and is removed at the end"""
        path = f'{self.directory}/lmtp'
        with Maild(listen=('--lmtp', path), clean=False) as maild:
            maild.process.send_signal(signal.SIGUSR2)
            self.assertEqual(maild.wait(), 0)
            pid = wait_for(lambda: self.successor(maild, maild.pid))
            with Peer(path) as peer:
                self.assertEqual(peer.deliver(opening=('LHLO client.example', *OPEN[1:])), 250)
            os.kill(pid, signal.SIGTERM)
            wait_for(maild.alone)
            self.assertFalse(os.path.exists(path))

    # ---- the rest ----

    def test_maild_user(self):
        """maild, --user: it serves as that user, with a key that only root can read; nobody: 67"""
        user = pwd.getpwnam('nobody')
        key = os.path.join(self.directory, 'key')
        with open(self.key) as one, open(key, 'w', opener=lambda path, flags: os.open(path, flags, 0o600)) as other:
            other.write(one.read())
        os.chmod(self.directory, 0o755)
        maildir = os.path.join(self.directory, 'mail')
        os.mkdir(maildir)
        os.chown(maildir, user.pw_uid, user.pw_gid)
        with Maild('--user', 'nobody', '--tls-cert', self.pem, '--tls-key', key, listen=('--smtps', '127.0.0.1:0'),
                   maildir=maildir) as maild:
            with Secure(maild.ports['smtps']) as peer:
                self.assertEqual(peer.deliver(), 250)
            for pid in maild.pid, *maild.children():
                with open(f'/proc/{pid}/status') as file:
                    status = file.read()
                self.assertIn('Uid:\t' + '\t'.join([str(user.pw_uid)] * 4), status)
                self.assertIn('Gid:\t' + '\t'.join([str(user.pw_gid)] * 4), status)
                self.assertNotRegex(status, r'Groups:\t.*\b0\b')
            self.assertEqual(os.stat(maild.files()[0]).st_uid, user.pw_uid)
        done = subprocess.run([MAILD, '--listen', '127.0.0.1:0', '--discard', '--user', 'no-such-user'],
                              stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 67)

    def is_listened_on(self, path):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(path) == 0

    def test_maild_standard_closed(self):
        """maild, started without standard input, output and error: none of its sockets takes their place"""
        with tempfile.TemporaryDirectory() as maildir:
            path = f'{maildir}/lmtp'
            process = subprocess.Popen(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', MAILD, '--lmtp', path, '--maildir',
                                        maildir, *HOSTS], start_new_session=True)
            try:
                wait_for(lambda: self.is_listened_on(path))
                with Peer(path) as peer:
                    self.assertEqual(peer.deliver(opening=('LHLO client.example', *OPEN[1:])), 250)
                for number in range(3):
                    self.assertEqual(os.readlink(f'/proc/{process.pid}/fd/{number}'), '/dev/null')
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def test_maild_metrics(self):
        """maild, --metrics: SIGUSR1 writes figures that are right, to the file or to the log"""
        path = os.path.join(self.directory, 'metrics')
        for more in ('--metrics', path), ():
            with self.maild(*more, listen=('--listen', '127.0.0.1:0', '--submissions', '127.0.0.1:0')) as maild:
                with Peer(maild.port) as peer:
                    self.assertEqual(peer.deliver(), 250)
                    self.assertEqual(peer.codes(*OPEN[1:], 'RCPT TO:<c@elsewhere.example>', 'RSET', 'NONSENSE'),
                                     [250, 250, 550, 250, 500])
                    with Secure(maild.ports['submissions']) as other:
                        other.code(OPEN[0])
                        self.assertEqual(other.code('AUTH PLAIN ' + b64('\0alice\0wrong')), 535)
                        self.assertEqual(other.scram('alice', 'correct horse'), (235, True))
                        maild.status()
                        if more:
                            text = wait_for(lambda: os.path.exists(path) and open(path).read())
                        else:
                            maild.wait_log('maild: metric maild_violations_total')
                            text = maild.log().replace('maild: metric ', '')
            figures = dict(re.findall(r'(?m)^maild_(\w+) (\d+)$', text))
            self.assertEqual({name: int(figures[name]) for name in (
                'connections', 'connections_total', 'tls_handshakes_total', 'messages_accepted_total',
                'octets_accepted_total', 'recipients_accepted_total', 'recipients_refused_total', 'logins_total',
                'logins_refused_total', 'violations_total')}, {
                    'connections': 2, 'connections_total': 2, 'tls_handshakes_total': 1, 'messages_accepted_total': 1,
                    'octets_accepted_total': len(MESSAGE), 'recipients_accepted_total': 2,
                    'recipients_refused_total': 1, 'logins_total': 1, 'logins_refused_total': 1,
                    'violations_total': 1})
