// nodemailer_sender.js PORT MODE SENDER RECIPIENT FILE CERTIFICATE USER PASSWORD: sends the file by nodemailer, as
// Debian packages it. MODE is as in matrix.py.
'use strict';

const fs = require('fs');
const nodemailer = require('/usr/share/nodejs/nodemailer');

const [port, mode, sender, recipient, file, certificate, user, password] = process.argv.slice(2);
const underTls = ['STARTTLS', 'TLS', 'AUTH'].includes(mode);
const transport = nodemailer.createTransport({
  host: 'localhost',
  port: Number(port),
  name: 'client.example',
  lmtp: mode === 'LMTP',
  secure: mode === 'TLS',
  requireTLS: underTls && mode !== 'TLS',
  ignoreTLS: !underTls,
  tls: { ca: fs.readFileSync(certificate) },
  auth: mode === 'AUTH' ? { user: user, pass: password } : undefined,
});

transport.sendMail({
  raw: fs.readFileSync(file),
  envelope: { from: sender, to: [recipient], use8BitMime: mode === '8BITMIME' },
  dsn: mode === 'DSN' ? { id: 'x', return: 'headers', notify: ['failure'] } : undefined,
}).then(() => transport.close(), (error) => {
  console.error(error);
  process.exitCode = 1;
});
