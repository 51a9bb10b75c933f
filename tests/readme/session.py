"""session.py PROGRAM: the program of README.md is a working mail server, whole or octet by octet."""

import subprocess
import sys

SESSION = ('EHLO client.example', 'MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.org>', 'DATA', 'Subject: x', '',
           '..dot', '.', 'RSET', 'VRFY b', 'QUIT')
CODES = [220, 250, 250, 250, 354, 250, 250, 252, 221]
CONTENT = b'Subject: x\r\n\r\n.dot\r\n'


def run(pieces):
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          bufsize=0) as server:
        for piece in pieces:
            server.stdin.write(piece)
        output, content = server.communicate(timeout=60)
    codes = [int(line[:3]) for line in output.splitlines() if line[3:4] != b'-']
    assert codes == CODES, output
    assert content == CONTENT, content
    assert server.returncode == 0, server.returncode


octets = ''.join(line + '\r\n' for line in SESSION).encode()
run([octets])
run(octets[i:i + 1] for i in range(len(octets)))

# More replies than the output buffer holds, in one read: what was not consumed must be fed again.
with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as many:
    many.stdin.write(b'NOOP\r\n' * 5000)
    many.stdin.flush()
    replies = [many.stdout.readline()[:3] for _ in range(5001)]
    assert replies == [b'220'] + [b'250'] * 5000, replies
    rest, _ = many.communicate(b'QUIT\r\n', timeout=60)
    assert rest[:3] == b'221' and rest.count(b'\n') == 1, rest

# The peer goes in the middle: that is the end, and no error.
subprocess.run(sys.argv[1:], input=octets[:-20], capture_output=True, timeout=60, check=True)

# What cannot be written was not sent: that is the end, with an error, and soon.
with open('/dev/full', 'wb') as full:
    broken = subprocess.run(sys.argv[1:], input=octets, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
assert broken.returncode == 1 and broken.stderr == b'', broken
