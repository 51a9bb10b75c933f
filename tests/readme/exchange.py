"""exchange.py CLIENT SERVER [EMULATOR...]: the client of README.md delivers to the server of README.md, and tells the truth
about servers that refuse."""

import socket
import subprocess
import sys

CLIENT, SERVER, EMULATOR = sys.argv[1], sys.argv[2], sys.argv[3:]
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


def deliver(server):
    """The client against a command on a pair of sockets. Returns the client's end, and what the server printed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with subprocess.Popen(server, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as receiver:
            theirs.close()
            sender = subprocess.run([*EMULATOR, CLIENT], stdin=ours, stdout=ours, timeout=60, check=False)
            ours.close()
            _, told = receiver.communicate(timeout=60)
    return sender.returncode, told


assert deliver([*EMULATOR, SERVER]) == (0, CONTENT)

# Refused at every step, the client says QUIT, and that nothing was sent.
for replies in (['554 no', '221 bye'], ['220 hi', '550 no', '221 bye'],
                ['220 hi', '250 hi', '550 no', '503 no', '503 no', '221 bye'],
                ['220 hi', '250 hi', '250 ok', '550 no', '503 no', '221 bye'],
                ['220 hi', '250 hi', '250 ok', '250 ok', '354 go', '550 no', '221 bye']):
    assert deliver([sys.executable, '-c', SCRIPTED, *replies]) == (1, b'QUIT'), replies
assert deliver([sys.executable, '-c', SCRIPTED, '220 hi'])[0] == 1

# What cannot be written was not sent.
with open('/dev/full', 'wb') as full:
    assert subprocess.run([*EMULATOR, CLIENT], input=b'220 hi\r\n', stdout=full, timeout=60, check=False).returncode == 1
