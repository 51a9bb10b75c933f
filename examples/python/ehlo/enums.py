"""The words of the library as enums. Each number comes from ehlo.h; what a newer library adds is let through as a
member without a known name.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Callable, TypeVar

from ._binding import lib

Member = TypeVar("Member", bound=int)


class OpenEnum(enum.IntEnum):
    """Numbers with names, and room for numbers that have none yet."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"NUMBER_{value}"
        member._value_ = value
        return member

    __str__ = enum.Enum.__str__


class OpenFlag(enum.IntFlag):
    """Bits with names."""

    __str__ = enum.Enum.__str__


class Names(dict[int, Member]):
    """From numbers to members, faster than a call of the enum."""

    def __init__(self, kind: Callable[[int], Member], members: Iterable[Member]) -> None:
        super().__init__((int(member), member) for member in members)
        self._kind = kind

    def __missing__(self, number: int) -> Member:
        return self._kind(number)


class Verb(OpenEnum):
    """What a command line begins with, and the moments beside commands that are answered too."""

    UNKNOWN = lib.EHLO_VERB_UNKNOWN
    NONE = lib.EHLO_VERB_NONE
    LINE = lib.EHLO_VERB_LINE
    CONNECT = lib.EHLO_VERB_CONNECT
    MESSAGE = lib.EHLO_VERB_MESSAGE
    RESULT = lib.EHLO_VERB_RESULT
    HELO = lib.EHLO_VERB_HELO
    EHLO = lib.EHLO_VERB_EHLO
    LHLO = lib.EHLO_VERB_LHLO
    MAIL = lib.EHLO_VERB_MAIL
    SEND = lib.EHLO_VERB_SEND
    SOML = lib.EHLO_VERB_SOML
    SAML = lib.EHLO_VERB_SAML
    RCPT = lib.EHLO_VERB_RCPT
    DATA = lib.EHLO_VERB_DATA
    RSET = lib.EHLO_VERB_RSET
    VRFY = lib.EHLO_VERB_VRFY
    EXPN = lib.EHLO_VERB_EXPN
    HELP = lib.EHLO_VERB_HELP
    NOOP = lib.EHLO_VERB_NOOP
    QUIT = lib.EHLO_VERB_QUIT
    TURN = lib.EHLO_VERB_TURN
    BDAT = lib.EHLO_VERB_BDAT
    STARTTLS = lib.EHLO_VERB_STARTTLS
    AUTH = lib.EHLO_VERB_AUTH
    ETRN = lib.EHLO_VERB_ETRN
    ATRN = lib.EHLO_VERB_ATRN
    BURL = lib.EHLO_VERB_BURL
    XCLIENT = lib.EHLO_VERB_XCLIENT
    XFORWARD = lib.EHLO_VERB_XFORWARD


class Extension(OpenEnum):
    """What an EHLO answer can list."""

    PIPELINING = lib.EHLO_EXT_PIPELINING
    SIZE = lib.EHLO_EXT_SIZE
    EIGHTBITMIME = lib.EHLO_EXT_8BITMIME
    ENHANCEDSTATUSCODES = lib.EHLO_EXT_ENHANCEDSTATUSCODES
    SMTPUTF8 = lib.EHLO_EXT_SMTPUTF8
    VRFY = lib.EHLO_EXT_VRFY
    EXPN = lib.EHLO_EXT_EXPN
    HELP = lib.EHLO_EXT_HELP
    SEND = lib.EHLO_EXT_SEND
    SOML = lib.EHLO_EXT_SOML
    SAML = lib.EHLO_EXT_SAML
    TURN = lib.EHLO_EXT_TURN
    DSN = lib.EHLO_EXT_DSN
    STARTTLS = lib.EHLO_EXT_STARTTLS
    AUTH = lib.EHLO_EXT_AUTH
    CHUNKING = lib.EHLO_EXT_CHUNKING
    BINARYMIME = lib.EHLO_EXT_BINARYMIME
    DELIVERBY = lib.EHLO_EXT_DELIVERBY
    FUTURERELEASE = lib.EHLO_EXT_FUTURERELEASE
    MT_PRIORITY = lib.EHLO_EXT_MT_PRIORITY
    REQUIRETLS = lib.EHLO_EXT_REQUIRETLS
    RRVS = lib.EHLO_EXT_RRVS
    NO_SOLICITING = lib.EHLO_EXT_NO_SOLICITING
    MTRK = lib.EHLO_EXT_MTRK
    SUBMITTER = lib.EHLO_EXT_SUBMITTER
    CONPERM = lib.EHLO_EXT_CONPERM
    CONNEG = lib.EHLO_EXT_CONNEG
    CHECKPOINT = lib.EHLO_EXT_CHECKPOINT
    LIMITS = lib.EHLO_EXT_LIMITS
    ETRN = lib.EHLO_EXT_ETRN
    ATRN = lib.EHLO_EXT_ATRN
    BURL = lib.EHLO_EXT_BURL
    XCLIENT = lib.EHLO_EXT_XCLIENT
    XFORWARD = lib.EHLO_EXT_XFORWARD


