"""aiosmtpd_server.py [CERTIFICATE KEY]: aiosmtpd on a free port, under TLS from the beginning if it has a certificate.

Takes every message and drops it. It is without aiosmtpd's controller, which tries its server in clear first.
"""
import asyncio
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Handler:
    async def handle_DATA(self, server, session, envelope):
        return '250 OK'


async def main():
    context = None
    if len(sys.argv) == 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), '127.0.0.1', 0, ssl=context)
    print(f'listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}', file=sys.stderr, flush=True)
    await server.serve_forever()


asyncio.run(main())
