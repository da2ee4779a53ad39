"""Slack messages: a mapped event, written as Block Kit by the Jinja2 template of its source.

What AWS sends may hold anything, and some of it is written by strangers (a log line, the name of a bucket). It is
shown, and can do nothing else:

* Everything a template prints goes through `_json_text`, the environment's `finalize`: escaped for Slack, then for
  JSON. There is no way around it in a template, and what is escaped twice by mistake is ugly, not dangerous.
* Markup is made by the filters `date` and `link` alone, from an int and from the address of an AWS page.
* Values stand in `plain_text` objects, where Slack reads no formatting: `*`, `_` and back-ticks are characters.
  Only our own labels, dates and links are `mrkdwn`, and these are `verbatim`, so that Slack turns no name into a link.

Slack's rules are from its reference (https://docs.slack.dev/reference/block-kit/): header block 150 characters;
text object 3,000; section block 10 fields of 2,000; context block 10 elements; 50 blocks a message; `text` of a
message 4,000; escaping of `&`, `<`, `>` in every text object ("Formatting message text"). Slack does not say what it
counts, so the stricter is taken: UTF-16 units of the escaped text.
"""

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from domain.sources.mapping import MappedEvent, State

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "slack"
"""Found from this file and not from the working directory, which is Lambda's own."""

SOURCES = frozenset({"aws.cloudformation", "aws.cloudwatch", "aws.guardduty", "aws.health", "monitoring.agent"})
"""Those with a template of their own. A source is never made into a file name without being looked up here."""


class Mark(NamedTuple):
    """How a severity looks. The word stands beside the colour, for those who cannot tell the colours apart."""

    word: str
    emoji: str
    colour: str


SEVERITIES = (
    Mark("info", "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}", "#8d99ae"),
    Mark("low", "\N{LARGE BLUE CIRCLE}", "#3a86ff"),
    Mark("medium", "\N{LARGE YELLOW CIRCLE}", "#f2c744"),
    Mark("high", "\N{LARGE ORANGE CIRCLE}", "#f77f00"),
    Mark("critical", "\N{LARGE RED CIRCLE}", "#d62828"),
    Mark("emergency", "\N{POLICE CARS REVOLVING LIGHT}", "#9d0208"),
)
RESOLVED = Mark("resolved", "\N{WHITE HEAVY CHECK MARK}", "#2a9d5c")

CUT = "… (cut)"

_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and new line (a terminal would obey them) and lone surrogates (UTF-8 has none)."""

_HALF_ESCAPE = re.compile(r"&[a-z]{0,3}\Z")

_CONSOLE = re.compile(
    r"https://(?:[a-z0-9-]+\.)*(?:aws\.amazon\.com|amazonaws-us-gov\.com|amazonaws\.cn)(?:[/?#].*)?", re.DOTALL
)
"""AWS's own pages. Some sources take the address from the finding, and whoever may import findings writes that."""


class RenderError(Exception):
    """A template failed. The message names it; the cause is chained."""


class _Escaped(str):
    """Text that is escaped for Slack already. Only `_json_text` and the layout look at the type."""

    __slots__ = ()


class _Markup(_Escaped):
    """Escaped text that holds markup of our own, and so needs a `mrkdwn` object."""

    __slots__ = ()


def render(event: MappedEvent, *, event_id: str, published_at: int) -> dict[str, Any]:
    """The message about an event, as Slack's incoming webhooks take it.

    Args:
        event: what happened.
        event_id: the monitoring event's id, shown so that a person finds it in the API.
        published_at: when it happened, seconds since the epoch.

    Returns:
        `text`, what a notification shows; `blocks`; and `attachments`, one, which is there for its colour and holds
        only the context line, since Slack may fold attachments away.

    Raises:
        RenderError: the template is missing, broken, uses a name it is not given, or does not write JSON.
    """
    template = f"{event.source if event.source in SOURCES else 'generic'}.json.j2"
    severity = SEVERITIES[event.severity]
    try:
        written = (
            _environment()
            .get_template(template)
            .render(
                event=event,
                event_id=event_id,
                published_at=published_at,
                severity=severity,
                mark=RESOLVED if event.state is State.RESOLVED else severity,
            )
        )
        message: dict[str, Any] = json.loads(written)
    except Exception as error:
        raise RenderError(f"templates/slack/{template}: {type(error).__name__}: {error}") from error
    return message