class Protocol(OpenEnum):
    """What a session speaks."""

    SMTP = lib.EHLO_PROTOCOL_SMTP
    LMTP = lib.EHLO_PROTOCOL_LMTP


class Want(OpenFlag):
    """What a session is waiting for."""

    READ = lib.EHLO_WANT_READ
    WRITE = lib.EHLO_WANT_WRITE
    FEED = lib.EHLO_WANT_FEED
    DECISION = lib.EHLO_WANT_DECISION
    TLS = lib.EHLO_WANT_TLS
    TURN = lib.EHLO_WANT_TURN
    CLOSE = lib.EHLO_WANT_CLOSE
    CONTENT = lib.EHLO_WANT_CONTENT


class End(OpenEnum):
    """Why a transaction ended."""

    ACCEPTED = lib.EHLO_END_ACCEPTED
    REFUSED = lib.EHLO_END_REFUSED
    MIXED = lib.EHLO_END_MIXED
    RESET = lib.EHLO_END_RESET
    SUPERSEDED = lib.EHLO_END_SUPERSEDED
    QUIT = lib.EHLO_END_QUIT
    TOO_BIG = lib.EHLO_END_TOO_BIG
    BARE_NEWLINE = lib.EHLO_END_BARE_NEWLINE
    LOST = lib.EHLO_END_LOST
    SHUTDOWN = lib.EHLO_END_SHUTDOWN
    TIMED_OUT = lib.EHLO_END_TIMED_OUT
    FAILED = lib.EHLO_END_FAILED


class Violation(OpenEnum):
    """What a peer did wrong."""

    EARLY_TALKER = lib.EHLO_VIOLATION_EARLY_TALKER
    EARLY_HELLO = lib.EHLO_VIOLATION_EARLY_HELLO
    BARE_NEWLINE = lib.EHLO_VIOLATION_BARE_NEWLINE
    LINE_TOO_LONG = lib.EHLO_VIOLATION_LINE_TOO_LONG
    SYNTAX = lib.EHLO_VIOLATION_SYNTAX
    UNKNOWN_VERB = lib.EHLO_VIOLATION_UNKNOWN_VERB
    NOT_OFFERED = lib.EHLO_VIOLATION_NOT_OFFERED
    SEQUENCE = lib.EHLO_VIOLATION_SEQUENCE
    NON_ASCII = lib.EHLO_VIOLATION_NON_ASCII
    PARAMETER = lib.EHLO_VIOLATION_PARAMETER
    TOO_MANY_RECIPIENTS = lib.EHLO_VIOLATION_TOO_MANY_RECIPIENTS
    TOO_BIG = lib.EHLO_VIOLATION_TOO_BIG
    TOO_MANY_ERRORS = lib.EHLO_VIOLATION_TOO_MANY_ERRORS
    SPACE_AFTER_COLON = lib.EHLO_VIOLATION_SPACE_AFTER_COLON
    BARE_ADDRESS = lib.EHLO_VIOLATION_BARE_ADDRESS
    EXTRA_SPACES = lib.EHLO_VIOLATION_EXTRA_SPACES
    UNDERSCORE = lib.EHLO_VIOLATION_UNDERSCORE
    HELLO_NAME = lib.EHLO_VIOLATION_HELLO_NAME
    CONTROL = lib.EHLO_VIOLATION_CONTROL
    UNSOLICITED = lib.EHLO_VIOLATION_UNSOLICITED
    REPLY_CODE = lib.EHLO_VIOLATION_REPLY_CODE
    REPLY_MISMATCH = lib.EHLO_VIOLATION_REPLY_MISMATCH
    BEFORE_TLS = lib.EHLO_VIOLATION_BEFORE_TLS
    REPLY_TOO_LONG = lib.EHLO_VIOLATION_REPLY_TOO_LONG
    SASL = lib.EHLO_VIOLATION_SASL


