"""The daily report as people see it on Slack."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import AlertState
from domain.reports import (
    MAX_NOISY,
    MAX_SOURCES,
    AlertFigures,
    Compared,
    EventFigures,
    Figures,
    NoisyAlert,
    SourceFigures,
    TaskFigures,
)
from domain.told import ReportTold
from infra.slack_preview import preview
from infra.slack_report import moved, moved_time, render_report
from infra.slack_text import CUT
from infra.slack_words import RESOLVED, SEVERITIES
from tests.unit.slack.told import NINE, assert_slack_takes, values_of


def compared(value: int | None = 0, before: int | None = 0) -> Compared:
    return Compared(value=value, before=before)


def noisy(title: str = "checkout-api 5xx rate: ALARM", **fields: Any) -> NoisyAlert:
    known: dict[str, Any] = {
        "alert_id": "3f1d2b86-9a70-5c41-8a3f-5d2e4c6b7a80",
        "source": "aws.cloudwatch",
        "account": "111122223333",
        "region": "eu-central-1",
        "severity": 3,
        "state": AlertState.OPEN,
        "occurrences": 12,
    }
    return NoisyAlert(title=title, **{**known, **fields})


def events(**by_severity: Compared) -> EventFigures:
    graded = {str(n): by_severity.get(f"s{n}", compared()) for n in range(6)}
    total = compared(sum(one.value or 0 for one in graded.values()), sum(one.before or 0 for one in graded.values()))
    source = SourceFigures(source="aws.cloudwatch", total=total, by_severity={})
    return EventFigures(total=total, by_severity=graded, by_source=(source,) if total != compared() else ())


def alerts(**fields: Any) -> AlertFigures:
    numbers = ("opened", "acknowledged", "resolved", "still_open")
    known: dict[str, Any] = dict.fromkeys(numbers, compared())
    known |= dict.fromkeys(("seconds_to_acknowledge", "seconds_to_resolve"), compared(None, None))
    return AlertFigures(**{**known, **fields})


def tasks(**fields: Any) -> TaskFigures:
    return TaskFigures(**{**dict.fromkeys(("opened", "closed", "overdue"), compared()), **fields})


def told(figures: Figures) -> ReportTold:
    return ReportTold(
        day="2025-12-11",
        starts_at=NINE - 86_400,
        ends_at=NINE,
        figures=figures,
        account_names={"111122223333": "shop-prod"},
        timezone="Europe/Berlin",
    )


BUSY = Figures(
    events=events(s4=compared(1, 0), s3=compared(9, 4), s2=compared(0, 2)),
    alerts=alerts(
        opened=compared(3, 1),
        acknowledged=compared(1, 1),
        resolved=compared(2, 4),
        still_open=compared(5, None),
        seconds_to_acknowledge=compared(300, None),
        seconds_to_resolve=compared(840, 960),
        noisiest=(
            noisy(),
            noisy("disk of db-1 is full", account="999988887777", state=AlertState.RESOLVED, occurrences=2),
        ),
        looked_at=2000,
    ),
    tasks=tasks(opened=compared(1, 0), overdue=compared(2, 3)),
)
NOTHING = Figures(events=events(), alerts=alerts(), tasks=tasks())


def test_the_report_in_words() -> None:
    message = render_report(told(BUSY))

    assert_slack_takes(message)
    assert [" ".join(line.split()) for line in preview(message).splitlines()] == [
        *("Daily report of 2025-12-11", ""),
        "From 2025-12-10 10:00:00 CET",
        "Until 2025-12-11 10:00:00 CET",
        "",
        *("Alerts", ""),
        "3 (▲ 2) opened",
        "1 (as before) acknowledged",
        "2 (▼ 2) resolved",
        "5 still open",
        "5 min until acknowledged, on average",
        "14 min (▼ 2 min) until resolved, on average",
        "",
        *("Noisiest alerts", ""),
        f"{SEVERITIES[3].emoji} 12 times (open, shop-prod) checkout-api 5xx rate: ALARM",
        f"{RESOLVED.emoji} 2 times (resolved, 999988887777) disk of db-1 is full",
        "",
        *("Events by severity", ""),
        f"{SEVERITIES[4].emoji} 1 (▲ 1) critical",
        f"{SEVERITIES[3].emoji} 9 (▲ 5) high",
        f"{SEVERITIES[2].emoji} 0 (▼ 2) medium",
        "",
        *("Events by source", ""),
        "10 (▲ 4) aws.cloudwatch",
        "",
        *("Tasks", ""),
        "1 (▲ 1) opened",
        "0 (as before) closed",
        "2 (▼ 1) overdue",
        "",
        (
            "noisiest of the 2000 gravest alerts · in brackets: since the 24 hours before"
            " · opsledger report --day 2025-12-11"
        ),
    ]
    assert message["text"] == "Daily report of 2025-12-11: 10 events, 3 alerts opened, 5 still open"
    assert message["attachments"][0]["color"] == SEVERITIES[4].colour


def test_a_day_on_which_nothing_happened_says_so() -> None:
    message = render_report(told(NOTHING))
    assert_slack_takes(message)
    assert message["text"] == "Daily report of 2025-12-11: nothing happened"
    assert "Nothing happened: no events" in preview(message)
    assert "Alerts" not in preview(message)
    assert message["attachments"][0]["color"] == RESOLVED.colour


def test_a_day_without_events_on_which_something_is_open_tells_that() -> None:
    figures = Figures(events=events(), alerts=alerts(still_open=compared(1, 1)), tasks=tasks())
    shown = preview(render_report(told(figures)))
    assert "1 (as before) still open" in shown
    assert "No events on either day." in shown
    assert "average" not in shown


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (compared(3, 1), " (▲ 2)"),
        (compared(1, 1_234), " (▼ 1,233)"),
        (compared(2, 2), " (as before)"),
        (compared(0, 0), " (as before)"),
        (compared(None, 3), ""),
        (compared(3, None), ""),
    ],
)
def test_how_a_number_moved(number: Compared, words: str) -> None:
    assert moved(number) == words


def test_how_a_time_moved() -> None:
    assert moved_time(compared(7_500, 60)) == " (▲ 2 h 4 min)"


NASTY = ["<!channel> & `rm` *x*", "\u202etfel ot thgir", "x" * 50_000, "a\x00b\nc", "", "&" * 400]


@pytest.mark.parametrize("text", NASTY)
def test_the_words_of_others_are_shown_and_do_nothing(text: str) -> None:
    source = SourceFigures(source=text, total=compared(1, 0), by_severity={})
    figures = BUSY.model_copy(
        update={
            "alerts": alerts(noisiest=(noisy(text),) * MAX_NOISY),
            "events": BUSY.events.model_copy(
                update={"by_source": (source,) * MAX_SOURCES, "other_sources": compared(7, 7)}
            ),
        }
    )
    report = told(figures).model_copy(update={"account_names": {"111122223333": text}})
    message = render_report(report)
    assert_slack_takes(message)
    assert "27 (▲ 20) from other sources" in preview(message)
    assert (CUT in "".join(values_of(message))) == (len(text) > 200)


numbers = st.builds(Compared, value=st.none() | st.integers(0, 10**9), before=st.none() | st.integers(0, 10**9))


@given(st.lists(numbers, min_size=16, max_size=16))
def test_whatever_the_figures_slack_takes_it(given: list[Compared]) -> None:
    more = dict(zip(("opened", "acknowledged", "resolved", "still_open"), given[6:10], strict=True))
    times = {"seconds_to_acknowledge": given[10], "seconds_to_resolve": given[11]}
    figures = Figures(
        events=events(**{f"s{n}": given[n] for n in range(6)}),
        alerts=alerts(**more, **times, noisiest=(noisy(),)),
        tasks=tasks(opened=given[12], closed=given[13], overdue=given[14]),
    )
    assert_slack_takes(render_report(told(figures)))