def preview(message: dict[str, Any]) -> str:
    """A rendered message as lines of plain text. It holds no control characters, so a terminal may print it."""
    blocks = [*message["blocks"], *(block for a in message.get("attachments", ()) for block in a["blocks"])]
    return "\n\n".join(_preview_block(block) for block in blocks)


@cache
def _environment() -> "Environment":
    # Not at the module's import: functions that never write a message share this artifact, and jinja2 takes 0.1 s.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # this is JSON for Slack and no HTML: `finalize` escapes
        finalize=_json_text,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"cut": _cut, "date": _date, "link": _link, "one_line": _one_line}
    environment.tests |= {"console": _is_console, "markup": _is_markup, "shown": _is_shown}
    return environment


def _json_text(value: object) -> str:
    """What `{{ … }}` prints: the inside of a JSON string, escaped for Slack unless a filter has done that already."""
    if value is None:
        # A reader can do nothing with the word "None": the template has to ask before it prints.
        raise TypeError("a value that is None was printed")
    return json.dumps(value if isinstance(value, _Escaped) else _escape(str(value)))[1:-1]


def _plain(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", lines)


def _escape(text: str) -> _Escaped:
    # Slack asks for these three and no others: it would show `&quot;` as it stands.
    return _Escaped(_plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, limit: int) -> _Escaped:
    """The text, escaped, in at most `limit` characters; when it had to be cut, it says so at its end."""
    escaped = _escape(text)
    if _length(escaped) <= limit:
        return escaped
    room = limit - _length(CUT)
    kept = escaped.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore")
    return _Escaped(_HALF_ESCAPE.sub("", kept) + CUT)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _date(seconds: int) -> _Markup:
    """A date that Slack shows in each reader's own time zone; UTC where it cannot."""
    utc = datetime.fromtimestamp(seconds, UTC)
    return _Markup(f"<!date^{seconds:d}^{{date_short_pretty}} {{time_secs}}|{utc:%Y-%m-%d %H:%M:%S} UTC>")


def _link(url: str, label: str) -> _Markup:
    # Whatever could end the address or begin the label is percent-encoded; `%` stays, or `%3D` would become `%253D`.
    address = quote(_plain(url), safe="!#$%&'()*+,/:;=?@[]~")
    return _Markup(f"<{_escape(address)}|{_escape(label)}>")


def _is_console(url: str | None) -> bool:
    """Whether a link may lead there. One that is too long is not cut: half an address leads nowhere."""
    return url is not None and _CONSOLE.fullmatch(url) is not None and len(_link(url, "")) <= 2900


def _is_markup(value: object) -> bool:
    return isinstance(value, _Markup)


def _is_shown(value: str | None) -> bool:
    """Whether there is anything to see. Slack refuses a message with an empty text object in it."""
    return value is not None and any(c.isprintable() and not c.isspace() for c in _plain(value))


def _preview_block(block: dict[str, Any]) -> str:
    if "fields" in block:
        texts = [_preview_text(field) for field in block["fields"]]
        rows = zip(texts[::2], texts[1::2], strict=True)
        return "\n".join(f"{label:<18}{value.replace(chr(10), chr(10) + ' ' * 18)}" for label, value in rows)
    if "elements" in block:
        return " · ".join(_preview_text(element) for element in block["elements"])
    return _preview_text(block["text"])


def _preview_text(text: dict[str, Any]) -> str:
    shown: str = text["text"]
    if text["type"] == "mrkdwn":
        shown = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", shown)
        shown = re.sub(r"<([^|>]*)\|([^>]*)>", r"\2: \1", shown)
        shown = re.sub(r"\A\*(.*)\*\Z", r"\1", shown)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
