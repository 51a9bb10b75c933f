"""loop.py client.h loop.c.in: writes the program of loop.c.in, with the loop that the head of client.h shows, to standard
output."""

import re
import sys

header, template = (open(path, encoding='utf-8').read() for path in sys.argv[1:])
found = re.search(r'^ \* The loop of a host.*?:\n \*\n(.*?)^ \*\n \* and in its handler:', header, re.DOTALL | re.MULTILINE)
if not found:
    sys.exit('client.h shows no loop')
loop = re.sub(r'^ \*   ?', '', found[1], flags=re.MULTILINE)
# What is fine on a page a compiler that turns warnings into errors wants spelt out.
loop = re.sub(r'(if \(count < 0\)) (.*?;) else ehlo_client_sent\(client, count\)',
              r'\1 \2 else ehlo_client_sent(client, (size_t)count)', loop)
loop = loop.replace('ehlo_client_feed(client, buffer, count, &taken)',
                    'ehlo_client_feed(client, buffer, (size_t)count, &taken)')
sys.stdout.write(template.replace('@LOOP@', loop))
