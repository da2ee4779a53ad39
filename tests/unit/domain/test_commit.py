"""Commits: the hash chain, and what stands in them."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commit import (
    GENESIS,
    CommandKey,
    Commit,
    Recorded,
    chain_hash,
    check_chain,
    encode_events,
    sealed,
    timestamp,
)
from domain.event import StoredEvent, UnreadableEventError, encode
from domain.tasks import Priority, TaskCommented, TaskCreated

AT = datetime(2026, 4, 1, 12, 0, 0, 123_000, tzinfo=UTC)
CREATED = TaskCreated(title="Disk full", description="The disk is full.", priority=Priority.LOW)
COMMENTED = TaskCommented(comment_id="c1", comment="Grüße 🔥")


def commit(previous: bytes = GENESIS, **changes: Any) -> Commit:
    content = {
        "stream": "task#1",
        "version": 1,
        "count": 2,
        "id": "0192-a",
        "at": AT,
        "by": "ada",
        "correlation_id": "co",
        "causation_id": "ca",
        "command": CommandKey("key", "digest"),
        "encoded": encode_events([encode(CREATED), encode(COMMENTED)]),
        "expires_at": None,
    }
    return sealed(previous, **{**content, **changes})


CHANGES: dict[str, Any] = {
    "stream": "task#2",
    "version": 2,
    "count": 1,
    "id": "0192-b",
    "at": AT + timedelta(milliseconds=1),
    "by": "bob",
    "correlation_id": "co2",
    "causation_id": "ca2",
    "command": CommandKey("key", "another digest"),
    "encoded": encode_events([encode(CREATED), encode(COMMENTED.model_copy(update={"comment": "Grüsse 🔥"}))]),
}
NOT_HASHED = {"hash", "expires_at", "snapshot"}


@pytest.mark.parametrize("name", CHANGES)
def test_each_altered_field_changes_the_hash(name: str) -> None:
    altered = replace(commit(), **{name: CHANGES[name]})
    assert chain_hash(GENESIS, altered) != commit().hash


def test_every_field_is_altered_above_or_left_out_on_purpose() -> None:
    assert {field.name for field in fields(Commit)} == CHANGES.keys() | NOT_HASHED


@pytest.mark.parametrize("command", [None, CommandKey("key2", "digest"), CommandKey("digest", "key")])
def test_the_command_is_part_of_the_hash(command: CommandKey | None) -> None:
    assert commit(command=command).hash != commit().hash


def test_the_order_of_events_is_part_of_the_hash() -> None:
    assert commit(encoded=encode_events([encode(COMMENTED), encode(CREATED)])).hash != commit().hash


def test_a_text_moved_from_one_field_to_the_next_changes_the_hash() -> None:
    assert commit(correlation_id="a", causation_id="bc").hash != commit(correlation_id="ab", causation_id="c").hash


def test_the_hash_depends_on_the_commit_before() -> None:
    first, other = commit(), commit(by="bob")
    assert commit(first.hash, version=3).hash != commit(other.hash, version=3).hash


def test_neither_the_expiry_nor_the_snapshot_is_part_of_the_hash() -> None:
    """One is policy, the other a cache."""
    assert commit(expires_at=1).hash == commit(snapshot=b"1").hash == commit().hash


def test_the_hash_is_the_same_today_as_on_the_day_of_writing() -> None:
    """If this fails, every chain that is stored anywhere reads as broken."""
    assert commit().hash.hex() == "7dbed8d5ec14b35fdd3bc62d2f897ac87bb618b722fa9cf8ecafd9c665d92e82"
    assert commit(command=None).hash.hex() == "c5e684adbacaa4c5b38a644cb5f7089d8ef3e4e011e44a29245ef30170deecc9"


# ---- a whole stream


def chain(length: int = 4) -> list[Commit]:
    """A stream of commits with two events each."""
    commits: list[Commit] = []
    for place in range(length):
        commits.append(commit(commits[-1].hash if commits else GENESIS, version=2 * place + 1, id=f"0192-{place}"))
    return commits


def test_a_stream_as_it_was_written_has_no_fault() -> None:
    assert check_chain(chain()) is None
    assert check_chain([]) is None


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("name", sorted(CHANGES.keys() - {"version"}))
def test_an_altered_commit_is_found_where_it_stands(name: str, place: int) -> None:
    commits = chain()
    commits[place] = replace(commits[place], **{name: CHANGES[name]})
    found = check_chain(commits)
    assert found is not None
    assert (found.version, found.fault.partition(":")[0]) == (2 * place + 1, "altered")


@pytest.mark.parametrize("place", range(3))
def test_a_commit_that_was_altered_and_sealed_anew_breaks_the_one_after_it(place: int) -> None:
    commits = chain()
    forged = replace(commits[place], by="eve")
    commits[place] = replace(forged, hash=chain_hash(commits[place - 1].hash if place else GENESIS, forged))
    found = check_chain(commits)
    assert found is not None
    assert found.version == 2 * place + 3


@pytest.mark.parametrize("place", range(3))
def test_a_missing_commit_is_found_where_it_should_stand(place: int) -> None:
    commits = chain()
    del commits[place]
    found = check_chain(commits)
    assert found is not None
    assert (found.version, found.fault.partition(":")[0]) == (2 * place + 1, "missing")


def test_a_commit_that_was_put_between_two_is_found() -> None:
    commits = chain()
    commits.insert(2, commit(commits[1].hash, version=4, count=1))
    found = check_chain(commits)
    assert found is not None
    assert (found.version, found.fault.partition(":")[0]) == (4, "inserted")


# ---- what stands in a commit


def test_a_commit_knows_its_last_version() -> None:
    assert commit(version=5, count=3).last_version == 7
    assert commit(version=1, count=1).last_version == 1


def test_events_come_out_as_they_went_in_each_with_version_time_and_actor() -> None:
    assert list(commit(version=4).recorded()) == [Recorded(CREATED, 4, AT, "ada"), Recorded(COMMENTED, 5, AT, "ada")]


def test_an_event_that_cannot_be_read_is_named() -> None:
    strange = commit(encoded=encode_events([StoredEvent("task.exploded", 1, {})]))
    with pytest.raises(UnreadableEventError, match=r"task\.exploded"):
        list(strange.recorded())


def test_events_are_stored_as_compact_json_in_their_own_script() -> None:
    assert encode_events([encode(COMMENTED)]) == (
        '[{"t":"task.commented","v":1,"d":{"comment_id":"c1","comment":"Grüße 🔥"}}]'
    )


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, "2026-04-01T12:00:00.123Z"),
        (AT.replace(microsecond=0), "2026-04-01T12:00:00.000Z"),
        (AT.replace(microsecond=999_999), "2026-04-01T12:00:00.999Z"),
    ],
)
def test_a_time_is_stored_in_utc_to_the_millisecond(at: datetime, text: str) -> None:
    assert timestamp(at) == text


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_of_whole_milliseconds_comes_back_as_it_was(at: datetime) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(timestamp(at)) == at


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stored_times_sort_as_times_do(one: datetime, other: datetime) -> None:
    if timestamp(one) < timestamp(other):
        assert one < other
    elif one < other:
        assert timestamp(one) == timestamp(other)