class BodyType(OpenEnum):
    """BODY= of MAIL."""

    NONE = lib.EHLO_BODY_NONE
    SEVENBIT = lib.EHLO_BODY_7BIT
    EIGHTBITMIME = lib.EHLO_BODY_8BITMIME
    BINARYMIME = lib.EHLO_BODY_BINARYMIME


class Parse(OpenFlag):
    """What a parser lets in beyond the strict grammar of RFC 5321."""

    UTF8 = lib.EHLO_PARSE_UTF8
    UNDERSCORE = lib.EHLO_PARSE_UNDERSCORE


class DomainKind(OpenEnum):
    """What a domain is."""

    NONE = lib.EHLO_DOMAIN_NONE
    NAME = lib.EHLO_DOMAIN_NAME
    IPV4 = lib.EHLO_DOMAIN_IPV4
    IPV6 = lib.EHLO_DOMAIN_IPV6


class PathKind(OpenEnum):
    """What a path is."""

    NULL = lib.EHLO_PATH_NULL
    POSTMASTER = lib.EHLO_PATH_POSTMASTER
    MAILBOX = lib.EHLO_PATH_MAILBOX


class ParameterId(OpenEnum):
    """The parameters of MAIL and RCPT."""

    UNKNOWN = lib.EHLO_PARAMETER_UNKNOWN
    SIZE = lib.EHLO_PARAMETER_SIZE
    BODY = lib.EHLO_PARAMETER_BODY
    SMTPUTF8 = lib.EHLO_PARAMETER_SMTPUTF8
    RET = lib.EHLO_PARAMETER_RET
    ENVID = lib.EHLO_PARAMETER_ENVID
    NOTIFY = lib.EHLO_PARAMETER_NOTIFY
    ORCPT = lib.EHLO_PARAMETER_ORCPT
    AUTH = lib.EHLO_PARAMETER_AUTH
    BY = lib.EHLO_PARAMETER_BY
    HOLDFOR = lib.EHLO_PARAMETER_HOLDFOR
    HOLDUNTIL = lib.EHLO_PARAMETER_HOLDUNTIL
    MT_PRIORITY = lib.EHLO_PARAMETER_MT_PRIORITY
    REQUIRETLS = lib.EHLO_PARAMETER_REQUIRETLS
    RRVS = lib.EHLO_PARAMETER_RRVS
    SOLICIT = lib.EHLO_PARAMETER_SOLICIT
    MTRK = lib.EHLO_PARAMETER_MTRK
    SUBMITTER = lib.EHLO_PARAMETER_SUBMITTER
    CONPERM = lib.EHLO_PARAMETER_CONPERM
    CONNEG = lib.EHLO_PARAMETER_CONNEG
    TRANSID = lib.EHLO_PARAMETER_TRANSID


class Ret(OpenEnum):
    """RET: what of the message comes back with a failure."""

    NONE = lib.EHLO_RET_NONE
    FULL = lib.EHLO_RET_FULL
    HDRS = lib.EHLO_RET_HDRS


class Notify(OpenFlag):
    """NOTIFY: when the sender wants to be told."""

    NONE = lib.EHLO_NOTIFY_NONE
    NEVER = lib.EHLO_NOTIFY_NEVER
    SUCCESS = lib.EHLO_NOTIFY_SUCCESS
    FAILURE = lib.EHLO_NOTIFY_FAILURE
    DELAY = lib.EHLO_NOTIFY_DELAY


class By(OpenEnum):
    """BY: what becomes of a message that is late."""

    NONE = lib.EHLO_BY_NONE
    NOTIFY = lib.EHLO_BY_NOTIFY
    RETURN = lib.EHLO_BY_RETURN


class Rrvs(OpenEnum):
    """RRVS: what a host does that cannot pass the question on."""

    NONE = lib.EHLO_RRVS_NONE
    CONTINUE = lib.EHLO_RRVS_CONTINUE
    REJECT = lib.EHLO_RRVS_REJECT


class DotFlag(OpenFlag):
    """How content is read or written."""

    ALLOW_BARE_NEWLINE = lib.EHLO_DOT_ALLOW_BARE_NEWLINE
    CONVERT_LF = lib.EHLO_DOT_CONVERT_LF


