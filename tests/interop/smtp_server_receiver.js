// smtp_server_receiver.js MODULES PORT DIRECTORY MOST
//   [lmtp | CERTIFICATE KEY USER PASSWORD | CERTIFICATE KEY implicit]:
// the receiver of that name in receivers.py. MODULES is what smtp_server.sh says.
//
// Takes mail on 127.0.0.1 and ::1, says a line for each connection and for each parameter of DSN, and has in DIRECTORY
// a file for each message and recipient: "To: ", the recipient and LF, then the octets that smtp-server gives. With a
// certificate it takes mail from that user alone, under STARTTLS; or from everybody, under TLS from the beginning.
'use strict';

const fs = require('fs');

const [modules, port, directory, most, ...how] = process.argv.slice(2);
const { SMTPServer } = require(`${modules}/smtp-server`);
const [certificate, key, user, password] = how;
const underTls = how.length > 1;
const implicit = user === 'implicit';
let count = 0;

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

function onAuth(auth, session, callback) {
  console.log(`login by ${auth.method}`);
  const good = auth.username === user && auth.password === password;
  callback(good ? null : refusal(535, 'Wrong'), { user });
}

function onRcptTo(address, session, callback) {
  if (session.envelope.rcptTo.length >= Number(most)) {
    return callback(refusal(452, 'Too many recipients'));
  }
  if (address.address.startsWith('refused')) {
    return callback(refusal(550, 'No such mailbox here'));
  }
  if (address.address.startsWith('later')) {
    return callback(refusal(450, 'Come again'));
  }
  callback();
}

function tellDsn(envelope) {
  for (const { dsn } of [envelope, ...envelope.rcptTo]) {
    for (const [name, value] of Object.entries(dsn || {})) {
      console.log(`DSN ${name.toUpperCase()}=${value}`);
    }
  }
}

function onData(stream, session, callback) {
  const pieces = [];
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('end', () => {
    tellDsn(session.envelope);
    for (const { address } of session.envelope.rcptTo) {
      const name = `${directory}/${++count}`;
      fs.writeFileSync(`${name}.tmp`, Buffer.concat([Buffer.from(`To: ${address}\n`), ...pieces]));
      fs.renameSync(`${name}.tmp`, `${name}.eml`);
    }
    callback(null, 'Stored');
  });
}

function onConnect(session, callback) {
  console.log(`connection from ${session.remoteAddress}`);
  callback();
}

process.umask(0o077);
for (const host of ['127.0.0.1', '::1']) {
  const server = new SMTPServer({
    name: 'smtp-server.example',
    lmtp: how[0] === 'lmtp',
    secure: implicit,
    ...(underTls ? { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) } : {}),
    disabledCommands: [...(underTls ? [] : ['STARTTLS']), ...(underTls && !implicit ? [] : ['AUTH'])],
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    disableReverseLookup: true,
    onConnect, onAuth, onRcptTo, onData,
  });
  server.on('error', (error) => console.log(error));
  server.listen(Number(port), host);
}
