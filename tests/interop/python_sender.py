"""python_sender.py WHERE SENDER RECIPIENTS FILE...: sends the files over one connection with ehlo.aio, run by the
system's python3, for which cffi is installed. RECIPIENTS have commas between them. Prints for each file the codes of
the recipients, or what was raised.
"""

import asyncio
import os
import pathlib
import sys

# The package in the checkout, with the library that was built: nothing is installed.
os.environ['EHLO_PYTHON_ABI'] = '1'
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'examples' / 'python'))

import ehlo  # noqa: E402
import ehlo.aio  # noqa: E402


async def main(where, sender, recipients, *files):
    host, _, port = where.rpartition(':')
    async with ehlo.aio.connect(host.strip('[]'), int(port), config='client.example', starttls='off') as connection:
        for file in files:
            content = pathlib.Path(file).read_bytes()
            try:
                result = await connection.send(content, sender=sender, recipients=recipients.split(','))
                print(*[reply.code for reply in result.recipients.values()])
            except ehlo.SendError as error:
                print(type(error).__name__, error.reply.code)


asyncio.run(main(*sys.argv[1:]))
