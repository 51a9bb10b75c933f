/* ehlo/content.h: dot-stuffing, both ways, streaming.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that. The machines do all this by themselves; these functions are for those who want
 * only the content codec of RFC 5321 4.5.2.
 *
 * Neither direction copies: what comes out is a list of spans into the caller's piece, fit for writev, with a dot or
 * a CR of the library's own (static storage) between them where one is owed.
 */
#ifndef EHLO_CONTENT_H
#define EHLO_CONTENT_H

#include "base.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* How content is read or written. */
enum {
  /* Pass a CR or LF that is not part of a CRLF on as an octet like any other, in place of refusing the content. It
   * never becomes a line ending here. Danger: whoever gets the content next may take it for one; that is how mail is
   * smuggled (CVE-2023-51764 and kin). */
  EHLO_DOT_ALLOW_BARE_NEWLINE = 1,
  /* Encoding only: an LF that is not part of a CRLF becomes a CRLF, as line endings of local files are to. CRLF stays
   * as it is. */
  EHLO_DOT_CONVERT_LF = 2
};

/* The state of one stream of content in one direction. Plain data: copy or move it freely. The fields are the
 * library's. */
typedef struct ehlo_dot {
  uint8_t state;
  uint8_t flags;
  uint8_t kernel;
  uint8_t reserved;
} ehlo_dot;

/* Begins a stream of content, in either direction. `flags` are EHLO_DOT_ bits. dot must not be NULL. */
EHLO_API void ehlo_dot_init(ehlo_dot *dot, uint32_t flags);

enum {
  EHLO_DOT_MORE = 0, /* all of the piece was taken, or the span list is full (then *consumed < size) */
  EHLO_DOT_END = 1   /* the terminating CRLF . CRLF was taken; *consumed tells where it ended */
};

/* Removes the stuffed dots from the next piece of content and finds the end (RFC 5321 4.1.1.4, 4.5.2).
 *
 * Takes `size` octets at `data`; any cut is fine, one octet at a time included. Sets *consumed to how many were taken,
 * writes at most `max` spans of content to `spans` and sets *count to how many. max must be at least 8. The spans
 * point into `data` or to static storage, and are never empty. Up to three octets (a CR; the dot that may end it all)
 * are kept back until the next piece shows what they are.
 *
 * Returns EHLO_DOT_MORE; EHLO_DOT_END; EHLO_ERR_BARE_NEWLINE at a bare CR or LF unless they are allowed: the
 * spans then hold all content before it, *consumed counts up to what was read of it, and the stream goes on, with bare
 * newlines allowed from then on, so that the true end can still be found; EHLO_ERR_ARGUMENT for a NULL, a max below 8;
 * EHLO_ERR_STATE after the end. */
EHLO_API int ehlo_dot_decode(ehlo_dot *dot, const void *data, size_t size, size_t *consumed, ehlo_span *spans,
                             size_t max, size_t *count);

/* Stuffs dots into the next piece of content (RFC 5321 4.5.2).
 *
 * As ehlo_dot_decode, the other way: the spans are what goes on the wire. A CR at the end of a piece is kept back until
 * the next piece shows that it was part of a CRLF. max must be at least 8.
 *
 * Returns EHLO_OK (*consumed < size when the span list is full); EHLO_ERR_BARE_NEWLINE at a bare CR or LF unless they
 * are allowed: the spans hold what came before, and the stream is at its end: what the host does with a message it
 * cannot send is its own affair; EHLO_ERR_ARGUMENT; EHLO_ERR_STATE after the end. */
EHLO_API int ehlo_dot_encode(ehlo_dot *dot, const void *data, size_t size, size_t *consumed, ehlo_span *spans,
                             size_t max, size_t *count);

/* Ends the content: completes a last line that lacks its CRLF, and adds the dot line. Writes at most 4 spans into
 * static storage; `spans` must have room for 4. Empty content gives ".CRLF" alone (RFC 5321 4.1.1.4).
 *
 * Returns EHLO_OK; EHLO_ERR_BARE_NEWLINE when the content ended in a CR and bare newlines are not allowed (nothing is
 * written); EHLO_ERR_ARGUMENT; EHLO_ERR_STATE after the end. */
EHLO_API int ehlo_dot_encode_end(ehlo_dot *dot, ehlo_span *spans, size_t *count);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
