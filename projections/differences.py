"""What a verification finds, in words: where, of what kind, which attributes. Never what stands in them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from infra.views import Key

Kind = Literal[
    "chain",
    "unreadable",
    "parked",
    "behind",
    "missing row",
    "row",
    "row too new",
    "unexplained row",
    "register",
    "counter",
]
"""Of a difference:

chain: commits of a stream are not what was written, or an item among them is no commit.
unreadable: this code cannot apply the stream's events, and nobody has parked it.
parked: the views show it up to the event that cannot be applied.
behind: the views do not show it to its end, though it has not moved for a while.
missing row: the stream's row, or one beside it, is not there.
row: its attributes are not what the stream says.
row too new: it shows a version that the stream does not have.
unexplained row: no stream puts it there.
register: a number that only ever rises is not the highest that was told.
counter: it is not the sum of what the rows contribute.
"""


class Difference(NamedTuple):
    """One thing that is not as the events say.

    Attributes:
        where: the stream, or the key of a row or counter, as `partition / sort key`.
        detail: in words; names attributes, and never shows what stands in them.
        stream: that explains it; None for what several streams share.
        key: of the row or counter; None for what is wrong with a stream.
    """

    kind: Kind
    where: str
    detail: str
    stream: str | None = None
    key: Key | None = None

    def as_json(self) -> Mapping[str, str | None]:
        """`kind`, `where`, `detail` and `stream`."""
        return {"kind": self.kind, "where": self.where, "detail": self.detail, "stream": self.stream}


@dataclass
class Checked:
    """What was looked at.

    Attributes:
        lagging: streams that moved a moment ago and are not shown to their end yet.
        moving: streams and counters that moved each time they were looked at, so that nothing can be said of them.
    """

    streams: int = 0
    commits: int = 0
    rows: int = 0
    counters: int = 0
    lagging: int = 0
    moving: int = 0


@dataclass
class Report:
    """What was found.

    Attributes:
        differences: that are there now.
        repaired: that were there before a repair.
        registers: those that are too high, with what they should be; 0 for one that should not be there.
    """

    checked: Checked = field(default_factory=Checked)
    differences: list[Difference] = field(default_factory=list)
    repaired: list[Difference] = field(default_factory=list)
    registers: dict[Key, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """`checked`, `differences` and `repaired`."""
        return {
            "checked": asdict(self.checked),
            "differences": [one.as_json() for one in self.differences],
            "repaired": [one.as_json() for one in self.repaired],
        }


def named(key: Key) -> str:
    """A key in words."""
    return f"{key.pk} / {key.sk}"
