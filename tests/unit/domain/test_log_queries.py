"""Windows of time that logs are searched in, and what is told of the lines found."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log_queries import (
    FORGOTTEN_SECONDS,
    MAX_WINDOW_SECONDS,
    MESSAGE_CHARACTERS,
    MIN_WINDOW_SECONDS,
    RETRY_CAP_SECONDS,
    Line,
    Mark,
    Target,
    Window,
    claimed,
    failed,
    findings,
    halved,
    next_window,
    pinned,
    searched,
    severity,
)
from domain.sources.envelope import delivery_uuid, read
from domain.sources.mapping import State
from domain.sources.registry import map_envelope

T = 1_773_155_000
INTERVAL, DELAY, LEASE = 300, 180, 100
TARGET = Target("111122223333", "eu-central-1", "/aws/lambda/checkout")


def mark(until: int = T, **more: Any) -> Mark:
    told = {"version": 3, "owner": "a", "owed_until": until, "due_at": 0, "tried_at": until, "attempts": 0}
    return Mark(until=until, **{**told, **more})


def due(known: Mark | None, at: int) -> Window | None:
    return next_window(known, at, INTERVAL, DELAY)


# ---- windows


def test_a_new_log_group_is_searched_for_one_interval_up_to_where_lines_have_arrived() -> None:
    assert due(None, T) == Window(T - DELAY - INTERVAL, T - DELAY)


def test_a_window_begins_where_the_last_one_ended_once_an_interval_has_passed() -> None:
    assert due(mark(), T + DELAY + INTERVAL - 1) is None
    assert due(mark(), T + DELAY + INTERVAL) == Window(T, T + INTERVAL)
    assert due(mark(), T + DELAY + INTERVAL + 17) == Window(T, T + INTERVAL + 17)


def test_an_outage_is_caught_up_with_in_steps_of_an_hour_however_long_it_was_tried_in_vain() -> None:
    week = 7 * 86_400
    assert due(mark(tried_at=T + week), T + week) == Window(T, T + MAX_WINDOW_SECONDS)


def test_what_nobody_tried_for_a_day_begins_anew() -> None:
    at = T + FORGOTTEN_SECONDS + 1
    assert due(mark(), at) == Window(at - DELAY - INTERVAL, at - DELAY)
    assert due(mark(), at - 1) == Window(T, T + MAX_WINDOW_SECONDS)


def test_a_pinned_window_is_done_again_as_it_was() -> None:
    known = mark(pinned_until=T + 77)
    assert due(known, T + 10 * FORGOTTEN_SECONDS) == Window(T, T + 77)


def test_nobody_else_gets_a_window_while_a_run_has_it() -> None:
    at = T + 1000
    claim = claimed(mark(), Window(T, T + INTERVAL), "b", at, LEASE)
    assert due(claim, at + LEASE - 1) is None
    assert due(claim, at + LEASE) is not None


def test_the_rest_of_a_halved_window_is_due_at_once() -> None:
    window = Window(T, T + INTERVAL)
    half = halved(window)
    assert half is not None
    assert half == Window(T, T + 150)
    at = T + INTERVAL + DELAY
    after = searched(claimed(mark(), window, "b", at, LEASE), half)
    assert due(after, at) == Window(T + 150, T + 300)
    assert due(searched(after, Window(T + 150, T + 300)), at) is None


def test_a_second_cannot_be_halved() -> None:
    assert halved(Window(T, T + 1)) is None
    assert halved(Window(T, T + 2)) == Window(T, T + 1)


def test_each_failure_in_a_row_waits_longer_and_one_for_the_length_asks_for_half() -> None:
    known, waits, lengths = mark(), [], []
    at = T + 2 * 86_400 - 1
    for _ in range(16):
        window = due(known.model_copy(update={"tried_at": at}), at)
        assert window is not None
        lengths.append(window.end - window.start)
        known = failed(claimed(known, window, "b", at, LEASE), at, too_long=True)
        waits.append(known.due_at - at)
        at = known.due_at
    assert waits[:6] == [30, 60, 120, 240, 480, RETRY_CAP_SECONDS]
    assert set(waits[6:]) == {RETRY_CAP_SECONDS}
    assert lengths[:4] == [3600, 1800, 900, 450]
    assert lengths[-1] == MIN_WINDOW_SECONDS


def test_after_a_failure_half_of_the_window_that_failed_is_asked_for_however_much_is_due_by_then() -> None:
    at = T + DELAY + INTERVAL
    known = failed(claimed(mark(), Window(T, T + INTERVAL), "b", at, LEASE), at, too_long=True)
    assert due(known, at + 1_000) == Window(T, T + INTERVAL // 2)


def test_a_failure_that_is_not_for_the_length_asks_for_as_much_again() -> None:
    at = T + 7_200
    known = failed(claimed(mark(longest=900), Window(T, T + 900), "b", at, LEASE), at, too_long=False)
    assert due(known, known.due_at) == Window(T, T + 900)


def test_a_run_that_died_leaves_half_of_its_window_to_the_next_one() -> None:
    at = T + 7_200
    known = mark()
    for expected in (3_600, 1_800, 900):
        window = due(known, at)
        assert window == Window(T, T + expected)
        known = claimed(known, window, "b", at, LEASE)
        at += LEASE


def test_after_a_success_the_next_window_is_a_quarter_longer_and_never_longer_than_an_hour() -> None:
    known, lengths = mark(longest=1_000), []
    at = T + 86_400
    for _ in range(8):
        window = due(known, at)
        assert window is not None
        lengths.append(window.end - window.start)
        known = searched(claimed(known, window, "b", at, LEASE), window)
        assert (known.attempts, known.due_at) == (0, 0)
    assert lengths == [1_000, 1_250, 1_562, 1_952, 2_440, 3_050, 3_600, 3_600]


def test_a_short_window_shows_nothing_of_a_longer_one() -> None:
    window = Window(T, T + INTERVAL)
    assert searched(claimed(mark(longest=900), window, "b", T, LEASE), window).longest == 900


def test_the_shortest_window_can_become_longer() -> None:
    window = Window(T, T + MIN_WINDOW_SECONDS)
    assert searched(claimed(mark(longest=MIN_WINDOW_SECONDS), window, "b", T, LEASE), window).longest == 12


def test_a_log_group_fails_from_its_first_failed_search_to_its_next_success() -> None:
    window = Window(T, T + INTERVAL)
    known = claimed(mark(), window, "b", T, LEASE)
    assert not known.is_failing, "its search is under way"
    known = failed(known, T, too_long=False)
    assert known.is_failing
    known = claimed(known, window, "b", T, LEASE)
    assert known.is_failing
    assert not searched(known, window).is_failing


def test_a_mark_that_was_stored_before_it_had_a_length_is_read() -> None:
    stored = mark().model_dump_json(exclude={"longest", "trying"})
    assert Mark.model_validate_json(stored) == mark(longest=MAX_WINDOW_SECONDS)


runs = st.tuples(
    st.integers(-400, 9_000),  # how the clock moves before the run
    st.sampled_from(["claimed", "pinned", "halved", "failed", "too long", "searched"]),  # the last step that it took
)


@given(st.lists(runs, max_size=60), st.integers(30, 3_600), st.integers(0, 600))
def test_whatever_runs_and_clocks_do_every_second_is_searched_once(
    steps: list[tuple[int, str]], interval: int, delay: int
) -> None:
    known: Mark | None = None
    at, done = T, []
    for number, (moved, last) in enumerate(steps):
        at += moved
        window = next_window(known, at, interval, delay)
        if window is None:
            continue
        if known and known.pinned_until is not None:
            assert window == Window(known.until, known.pinned_until)
        assert window.start < window.end
        known = claimed(known, window, str(number), at, LEASE)
        if last in {"failed", "too long"}:
            known = failed(known, at, too_long=last == "too long")
        if last == "halved" and known.pinned_until is None:
            window = halved(window) or window
        if last in {"pinned", "halved", "searched"}:
            known = pinned(known, window)
        if last in {"halved", "searched"}:
            known = searched(known, window)
            done.append(window)
    for earlier, later in itertools.pairwise(done):
        assert earlier.end == later.start
    assert known is None or not done or known.until == done[-1].end


# ---- what is told


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("[ERROR] 2026-03-10T15:03:41.207Z TimeoutError", 3),
        ("Traceback (most recent call last)", 3),
        ("connection error", 3),
        ("2026-03-10 WARN pool - error while connecting, trying again", 2),
        ("FATAL: out of memory", 4),
        ("[CRITICAL] disk", 4),
        ("<0>EMERG kernel panic", 5),
        ("ERROR in the CRITICAL section", 3),
        ('{"level":"error","message":"INFO is not what it is"}', 3),
        ('{"level": "WARNING", "message": "an error that passes"}', 2),
        ("ts=1 level=fatal msg=boom", 4),
        ("level: 50 error", 3),
        ('{"level":"INFO","message":"0 errors"}', None),
        ("[INFO] no error at all", None),
        ("DEBUG exception handler installed", None),
        ("GET /info failed with an exception", 3),
        ("INFORMATION about errors", None),
        ("MYERROR", 3),
    ],
)
def test_a_line_is_as_bad_as_the_level_that_it_names(message: str, expected: int | None) -> None:
    assert severity(message) == expected


def line(at: int, message: str = "ERROR boom", stream: str = "s") -> Line:
    return Line(T * 1000 + at, stream, message)


WINDOW = Window(T, T + 300)


def test_errors_of_one_shape_are_one_finding_that_tells_the_newest_and_the_worst() -> None:
    lines = [line(5_000, "ERROR order 7 failed", "b"), line(1_000, "FATAL order 5 failed"), line(9_000, "ERROR other")]
    lines.append(line(3_000, "error order 6 failed", "a"))
    told = findings(TARGET, WINDOW, lines)
    assert [(one["message"], one["count"], one["severity"], one["log_stream"]) for one in told] == [
        ("FATAL order 5 failed", 1, 4, "s"),
        ("ERROR order 7 failed", 2, 3, "b"),
        ("ERROR other", 1, 3, "s"),
    ]
    again = findings(TARGET, WINDOW, [line(1, "WARN x error 1"), line(2, "WARN X ERROR 2")])
    assert [(one["severity"], one["count"]) for one in again] == [(2, 2)]


def test_a_finding_is_what_our_mapper_takes_for_an_error_of_the_accounts_log_group() -> None:
    (told,) = findings(TARGET, WINDOW, [line(5, "[FATAL] boom")])
    envelope = read(
        {
            "id": "eb-1",
            "source": "monitoring.agent",
            "detail-type": "Log Error Found",
            "account": "999999999999",
            "region": "eu-west-1",
            "time": "2026-03-10T15:05:09Z",
            "detail": told,
        }
    )
    mapped = map_envelope(envelope, received_at=datetime.fromtimestamp(T, UTC))
    assert (mapped.account, mapped.region, mapped.resource) == TARGET
    assert (mapped.state, mapped.severity, mapped.order) == (State.OPEN, 4, T * 1000 + 5)
    assert mapped.title == "checkout: [FATAL] boom"
    assert mapped.unmapped == ()
    published_again = envelope.model_copy(update={"id": "eb-2", "raw": {**envelope.raw, "id": "eb-2", "time": "x"}})
    assert delivery_uuid(published_again) == delivery_uuid(envelope)


def test_the_end_of_a_window_belongs_to_the_next_one() -> None:
    at_the_edges = [line(-1), line(0), line(299_999), line(300_000)]
    (told,) = findings(TARGET, WINDOW, at_the_edges)
    assert (told["count"], told["timestamp"]) == (2, T * 1000 + 299_999)


def test_a_finding_has_the_same_id_for_the_same_window_and_shape_only() -> None:
    def name(message: str = "ERROR 1", window: Window = WINDOW, target: Target = TARGET) -> str:
        (told,) = findings(target, window, [line(5, message)])
        found: str = told["id"]
        return found

    assert name() == name("ERROR 2")
    others = [
        name("FATAL 1"),
        name(window=Window(T, T + 301)),
        name(window=Window(T - 1, T + 300)),
        name(target=TARGET._replace(account="444455556666")),
        name(target=TARGET._replace(region="eu-west-1")),
        name(target=TARGET._replace(log_group="/aws/lambda/other")),
    ]
    assert len({name(), *others}) == 7


def test_lines_that_say_that_they_are_no_errors_are_none() -> None:
    assert findings(TARGET, WINDOW, [line(1, "[INFO] error count: 0")]) == []


def test_a_long_line_is_cut_and_is_still_the_same_problem() -> None:
    (told,) = findings(TARGET, WINDOW, [line(1, "ERROR " + "x" * 10_000)])
    assert len(told["message"]) == MESSAGE_CHARACTERS
    assert told["message"].endswith("x…")


def test_the_id_of_a_log_group_is_safe_in_a_key_whatever_its_name() -> None:
    assert len(TARGET._replace(log_group="/a/#b" * 100).id) == 36
    assert TARGET.id != TARGET._replace(log_group="/aws/lambda/checkout2").id
