#!/bin/sh
# smtp_server.sh DIRECTORY: installs nodemailer's smtp-server there, and says where its modules are. Debian does not
# package it. This version runs with Debian's node, and names what it needs itself by exact versions.
set -eu
version=3.18.0
mkdir -p "$1"
cd "$1"
modules=$PWD/node_modules
if ! grep -qs "\"version\": \"$version\"" "$modules/smtp-server/package.json"; then
  rm -rf "$modules"
  # A prefix, lest it takes a package.json further up for its own.
  npm install --prefix "$PWD" --no-save --no-audit --no-fund --ignore-scripts "smtp-server@$version" >&2
fi
echo "$modules"