class Mechanism(OpenEnum):
    """SASL mechanisms."""

    OTHER = lib.EHLO_SASL_OTHER
    PLAIN = lib.EHLO_SASL_PLAIN
    LOGIN = lib.EHLO_SASL_LOGIN
    EXTERNAL = lib.EHLO_SASL_EXTERNAL
    XOAUTH2 = lib.EHLO_SASL_XOAUTH2
    OAUTHBEARER = lib.EHLO_SASL_OAUTHBEARER
    CRAM_MD5 = lib.EHLO_SASL_CRAM_MD5
    SCRAM_SHA_1 = lib.EHLO_SASL_SCRAM_SHA_1
    SCRAM_SHA_1_PLUS = lib.EHLO_SASL_SCRAM_SHA_1_PLUS
    SCRAM_SHA_256 = lib.EHLO_SASL_SCRAM_SHA_256
    SCRAM_SHA_256_PLUS = lib.EHLO_SASL_SCRAM_SHA_256_PLUS


class Preset(OpenEnum):
    """What a server is for."""

    MX = lib.EHLO_PRESET_MX
    SUBMISSION = lib.EHLO_PRESET_SUBMISSION
    LMTP = lib.EHLO_PRESET_LMTP


class Chunking(OpenEnum):
    """When content goes out by BDAT in place of DATA."""

    AUTO = lib.EHLO_CHUNKING_AUTO
    ALWAYS = lib.EHLO_CHUNKING_ALWAYS
    NEVER = lib.EHLO_CHUNKING_NEVER


class ServerEventType(OpenEnum):
    """The events of a server."""

    CONNECT = lib.EHLO_EVENT_CONNECT
    COMMAND = lib.EHLO_EVENT_COMMAND
    HELLO = lib.EHLO_EVENT_HELLO
    MAIL = lib.EHLO_EVENT_MAIL
    RCPT = lib.EHLO_EVENT_RCPT
    DATA = lib.EHLO_EVENT_DATA
    BODY = lib.EHLO_EVENT_BODY
    MESSAGE = lib.EHLO_EVENT_MESSAGE
    RESULT = lib.EHLO_EVENT_RESULT
    END = lib.EHLO_EVENT_END
    VRFY = lib.EHLO_EVENT_VRFY
    EXPN = lib.EHLO_EVENT_EXPN
    HELP = lib.EHLO_EVENT_HELP
    TURN = lib.EHLO_EVENT_TURN
    UNKNOWN = lib.EHLO_EVENT_UNKNOWN
    REPLY = lib.EHLO_EVENT_REPLY
    VIOLATION = lib.EHLO_EVENT_VIOLATION
    CANCEL = lib.EHLO_EVENT_CANCEL
    STARTTLS = lib.EHLO_EVENT_STARTTLS
    AUTH = lib.EHLO_EVENT_AUTH
    STEP = lib.EHLO_EVENT_STEP
    ETRN = lib.EHLO_EVENT_ETRN
    ATRN = lib.EHLO_EVENT_ATRN
    BURL = lib.EHLO_EVENT_BURL
    XCLIENT = lib.EHLO_EVENT_XCLIENT
    XFORWARD = lib.EHLO_EVENT_XFORWARD


class ClientEventType(OpenEnum):
    """The events of a client."""

    LINE = lib.EHLO_CLIENT_EVENT_LINE
    REPLY = lib.EHLO_CLIENT_EVENT_REPLY
    HELLO = lib.EHLO_CLIENT_EVENT_HELLO
    CONTENT = lib.EHLO_CLIENT_EVENT_CONTENT
    END = lib.EHLO_CLIENT_EVENT_END
    VIOLATION = lib.EHLO_CLIENT_EVENT_VIOLATION
    CHALLENGE = lib.EHLO_CLIENT_EVENT_CHALLENGE


