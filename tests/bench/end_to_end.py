"""end_to_end.py: what a whole server costs on sockets: examples/maild, beside the least that a server can do (floor.c)
and Postfix's smtp-sink.

    python3 tests/bench/end_to_end.py --floor PROGRAM [--maild PROGRAM] [--send PROGRAM] [--load PROGRAM] [--rounds N]
        [--only PART[,PART]]

messages:    smtp-source sends each server the same, one server after the other, in rounds; the server's own CPU seconds
             are counted, and of all rounds the median is shown. Machines differ and others use them, so what has a
             goal is the ratio to the floor: the median of what each round gives, and beside it the ratio of the least
             that each took, because what others do only ever adds. No messages per second are shown: with one sender
             they mostly tell how fast that is.
sending:     examples/send and smtp-source send the same smtp-sink the same; the sender's own CPU seconds are counted.
loading:     the same for examples/load, over 1, 10 and 100 connections.
tls:         examples/load sends examples/maild the same in clear and under TLS; the CPU seconds of both are counted.
             smtp-source and smtp-sink have no TLS.
recipients:  how long a batch of a hundred takes whose every recipient takes 20 ms to check.
idle:        what a connection that waits costs in memory, in clear and under TLS; beside smtp-sink and aiosmtpd.

Everything is on the loopback interface. Nothing here is asserted.
"""
import argparse
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

GOAL = 1.15
COUNT = 10000  # messages that a number is for
DOMAIN = 'example.com'
RECIPIENTS, CHECK_MS = 100, 20
PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable  # sees what Debian packages
PATH = os.environ.get('PATH', '') + ':/usr/sbin:/usr/local/sbin'

# What is sent: label, octets, connections, whether each carries one message only, messages to maild and the floor,
# messages to smtp-sink, which takes long for large ones. Enough for a tenth of a second of CPU: many short rounds find
# more moments of quiet than few long ones. With a hundred connections it is enough that their making hardly counts.
CELLS = [
    ('1 KB, 1 connection', 1000, 1, False, 1000, 500),
    ('1 KB, 10 connections', 1000, 10, False, 2000, 1000),
    ('1 KB, 100 connections', 1000, 100, False, 4000, 2000),
    ('1 KB, 10 at a time, one message each', 1000, 10, True, 1000, 500),
    ('1 MB, 1 connection', 1000000, 1, False, 200, 30),
    ('1 MB, 10 connections', 1000000, 10, False, 200, 30),
    ('1 MB, 100 connections', 1000000, 100, False, 600, 100),
]


class Failed(Exception):
    pass


def pinned(command, processor):
    """Server and sender on a processor each, where there are two: they then cost the same from run to run."""
    if processor is None or not shutil.which('taskset', path=PATH):
        return command
    return ['taskset', '-c', str(processor), *command]


def processors(pin):
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if pin and len(free) > 1 and shutil.which('taskset', path=PATH) else (None, None)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def secured(connection, tls):
    """Under TLS, with whomever, if it is to be."""
    return ssl._create_unverified_context().wrap_socket(connection) if tls else connection


# ---- servers ----

