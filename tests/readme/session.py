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
many = subprocess.run(sys.argv[1:], input=b'NOOP\r\n' * 5000 + b'QUIT\r\n', capture_output=True, timeout=60, check=True)
assert [line[:3] for line in many.stdout.splitlines()] == [b'220'] + [b'250'] * 5000 + [b'221'], many.stdout[-200:]

# The peer goes in the middle: that is the end, and no error.
subprocess.run(sys.argv[1:], input=octets[:-20], capture_output=True, timeout=60, check=True)
