"""What cannot be read is given up where people see it, and decided once it can be read."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from domain.alerts import AlertAcknowledged
from domain.event import UnreadableEventError
from infra.outbox import Notification
from projections import facts, notifier
from projections.messages import NothingToTellError, told_of
from tests.unit.projections.telling import RESOLVED, Telling, recurrence, rule

OlderRelease = Callable[[], AbstractContextManager[None]]


# ---- what cannot be read


def test_an_alert_that_cannot_be_read_fails_its_row_and_holds_up_no_other(
    world: Telling, capsys: pytest.CaptureFixture[str]
) -> None:
    world.configure(rule(only_if_open_after_minutes=1))
    world.hear(world.opened("a"), world.opened("b"))
    world.history.append_encoded("alert#a", "no json")
    world.settle()
    assert world.statuses() == ["failed", "sent"]
    assert "cannot be read" in (world.rows()[0].error or "")
    assert capsys.readouterr().out.count('"NotificationsFailed":[1.0]') == 1


def test_what_cannot_be_decided_sets_off_the_alarm_once(world: Telling, capsys: pytest.CaptureFixture[str]) -> None:
    unreadable = world.history.append_encoded("alert#a", "no json")
    world.hear(unreadable)
    world.hear(unreadable)
    assert world.statuses() == ["failed"]
    assert capsys.readouterr().out.count('"NotificationsFailed":[1.0]') == 1


def test_what_is_not_in_the_ledger_cannot_be_decided(world: Telling) -> None:
    world.opened()
    assert notifier.handler({"redrive": {"stream": "alert#a", "commit": "x"}}, None) == "it is not in the ledger"


def test_a_config_that_cannot_be_read_brings_the_batch_back_and_fails_nothing(world: Telling) -> None:
    opened = world.opened()
    world.history.append_encoded("monitoring-config#main", '[{"t": "monitoring-config.started", "v": 99, "d": {}}]')
    with pytest.raises(UnreadableEventError):
        world.hear(opened)
    assert world.statuses() == []


def test_what_people_wrote_is_in_no_log_when_a_row_cannot_be_read(world: Telling) -> None:
    world.hear(world.opened())
    row = world.rows()[0]
    row.told = '{"comment": "call Ann"}'
    with pytest.raises(NothingToTellError) as raised:
        told_of(row)
    assert "call Ann" not in "".join(traceback.format_exception(raised.value))


# ---- what can be read later


@pytest.fixture
def older_release(monkeypatch: pytest.MonkeyPatch) -> OlderRelease:
    """What happens inside meets a notifier that does not know the newest events yet."""

    def unreadable(*_: object) -> Any:
        raise UnreadableEventError("alert.opened 2")

    @contextmanager
    def deployed() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(facts, "happenings", unreadable)
            yield

    return deployed


def redriven(row: Notification) -> str | None:
    return notifier.handler({"redrive": {"stream": row.stream, "commit": row.key.commit_id}}, None)


@pytest.mark.parametrize("channels", [("default",), ("pager",), ("default", "pager")])
@pytest.mark.parametrize("by_replay", [False, True])
def test_what_could_not_be_decided_is_decided_once_it_can_be_read(
    world: Telling,
    older_release: OlderRelease,
    channels: tuple[str, ...],
    by_replay: bool,  # noqa: FBT001
) -> None:
    world.configure(rule(channels=channels))
    opened = world.opened()
    with older_release():
        world.hear(opened)
        (row,) = world.rows()
        assert redriven(row) == "UnreadableEventError: alert.opened 2"
    if by_replay:
        world.hear(opened)
    assert redriven(row) is None
    assert redriven(row) is None
    world.hear(opened)
    world.deliver()
    told = {row.channel: row.status for row in world.rows()}
    assert told == {"default": "suppressed", **dict.fromkeys(channels, "sent")}
    assert len(world.posted) == len(channels)


def test_what_was_over_before_its_time_is_not_told_when_it_is_decided_later(
    world: Telling, older_release: OlderRelease
) -> None:
    world.configure(rule(only_if_open_after_minutes=10))
    opened = world.opened()
    with older_release():
        world.hear(opened)
    world.now += 180
    world.hear(world.happens("a", RESOLVED))
    world.now += 3 * 3600
    assert redriven(world.rows()[0]) is None
    world.settle()
    assert world.statuses() == ["suppressed", "suppressed"]
    assert world.posted == []


def test_what_could_not_be_decided_and_tells_nobody_anything_is_given_up_no_more(
    world: Telling, older_release: OlderRelease
) -> None:
    world.hear(world.opened(), world.happens("a", RESOLVED))
    late = world.happens("a", recurrence("1-late"))
    with older_release():
        world.hear(late)
    assert world.statuses() == ["decided", "decided", "failed"]
    assert redriven(world.rows()[-1]) is None
    (_, _, row) = world.rows()
    assert (row.status, row.reason) == ("suppressed", "it could be read later, and was decided then")
    assert not row.error


def test_a_decision_stands_although_an_older_release_meets_the_commit_again(
    world: Telling, older_release: OlderRelease
) -> None:
    world.opened()
    over = world.happens("a", AlertAcknowledged(), RESOLVED)
    world.hear(over)
    with older_release():
        world.hear(over)
    world.deliver()
    assert world.statuses() == ["sent"]
