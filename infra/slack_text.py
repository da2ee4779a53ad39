"""Foreign text, written so that Slack shows it and does nothing else.

Slack's rules are from its reference (https://docs.slack.dev/): "Formatting message text" asks that `&`, `<` and `>` are
escaped "in text objects", of which `plain_text` is one, and decodes these three for display. (That it keeps
`plain_text` escaped shows where it hands one back: slackapi/bolt-python, issue 513.) So everything is escaped, wherever
it stands. Slack does not say what it counts as a character; the stricter is taken: UTF-16 units of the escaped text.
"""

import json
import re
from datetime import UTC, datetime
from typing import TypeGuard
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CUT = "… (cut)"

_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and new line (a terminal would obey them) and lone surrogates (UTF-8 has none)."""

_HALF_ESCAPE = re.compile(r"&[a-z]{0,3}\Z")

_CONSOLE = re.compile(
    r"https://(?:[a-z0-9-]+\.)*(?:aws\.amazon\.com|amazonaws-us-gov\.com|amazonaws\.cn)(?:[/?#].*)?", re.DOTALL
)
"""AWS's own pages. Some sources take the address from the finding, and whoever may import findings writes that."""

_LONGEST_LINK = 2900


class Escaped(str):
    """Text that is escaped for Slack already."""

    __slots__ = ()


class Markup(Escaped):
    """Escaped text that holds markup of our own, and so needs a `mrkdwn` object."""

    __slots__ = ()


def json_text(value: object) -> str:
    """What `{{ … }}` prints: the inside of a JSON string, escaped for Slack unless that was done already.

    Raises:
        TypeError: for None. A reader can do nothing with that word: the template has to ask before it prints.
    """
    if value is None:
        raise TypeError("a value that is None was printed")
    return json.dumps(value if isinstance(value, Escaped) else escape(str(value)))[1:-1]


def plain(text: str) -> str:
    """The text without what no screen should obey."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", lines)


def escape(text: str) -> Escaped:
    """The plain text with Slack's three escapes and no others."""
    return Escaped(plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def unescape(text: str) -> str:
    """What Slack shows of an escaped text."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def length(text: str) -> int:
    """In UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, limit: int) -> Escaped:
    """The text, escaped, in at most `limit` characters; when it had to be cut, it says so at its end."""
    escaped = text if isinstance(text, Escaped) else escape(text)
    if length(escaped) <= limit:
        return escaped
    room = limit - length(CUT)
    kept = escaped.removesuffix(CUT).encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore")
    return Escaped(_HALF_ESCAPE.sub("", kept) + CUT)


def lost(text: str, limit: int) -> str:
    """What `cut` would take away; empty if nothing."""
    escaped, short = escape(text), cut(text, limit)
    return "" if short == escaped else unescape(escaped[len(short.removesuffix(CUT)) :])


def one_line(text: str) -> str:
    return " ".join(text.split())


def beyond(text: str, title: str) -> str:
    """What a text says after the lines at its beginning that its title says already; may be empty."""
    lines = plain(text).split("\n")
    first = next((n for n, line in enumerate(lines) if not is_said_in(line, title)), len(lines))
    return "\n".join(lines[first:])


def date(seconds: int, timezone: str) -> Markup:
    """A date that Slack shows in each reader's own time zone.

    Args:
        timezone: of the IANA database, for what is shown where Slack cannot do that.
    """
    at = moment(seconds, timezone)
    return Markup(f"<!date^{seconds:d}^{{date_short_pretty}} {{time_secs}}|{escape(at)}>")


def moment(seconds: int, timezone: str) -> str:
    """Such as `2026-03-10 09:14:22 CET`."""
    try:
        at = datetime.fromtimestamp(seconds, ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):  # a message in UTC is better than none
        at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def link(url: str, label: str) -> Markup:
    """A link. Whatever could end its address or begin the label is percent-encoded."""
    # `%` stays, or `%3D` would become `%253D`.
    address = quote(plain(url), safe="!#$%&'()*+,/:;=?@[]~")
    return Markup(f"<{escape(address)}|{escape(label)}>")


def aws_link(url: str) -> Markup:
    """A link to an AWS page: of the console, or of the documentation, where some findings lead."""
    return link(url, "Read what AWS advises" if url.startswith("https://docs.") else "Open in the AWS console")


def is_aws_page(url: str | None) -> TypeGuard[str]:
    """Whether a link may lead there. One that is too long is not cut: half an address leads nowhere."""
    return url is not None and _CONSOLE.fullmatch(url) is not None and len(link(url, "")) <= _LONGEST_LINK


def is_markup(value: object) -> bool:
    return isinstance(value, Markup)


def is_shown(value: str | None) -> TypeGuard[str]:
    """Whether there is anything to see. Slack refuses a message with an empty text object in it."""
    return value is not None and any(c.isprintable() and not c.isspace() for c in plain(value))


def is_said_in(value: str, title: str) -> bool:
    """Whether a title holds that text, as words of its own. What is blank is said by any."""
    words = one_line(value)
    return not words or re.search(rf"(?<!\w){re.escape(words)}(?!\w)", title) is not None
