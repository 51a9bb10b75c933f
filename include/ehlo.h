/* ehlo.h: SMTP as a library, both ends of the wire, with no I/O in it.
 *
 * SPDX-License-Identifier: MIT
 *
 * A host program feeds the bytes that arrived from a peer and pulls the bytes to send back; what the protocol
 * means in between reaches the host as events through one callback, and the host's verdicts go back as calls.
 * Sockets, TLS, clocks, storage and policy stay with the host.
 *
 *     base.h        spans, error codes, verbs, extensions, reasons: the words that the rest is written in
 *     grammar.h     the grammar alone: paths, command lines, parameters, replies, base64, xtext, trace fields
 *     parameters.h  the parameters of MAIL and RCPT as values, both ways
 *     content.h     dot-stuffing, both ways, streaming
 *     sasl.h        the mechanisms of AUTH
 *     server.h      the receiving machine, SMTP and LMTP
 *     client.h      the sending machine, SMTP and LMTP
 *
 * What the library promises, whatever a peer sends and however a host behaves:
 *
 *  1. Pure.        No I/O, clock, changing global, allocation, locale, stdio or errno. The mem* and strlen family
 *                  is all it takes from the C library.
 *  2. Split-blind. However the bytes are cut: the same replies, the same events, the same content octets.
 *  3. Bounded.     All memory is one block of the host's, its size known from the config; work is linear.
 *  4. One ending.  Content sent by DATA ends at CRLF . CRLF and nowhere else. Content is never read as a command,
 *                  nor a command as content.
 *  5. Safe silence. What the host leaves unanswered gets the safe answer, never the generous one.
 *  6. One END.     Every accepted MAIL is followed by exactly one END event.
 *  7. Checked out. No CR, LF, NUL or broken path of the host's ever reaches the wire.
 *  8. Lossless.    Events carry the spelling that arrived beside what it means.
 *  9. Strict.      Each leniency is a config field of its own, off by default, with its danger beside it.
 *
 * Threads: the library shares nothing between sessions. One session must not be used by two threads at a time.
 *
 * Bindings define EHLO_BINDING before they include or preprocess this: there is then nothing here but
 * declarations (no includes, attributes or linkage blocks).
 */
#ifndef EHLO_H
#define EHLO_H

#include "ehlo/base.h"
#include "ehlo/client.h"
#include "ehlo/content.h"
#include "ehlo/grammar.h"
#include "ehlo/parameters.h"
#include "ehlo/sasl.h"
#include "ehlo/server.h"

#endif
