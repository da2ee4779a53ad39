"""What every benchmark of the project prints: one table, or with `--json` the same rows for a program.

The shape is `{"machine": …, "rows": [{"work", "system", "p50_ms", "p99_ms", "per_s", "calls", "wcu", "rcu", "note",
"dollars"}]}`.
What was not measured is null.
"""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields


@dataclass(frozen=True)
class Cost:
    """What one execution of a work asks of DynamoDB.

    Attributes:
        calls: HTTP requests.
        wcu: write units.
        rcu: read units, by AWS's rule.
    """

    calls: float
    wcu: float
    rcu: float


@dataclass(frozen=True)
class Row:
    """One work done by one system.

    Attributes:
        p50_ms: median time of one execution, in milliseconds; `p99_ms` likewise.
        per_s: executions per second of one client, or events per second where the work is a replay.
        dollars: per million events.
    """

    work: str
    system: str
    p50_ms: float | None
    p99_ms: float | None
    per_s: float | None
    calls: float | None
    wcu: float | None
    rcu: float | None
    note: str = ""
    dollars: float | None = None


def row(work: str, system: str, seconds: Sequence[float], cost: Cost | None, note: str = "", *, each: int = 1) -> Row:
    """A row from the times of single executions.

    Args:
        seconds: one for each execution.
        each: how many things one execution handles, for `per_s`.
    """
    ordered = sorted(seconds)
    calls, wcu, rcu = astuple(cost) if cost else (None, None, None)
    return Row(
        work,
        system,
        round(statistics.median(ordered) * 1000, 3),
        round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 3),
        round(each * len(ordered) / sum(ordered), 1),
        calls,
        wcu,
        rcu,
        note,
    )


def not_run(work: str, system: str, note: str) -> Row:
    """A row that says why there are no figures."""
    return Row(work, system, None, None, None, None, None, None, note)


def machine() -> str:
    """The machine in neutral words."""
    return f"{os.cpu_count()} {platform.machine()} cores, {platform.system()}, Python {platform.python_version()}"


def show(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows."""
    if as_json:
        print(json.dumps({"machine": machine(), "rows": [asdict(one) for one in rows]}, indent=1))
        return
    from rich.console import Console  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"{title} · {machine()}")
    names = [field.name for field in fields(Row) if any(getattr(one, field.name) is not None for one in rows)]
    names.sort(key=lambda name: name == "note")
    for name in names:
        text = name in {"work", "system", "note"}
        table.add_column(name.replace("_", " "), justify="left" if text else "right", no_wrap=name != "note")
    for place, one in enumerate(rows):
        last = place + 1 == len(rows) or rows[place + 1].work != one.work
        cells = (getattr(one, name) for name in names)
        table.add_row(*("" if cell is None else _cell(cell) for cell in cells), end_section=last)
    Console(width=None if os.isatty(1) else 170).print(table)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