class Server:
    """A running server. What it says on standard error goes to a file."""

    def __init__(self, name, command, processor=None, port=None, tls=False):
        self.name = name
        self.tls = tls
        self.log = tempfile.NamedTemporaryFile(prefix='end-to-end-', suffix='.log')
        self.process = subprocess.Popen(pinned(command, processor), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        try:
            self.port = port or self.wait_for(rb'listening on 127\.0\.0\.1:(\d+)')
            self.wait_for_port()
        except BaseException:
            self.stop()
            raise

    def wait_for(self, pattern, since=0):
        for _ in range(200):
            found = re.search(pattern, self.said()[since:])
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise Failed(f'{self.name} does not say {pattern.decode()}: {self.said()[-2000:].decode(errors="replace")}')

    def wait_for_port(self):
        for _ in range(200):
            try:
                with secured(socket.create_connection(('127.0.0.1', self.port), 5), self.tls) as probe:
                    probe.recv(512)
                    probe.sendall(b'QUIT\r\n')
                    while probe.recv(512):
                        pass
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise Failed(f'{self.name} does not listen: {self.said()[-2000:].decode(errors="replace")}')

    def said(self):
        return pathlib.Path(self.log.name).read_bytes()

    def cpu(self):
        """Seconds, user and system, that its threads have used. The scheduler counts them in nanoseconds; where it does
        not tell, the process table does, in ticks."""
        tasks = pathlib.Path(f'/proc/{self.process.pid}/task')
        try:
            return sum(int((task / 'schedstat').read_text().split()[0]) for task in tasks.iterdir()) / 1e9
        except OSError:
            fields = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory(self):
        """Octets of memory that it alone has, files left out."""
        text = pathlib.Path(f'/proc/{self.process.pid}/smaps_rollup').read_text()
        return int(re.search(r'^Anonymous:\s+(\d+) kB', text, re.M)[1]) * 1024

    def engine(self):
        """maild: what it says about the library's blocks."""
        since = len(self.said())
        self.process.send_signal(signal.SIGUSR1)
        return self.wait_for(rb'status .*\bengine=(\d+).*\n', since)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Servers:
    """How each is started."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.sink_program = shutil.which('smtp-sink', path=PATH)

    def certificate(self):
        """Files with a certificate and its key, made when they are first asked for."""
        if not hasattr(self, 'directory'):
            self.directory = tempfile.TemporaryDirectory(prefix='end-to-end-')
            self.files = [f'{self.directory.name}/{name}' for name in ('certificate', 'key')]
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                            '-days', '2', '-subj', '/CN=localhost', '-out', self.files[0], '-keyout', self.files[1]],
                           check=True, stderr=subprocess.DEVNULL)
        return self.files

    def maild(self, name, *more, processor=None, tls=False):
        place = ['--smtps', '127.0.0.1:0'] if tls else ['--listen', '127.0.0.1:0']
        if tls:
            certificate, key = self.certificate()
            place += ['--tls-cert', certificate, '--tls-key', key]
        return Server(name, [self.arguments.maild, *place, '--hostname', 'mx.example.com', '--domain', DOMAIN,
                             '--discard', '--max-connections', '15000', '--max-per-address', '0', *more], processor,
                      tls=tls)

    def aiosmtpd(self, tls):
        program = pathlib.Path(__file__).with_name('aiosmtpd_server.py').resolve()
        return Server('aiosmtpd', [PYTHON, str(program), *(self.certificate() if tls else [])], tls=tls)

    def floor(self, processor=None):
        return Server('floor', [self.arguments.floor], processor)

    def sink(self, processor=None):
        port = free_port()
        as_nobody = ['-u', 'nobody'] if os.geteuid() == 0 else []
        return Server('smtp-sink', [self.sink_program, *as_nobody, '-m', '20000', f'127.0.0.1:{port}', '1000'],
                      processor, port)

    def of_messages(self, processor):
        """Name -> how to start it: those that messages are sent to, the floor first."""
        found = {'floor': lambda: self.floor(processor)}
        if self.arguments.maild:
            found['maild --quiet'] = lambda: self.maild('maild --quiet', '--quiet', processor=processor)
            found['maild, log to a file'] = lambda: self.maild('maild, log to a file', processor=processor)
        if self.sink_program:
            found['smtp-sink'] = lambda: self.sink(processor)
        return found


# ---- messages ----

def send(server, cell, processor):
    """Seconds for COUNT messages: the server's CPU, and by the clock."""
    _, size, connections, one_each, count, sink_count = cell
    if server.name == 'smtp-sink':
        count = sink_count
    command = ['smtp-source', '-M', 'client.example.org', '-f', 'sender@example.org', '-t', f'recipient@{DOMAIN}',
               '-l', str(size), '-m', str(count), '-s', str(connections), *([] if one_each else ['-d']),
               f'127.0.0.1:{server.port}']
    cpu = server.cpu()
    begun = time.monotonic()
    run = subprocess.run(pinned(command, processor), capture_output=True, text=True, timeout=120, check=False,
                         env={**os.environ, 'PATH': PATH})
    wall = time.monotonic() - begun
    time.sleep(0.05)  # the last connections are closed
    if run.returncode != 0 or server.process.poll() is not None:
        raise Failed(f'{cell[0]}: smtp-source and {server.name}: {run.stderr.strip() or "ended"}')
    return (server.cpu() - cpu) * COUNT / count, wall * COUNT / count


def messages(servers, arguments):
    server_processor, sender_processor = processors(arguments.pin)
    starters = servers.of_messages(server_processor)
    names = list(starters)
    running = {}
    seen = {}  # (cell, name) -> [(cpu, wall)] by round
    try:
        for name in names:
            running[name] = starters[name]()
        for cell in CELLS:  # once unseen: caches, buffers and tables find their size
            for name in names:
                send(running[name], (*cell[:4], cell[4] // 10, cell[5] // 10), sender_processor)
        for number in range(arguments.rounds):
            for cell in CELLS:
                for place in range(len(names)):  # each is first, and each is last, in its turn
                    name = names[(place + number) % len(names)]
                    seen.setdefault((cell[0], name), []).append(send(running[name], cell, sender_processor))
    finally:
        for server in running.values():
            server.stop()
    where = (f'server on processor {server_processor}, sender on processor {sender_processor}'
             if server_processor is not None else 'not pinned')
    print(f'\nend to end: CPU seconds of the server, user and system, for {COUNT:,} messages from smtp-source, loopback'
          f'\n  medians of {arguments.rounds} interleaved rounds; x floor: of the ratios within a round, quartiles,'
          f' and least CPU by least\n  {where}')
    print(f'{"":66}CPU s  x floor    quartiles    least   wall s')
    above = []
    for cell in CELLS:
        for name in names:
            runs = seen[cell[0], name]
            cpu, wall = (statistics.median(run[i] for run in runs) for i in (0, 1))
            line = f'  {cell[0] if name == names[0] else "":38}{name:22}{cpu:9.2f}'
            if name != 'floor':
                ratios = [run[0] / floor[0] for run, floor in zip(runs, seen[cell[0], 'floor'])]
                ratio = statistics.median(ratios)
                low, _, high = statistics.quantiles(ratios, method='inclusive') if len(ratios) > 1 else ratios * 3
                least = min(run[0] for run in runs) / min(run[0] for run in seen[cell[0], 'floor'])
                line += f' {ratio:8.2f}  {low:5.2f} - {high:5.2f}{least:9.2f}'
                if name == 'maild --quiet' and ratio > GOAL:
                    above.append(f'{cell[0]} ({ratio:.2f})')
            print(f'{line:103}{wall:7.2f}')
    if arguments.maild:
        print(f'  goal: maild --quiet at most {GOAL} x the floor; above it: {"; ".join(above) or "none"}')


# ---- sending ----

def sender_cpu(command, processor):
    """CPU seconds, user and system, that a sender takes."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(pinned(command, processor), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**os.environ, 'PATH': PATH})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            raise Failed(f'{command[0]}: {log.read()[-2000:].decode(errors="replace")}')
    return usage.ru_utime + usage.ru_stime



def compare_senders(commands, rounds, processor, count, label, width):
    """Each of them `rounds` times, in turn; `label` stands before the first, which is smtp-source."""
    seen = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seen[name].append(sender_cpu(command, processor) * COUNT / count)
    for name, runs in seen.items():
        ratio = statistics.median(run / base for run, base in zip(runs, seen['smtp-source']))
        print(f'{label}{name:{width}}{statistics.median(runs):9.2f}{ratio:9.2f}')
        label = ' ' * len(label)


def sending(servers, arguments):
    """What a sender costs: examples/send beside smtp-source, one connection, to the same smtp-sink."""
    sink_processor, processor = processors(arguments.pin)
    with tempfile.TemporaryDirectory(prefix='end-to-end-') as directory, servers.sink(sink_processor) as sink:
        print(f'\nsending: CPU seconds of the sender for {COUNT:,} messages on one connection to smtp-sink'
              f'\n  medians of {arguments.rounds} interleaved rounds; x smtp-source: of the ratios within a round')
        for label, size, count in [('1 KB', 1000, 1000), ('1 MB', 1000000, 40)]:
            commands = {'smtp-source': ['smtp-source', '-d', '-f', 'sender@example.org', '-t', f'recipient@{DOMAIN}',
                                        '-l', str(size), '-m', str(count), '-s', '1', f'127.0.0.1:{sink.port}']}
            for end, name in (('\r\n', 'CRLF'), ('\n', 'LF')):
                file = pathlib.Path(directory) / f'{name}-{size}'
                line = ('x' * 76 + end).encode()
                file.write_bytes((line * (size // len(line) + 1))[:size - len(end)] + end.encode())
                commands[f'send, file with {name}'] = [
                    arguments.send, '--server', f'127.0.0.1:{sink.port}', '--hello', 'client.example.org',
                    '--from', 'sender@example.org', '--to', f'recipient@{DOMAIN}', *[str(file)] * count]
            compare_senders(commands, arguments.rounds, processor, count, f'  {label:8}', 24)


def loading(servers, arguments):
    """What many connections cost the sender: examples/load beside smtp-source, to the same smtp-sink."""
    sink_processor, processor = processors(arguments.pin)
    with servers.sink(sink_processor) as sink:
        print(f'\nloading: CPU seconds of the sender for {COUNT:,} messages over many connections to smtp-sink'
              f'\n  medians of {arguments.rounds} interleaved rounds; x smtp-source: of the ratios within a round')
        print(f'{"":40}{"":26}CPU s  x smtp-source')
        for label, size, connections, one_each, _, count in CELLS:
            if one_each:
                continue
            where = f'127.0.0.1:{sink.port}'
            load = [arguments.load, '--server', where, '--from', 'sender@example.org', '--to', f'recipient@{DOMAIN}',
                    '--hello', 'client.example.org', '--size', str(size), '--messages', str(count), '--connections',
                    str(connections), '--quiet']
            commands = {'smtp-source': ['smtp-source', '-d', '-M', 'client.example.org', '-f', 'sender@example.org',
                                        '-t', f'recipient@{DOMAIN}', '-l', str(size), '-m', str(count), '-s',
                                        str(connections), where],
                        'load': load, 'load --no-pipelining': [*load, '--no-pipelining']}
            compare_senders(commands, arguments.rounds, processor, count, f'  {label:38}', 22)


def under_tls(servers, arguments):
    """What TLS costs: examples/load to examples/maild, in clear and under TLS."""
    server_processor, processor = processors(arguments.pin)
    print(f'\ntls: CPU seconds, user and system, for {COUNT:,} messages from load to maild --quiet'
          f'\n  medians of {arguments.rounds} interleaved rounds; x clear: of the ratios within a round')
    print(f'{"":50}{"maild":>9}{"x clear":>9}{"load":>9}{"x clear":>9}')
    with servers.maild('maild', '--quiet', processor=server_processor) as clear, \
            servers.maild('maild, TLS', '--quiet', processor=server_processor, tls=True) as secure:
        for label, size, connections, one_each, count, _ in CELLS:
            seen = {}
            for _ in range(arguments.rounds):
                for server in clear, secure:
                    each = ['--messages-per-connection', '1'] if one_each else []
                    more = ['--tls', '--insecure'] if server.tls else []
                    cpu = server.cpu()
                    own = sender_cpu([arguments.load, '--server', f'127.0.0.1:{server.port}', '--from',
                                      'sender@example.org', '--to', f'recipient@{DOMAIN}', '--hello',
                                      'client.example.org', '--size', str(size), '--messages', str(count),
                                      '--connections', str(connections), '--quiet', *each, *more], processor)
                    time.sleep(0.05)  # the last connections are closed
                    seen.setdefault(server, []).append([value * COUNT / count for value in (server.cpu() - cpu, own)])
            for server, runs in seen.items():
                line = f'  {label if server is clear else "":38}{"clear" if server is clear else "TLS":10}'
                for at in 0, 1:
                    ratio = statistics.median(run[at] / base[at] for run, base in zip(runs, seen[clear]))
                    line += f'{statistics.median(run[at] for run in runs):9.2f}{ratio:9.2f}'
                print(line)


# ---- recipients ----

def read_replies(connection, count):
    """Reads so many replies; returns their codes."""
    codes, rest = [], b''
    while len(codes) < count:
        data = connection.recv(65536)
        if not data:
            raise Failed(f'the server closed after {len(codes)} of {count} replies: {rest!r}')
        *lines, rest = (rest + data).split(b'\r\n')
        codes += [int(line[:3]) for line in lines if line[3:4] != b'-']
    return codes


def connect(port, source='127.0.0.1', hello=True, tls=False):
    connection = secured(socket.create_connection(('127.0.0.1', port), 30, (source, 0)), tls)
    read_replies(connection, 1)
    if hello:
        connection.sendall(b'EHLO client.example.org\r\n')
        read_replies(connection, 1)
    return connection


def batch(connection):
    """Milliseconds from the sending of a batch of recipients to the last reply."""
    text = b'MAIL FROM:<sender@example.org>\r\n' + b''.join(
        f'RCPT TO:<recipient{i}@{DOMAIN}>\r\n'.encode() for i in range(RECIPIENTS))
    begun = time.monotonic()
    connection.sendall(text)
    codes = read_replies(connection, 1 + RECIPIENTS)
    took = time.monotonic() - begun
    if set(codes) != {250}:
        raise Failed(f'recipients were answered {sorted(set(codes))}')
    connection.sendall(b'RSET\r\n')
    read_replies(connection, 1)
    return took * 1000


def recipients(servers, _):
    checker = pathlib.Path(__file__).with_name('checker.py').resolve()
    command = f"exec '{sys.executable}' '{checker}' {CHECK_MS}"
    # No more recipients are asked about than could be refused before max_errors ends the session: 20 by default.
    rows = [('max_pending 1', ['1'], 3),
            (f'max_pending {RECIPIENTS}', [str(RECIPIENTS)], 15),
            (f'max_pending {RECIPIENTS}, max_errors off', [str(RECIPIENTS), '--max-errors', '0'], 15)]
    print(f'\n{RECIPIENTS} recipients in one batch, {CHECK_MS} ms to check each: ms until all are answered, median')
    for label, pending, rounds in rows:
        with servers.maild('maild', '--quiet', '--check-recipients', command, '--max-pending', *pending) as maild:
            with connect(maild.port) as connection:
                batch(connection)  # unseen: the checker starts
                took = statistics.median(batch(connection) for _ in range(rounds))
        print(f'  maild, {label:53}{took:9.1f}')


# ---- idle connections ----

def open_idle(server, count, hello):
    """Many connections; from several addresses, so that ports do not run short."""
    return [connect(server.port, f'127.0.0.{1 + i // 4000}', hello, server.tls) for i in range(count)]


def settled(read):
    """A number that has stopped changing, or what it is after five seconds."""
    last = read()
    for _ in range(10):
        time.sleep(0.5)
        now = read()
        if now == last:
            break
        last = now
    return last


def idle_row(name, start, count, hello):
    with start() as server:
        is_maild = name.startswith('maild')
        none = settled(server.memory)
        connections = []
        try:
            connections = open_idle(server, count, hello)
            full = settled(server.memory)
            engine = server.engine() / count if is_maild else None
        finally:
            for connection in connections:
                connection.close()
        each = (full - none) / count
        line = f'  {name + (", after EHLO" if hello else ", greeted"):40}{count:12,}{each:12.0f}'
        print(line + (f'{engine:12.0f}{each - engine:12.0f}' if is_maild else ''))


def idle(servers, arguments):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    room = 10 ** 9 if hard == resource.RLIM_INFINITY else hard - 100
    print('\nidle connections: octets of the server\'s own memory for each, the kernel\'s left out')
    print(f'{"":42}{"connections":>12}{"octets":>12}{"library":>12}{"host":>12}')
    rows = [('floor', servers.floor, 10000, True)]
    if servers.sink_program:
        rows.append(('smtp-sink', servers.sink, 1000, True))
    if arguments.maild:
        rows += [('maild', lambda: servers.maild('maild', '--quiet'), count, hello)
                 for hello in (True, False) for count in (1000, 10000)]
        rows += [('maild, TLS', lambda: servers.maild('maild', '--quiet', tls=True), 1000, True)]
    if subprocess.run([PYTHON, '-c', 'import aiosmtpd'], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        rows += [('aiosmtpd', lambda: servers.aiosmtpd(False), 1000, True),
                 ('aiosmtpd, TLS', lambda: servers.aiosmtpd(True), 1000, True)]
    else:
        print('  aiosmtpd: skipped, it is not there')
    for name, start, count, hello in rows:
        if count > room:
            print(f'  {name}: skipped, {count:,} connections: this machine allows {hard:,} open files')
        else:
            idle_row(name, start, count, hello)
    print('  library: what SIGUSR1 has maild say of the library\'s blocks; host: the rest')


# ---- all ----

PARTS = {'messages': messages, 'sending': sending, 'loading': loading, 'tls': under_tls, 'recipients': recipients,
         'idle': idle}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--floor', required=True, help='the program made of floor.c')
    parser.add_argument('--maild', help='without it only the others are measured')
    parser.add_argument('--send', help='examples/send; without it nothing is said of sending')
    parser.add_argument('--load', help='examples/load; without it nothing is said of loading')
    parser.add_argument('--rounds', type=int, default=11)
    parser.add_argument('--only', default=','.join(PARTS), help='parts, by commas: ' + ', '.join(PARTS))
    parser.add_argument('--no-pin', dest='pin', action='store_false', help='let server and sender share processors')
    arguments = parser.parse_args()
    servers = Servers(arguments)
    if not arguments.maild:
        print('\nend to end: no maild; its rows are left out')
    for name in arguments.only.split(','):
        if name == 'messages' and not shutil.which('smtp-source', path=PATH):
            print('\nend to end: messages: skipped, there is no smtp-source (it comes with Postfix)')
        elif name == 'sending' and not (arguments.send and shutil.which('smtp-source', path=PATH)):
            print('\nend to end: sending: skipped, there is no send or no smtp-source')
        elif name == 'loading' and not (arguments.load and shutil.which('smtp-source', path=PATH)):
            print('\nend to end: loading: skipped, there is no load or no smtp-source')
        elif name == 'tls' and not (arguments.load and arguments.maild):
            print('\nend to end: tls: skipped, there is no load or no maild')
        elif name == 'recipients' and not arguments.maild:
            print('\nend to end: recipients: skipped, there is no maild')
        else:
            PARTS[name](servers, arguments)
        sys.stdout.flush()
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f'end_to_end: {error}')
