"""exchange.py CLIENT LOOP SERVER [EMULATOR...]: the client of README.md, and the loop of client.h, deliver to the server of
README.md, and tell the truth about servers that refuse."""

import socket
import subprocess
import sys
import tempfile

CLIENT, LOOP, SERVER, EMULATOR = *sys.argv[1:4], sys.argv[4:]
CONTENT = b'Subject: hello\r\n\r\n.dots are stuffed, the last line is completed\r\n'

# A server without extensions that gives the replies of its arguments, and tells the last command on standard error.
SCRIPTED = r'''
import sys
replies, content, line = sys.argv[1:], False, b''
print(replies.pop(0), end='\r\n', flush=True)
for line in sys.stdin.buffer:
    if content and line != b'.\r\n':
        continue
    if not replies:
        break
    content = replies[0].startswith('354')
    print(replies.pop(0), end='\r\n', flush=True)
sys.stderr.write(line.decode().strip())
'''


def deliver(server, client=(CLIENT,)):
    """A client against a command on a pair of sockets. Returns the client's end, and what the server printed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with subprocess.Popen(server, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as receiver:
            theirs.close()
            sender = subprocess.run([*EMULATOR, *client], stdin=ours, stdout=ours, timeout=60, check=False)
            ours.close()
            _, told = receiver.communicate(timeout=60)
    return sender.returncode, told


REFUSED = (['554 no', '221 bye'], ['220 hi', '550 no', '221 bye'],
           ['220 hi', '250 hi', '550 no', '503 no', '503 no', '221 bye'],
           ['220 hi', '250 hi', '250 ok', '550 no', '503 no', '221 bye'],
           ['220 hi', '250 hi', '250 ok', '250 ok', '354 go', '550 no', '221 bye'])


def check(client, content):
    assert deliver([*EMULATOR, SERVER], client) == (0, content), client
    # Refused at every step, the client says QUIT, and that nothing was sent.
    for replies in REFUSED:
        assert deliver([sys.executable, '-c', SCRIPTED, *replies], client) == (1, b'QUIT'), (client, replies)
    assert deliver([sys.executable, '-c', SCRIPTED, '220 hi'], client)[0] == 1


check([CLIENT], CONTENT)
with tempfile.NamedTemporaryFile() as file:
    def write(octets):
        file.seek(0)
        file.truncate()
        file.write(octets)
        file.flush()

    LINES = b'.line\r\n' * 1000 + b'last'
    write(LINES)
    check([LOOP, file.name], LINES + b'\r\n')
    # What may not go out ends the session, and is no message.
    for bad in (b'a\r\n\xff\r\n', b'a\r\n' * 500 + b'b\nc', b'a\r'):
        write(bad)
        code, told = deliver([*EMULATOR, SERVER], [LOOP, file.name])
        assert code == 1 and len(told) <= len(bad), (bad, told)

# What cannot be written was not sent.
with open('/dev/full', 'wb') as full:
    assert subprocess.run([*EMULATOR, CLIENT], input=b'220 hi\r\n', stdout=full, timeout=60, check=False).returncode == 1
