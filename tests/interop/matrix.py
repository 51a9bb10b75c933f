"""matrix.py: which of the programs was tried with which peer in which mode, and what came of it.

A test says what it shows by @cells(TABLE, PEER, MODE...), and run.py prints the tables from what ran. CANNOT has what
can never run, and why. When all tests have run, a cell that is in neither is an error, and so is one that is in both.
"""

MODES = 'plain', 'STARTTLS', 'TLS', 'AUTH', 'LMTP', '8BITMIME', 'SMTPUTF8', 'CHUNKING', 'DSN'
CLIENTS = 'Postfix', 'Exim', 'sendmail', 'OpenSMTPD', 'smtp-source', 'curl', 'swaks', 'msmtp', 'smtplib', 'nodemailer'
SERVERS = 'Postfix', 'Exim', 'sendmail', 'OpenSMTPD', 'aiosmtpd', 'smtp-server', 'smtp-sink'
TO_MAILD, TO_PROXY, BEHIND_PROXY, FROM_SEND = ('to maild', 'to proxy', 'behind proxy', 'send to')
TABLES = {TO_MAILD: CLIENTS, TO_PROXY: CLIENTS, BEHIND_PROXY: SERVERS, FROM_SEND: SERVERS}

# (tables, peers, modes): why.
CANNOT = {
    ((TO_MAILD,), CLIENTS, ('DSN',)): 'maild does not offer it: who does has to send notifications',
    ((TO_PROXY,), ('curl', 'swaks', 'smtp-source'), ('DSN',)): 'the client has no option for it',
    ((TO_MAILD, TO_PROXY), ('Postfix', 'sendmail', 'OpenSMTPD', *CLIENTS[4:]), ('CHUNKING',)):
        'the client always sends by DATA',
    ((TO_MAILD, TO_PROXY), ('Exim', 'OpenSMTPD', 'smtp-source', 'curl', 'swaks', 'msmtp'), ('8BITMIME',)):
        'the client never says BODY=8BITMIME; octets above 127 are among its plain contents',
    ((TO_MAILD, TO_PROXY), ('OpenSMTPD', 'smtp-source', 'swaks', 'msmtp'), ('SMTPUTF8',)):
        'the client does not know it',
    ((TO_MAILD, TO_PROXY), ('sendmail',), ('TLS',)): 'the client, as Debian builds it, begins TLS by STARTTLS alone',
    ((TO_MAILD, TO_PROXY, BEHIND_PROXY, FROM_SEND), ('sendmail',), ('SMTPUTF8',)): 'Debian builds it without USE_EAI',
    ((TO_MAILD, TO_PROXY), ('smtp-source',), ('STARTTLS', 'TLS', 'AUTH')): 'the client has no TLS and no login',
    ((TO_MAILD, TO_PROXY), ('curl',), ('LMTP',)): 'the client does not speak it',
    ((BEHIND_PROXY, FROM_SEND), ('Postfix', 'Exim', 'sendmail', 'OpenSMTPD'), ('LMTP',)):
        'the server speaks it as a client alone',
    ((BEHIND_PROXY, FROM_SEND), ('OpenSMTPD', 'smtp-sink'), ('SMTPUTF8',)): 'the server does not offer it',
    ((BEHIND_PROXY, FROM_SEND), ('sendmail', 'OpenSMTPD', 'aiosmtpd', 'smtp-server', 'smtp-sink'), ('CHUNKING',)):
        'the server does not offer it',
    ((BEHIND_PROXY, FROM_SEND), ('aiosmtpd', 'smtp-sink'), ('DSN',)): 'the server does not offer it',
    ((BEHIND_PROXY, FROM_SEND), ('OpenSMTPD',), ('STARTTLS', 'TLS', 'AUTH')):
        'with OpenSSL 3 version 6.8.0p2 says "missing private key" in each handshake, to openssl s_client as well, and '
        'without TLS it offers no login',
    ((BEHIND_PROXY, FROM_SEND), ('smtp-sink',), ('STARTTLS', 'TLS', 'AUTH')): 'the server has no TLS and no login',
}


def cells(table, peer, *modes):
    """A decorator: the test shows these."""
    assert peer in TABLES[table] and set(modes) <= set(MODES), (table, peer, modes)

    def mark(test):
        test.cells = [*getattr(test, 'cells', ()), *((table, peer, mode) for mode in modes)]
        return test
    return mark


def impossible():
    return {(table, peer, mode): why for (tables, peers, modes), why in CANNOT.items()
            for table in tables for peer in peers for mode in modes}


class Matrix:
    def __init__(self):
        self.ran = {}

    def note(self, test, good):
        """All tests of a cell have to be good."""
        method = getattr(test, getattr(test, '_testMethodName', ''), None)
        for cell in getattr(method, 'cells', ()):
            self.ran[cell] = good and self.ran.get(cell, True)

    def cell(self, *where):
        if where in self.ran:
            return 'ok' if self.ran[where] else 'FAIL'
        return '-' if where in impossible() else ''

    def lines(self):
        """The tables of what ran."""
        modes = [f'{mode:4}' for mode in MODES]  # FAIL is the longest of what is below
        for table, peers in TABLES.items():
            if any(where[0] == table for where in self.ran):
                yield '| ' + ' | '.join((f'{table:12}', *modes)) + ' |'
                yield '|' + '|'.join('-' * (len(word) + 2) for word in (f'{table:12}', *modes)) + '|'
                for peer in peers:
                    found = (f'{self.cell(table, peer, mode.strip()):{len(mode)}}' for mode in modes)
                    yield '| ' + ' | '.join((f'{peer:12}', *found)) + ' |'
                yield '|'
        if self.ran:
            yield '| -: cannot be; tests/interop/matrix.py tells why.'

    def faults(self):
        """What is wrong with it once all has run."""
        never = impossible()
        everything = [(table, peer, mode) for table, peers in TABLES.items() for peer in peers for mode in MODES]
        return [f'{" ".join(cell)}: {"ran, though it cannot" if cell in never else "no test"}'
                for cell in everything if (cell in self.ran) == (cell in never)]