class ServerLimits:
    """The defaults and bounds of a server's config."""

    DEFAULT_MAX_COMMAND_LINE: int = lib.EHLO_DEFAULT_MAX_COMMAND_LINE
    MIN_COMMAND_LINE: int = lib.EHLO_MIN_COMMAND_LINE
    MAX_COMMAND_LINE: int = lib.EHLO_MAX_COMMAND_LINE
    DEFAULT_OUTPUT_SIZE: int = lib.EHLO_DEFAULT_OUTPUT_SIZE
    MIN_OUTPUT_SIZE: int = lib.EHLO_MIN_OUTPUT_SIZE
    MAX_OUTPUT_SIZE: int = lib.EHLO_MAX_OUTPUT_SIZE
    DEFAULT_MAX_PENDING: int = lib.EHLO_DEFAULT_MAX_PENDING
    MAX_MAX_PENDING: int = lib.EHLO_MAX_MAX_PENDING
    DEFAULT_PENDING_TEXT: int = lib.EHLO_DEFAULT_PENDING_TEXT
    MIN_PENDING_TEXT: int = lib.EHLO_MIN_PENDING_TEXT
    MAX_PENDING_TEXT: int = lib.EHLO_MAX_PENDING_TEXT
    DEFAULT_HELLO_SIZE: int = lib.EHLO_DEFAULT_HELLO_SIZE
    MAX_HELLO_SIZE: int = lib.EHLO_MAX_HELLO_SIZE
    DEFAULT_MAX_RECIPIENTS: int = lib.EHLO_DEFAULT_MAX_RECIPIENTS
    DEFAULT_MAX_ERRORS: int = lib.EHLO_DEFAULT_MAX_ERRORS
    DEFAULT_COMMAND_TIMEOUT: int = lib.EHLO_DEFAULT_COMMAND_TIMEOUT
    DEFAULT_CONTENT_TIMEOUT: int = lib.EHLO_DEFAULT_CONTENT_TIMEOUT
    IDENTITY_SIZE: int = lib.EHLO_IDENTITY_SIZE


class ClientLimits:
    """The defaults and bounds of a client's config."""

    DEFAULT_OUTPUT_SIZE: int = lib.EHLO_CLIENT_DEFAULT_OUTPUT_SIZE
    MIN_OUTPUT_SIZE: int = lib.EHLO_CLIENT_MIN_OUTPUT_SIZE
    MAX_OUTPUT_SIZE: int = lib.EHLO_CLIENT_MAX_OUTPUT_SIZE
    DEFAULT_MAX_COMMANDS: int = lib.EHLO_CLIENT_DEFAULT_MAX_COMMANDS
    MAX_MAX_COMMANDS: int = lib.EHLO_CLIENT_MAX_MAX_COMMANDS
    DEFAULT_MAX_RECIPIENTS: int = lib.EHLO_CLIENT_DEFAULT_MAX_RECIPIENTS
    MAX_MAX_RECIPIENTS: int = lib.EHLO_CLIENT_MAX_MAX_RECIPIENTS
    DEFAULT_MAX_REPLY_LINE: int = lib.EHLO_CLIENT_DEFAULT_MAX_REPLY_LINE
    MIN_REPLY_LINE: int = lib.EHLO_CLIENT_MIN_REPLY_LINE
    MAX_REPLY_LINE: int = lib.EHLO_CLIENT_MAX_REPLY_LINE
    DEFAULT_MAX_REPLY_LINES: int = lib.EHLO_CLIENT_DEFAULT_MAX_REPLY_LINES
    DEFAULT_MAX_REPLY_SIZE: int = lib.EHLO_CLIENT_DEFAULT_MAX_REPLY_SIZE
    DEFAULT_PARAMETERS_SIZE: int = lib.EHLO_CLIENT_DEFAULT_PARAMETERS_SIZE
    MAX_PARAMETERS_SIZE: int = lib.EHLO_CLIENT_MAX_PARAMETERS_SIZE
    DEFAULT_MAX_SASL_LINE: int = lib.EHLO_CLIENT_DEFAULT_MAX_SASL_LINE
    MAX_CHALLENGES: int = lib.EHLO_CLIENT_MAX_CHALLENGES
    DEFAULT_GREETING_TIMEOUT: int = lib.EHLO_CLIENT_DEFAULT_GREETING_TIMEOUT
    DEFAULT_COMMAND_TIMEOUT: int = lib.EHLO_CLIENT_DEFAULT_COMMAND_TIMEOUT
    DEFAULT_DATA_TIMEOUT: int = lib.EHLO_CLIENT_DEFAULT_DATA_TIMEOUT
    DEFAULT_CONTENT_TIMEOUT: int = lib.EHLO_CLIENT_DEFAULT_CONTENT_TIMEOUT
    DEFAULT_VERDICT_TIMEOUT: int = lib.EHLO_CLIENT_DEFAULT_VERDICT_TIMEOUT


VERBS = Names(Verb, Verb)
ENDS = Names(End, End)
VIOLATIONS = Names(Violation, Violation)
MECHANISMS = Names(Mechanism, Mechanism)
WANTS: Names[Want] = Names(Want, [Want(number) for number in range(256)])
