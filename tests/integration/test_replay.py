"""Replaying a table that moto plays: every stream of it, once, whichever way it is cut."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from domain.commit import check_chain
from domain.tasks import TaskCommented
from infra.event_store import DynamoDBEventStore
from infra.replay import Segment, in_parallel, replay

STREAMS = 12
COMMITS = 11  # two digits, so that versions sorted as text would show


@pytest.fixture
def client(aws: None, new_history: Any) -> Any:  # noqa: ARG001
    dynamodb: Any = boto3.client("dynamodb")
    history = new_history(DynamoDBEventStore(dynamodb, "events"))
    for number in range(STREAMS):
        history.task(f"t{number}")
        for place in range(1, COMMITS):
            said = TaskCommented(comment_id=f"c{place}", comment="Seen.")
            history.append(f"task#t{number}", said)
    return dynamodb


@pytest.mark.parametrize("segments", [1, 3])
def test_each_stream_comes_out_once_whole_and_in_order(client: Any, segments: int) -> None:
    found: dict[str, int] = {}
    for number in range(segments):
        for stream, commits in replay(client, "events", Segment(number, segments), consistent=True):
            assert stream not in found
            assert check_chain(commits) is None
            found[stream] = len(commits)

    assert found == {f"task#t{number}": COMMITS for number in range(STREAMS)}


def test_segments_may_be_read_at_once(client: Any) -> None:
    def events(segment: Segment) -> int:
        return sum(commit.count for _, commits in replay(client, "events", segment) for commit in commits)

    with ThreadPoolExecutor(3) as threads:
        assert sum(in_parallel(threads, 3, events)) == STREAMS * COMMITS
