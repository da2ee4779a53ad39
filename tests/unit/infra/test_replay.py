"""Replaying a table: streams whole and in order, whatever the pages; memory that does not grow with the table."""

import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from domain.commit import GENESIS, Commit, encode_events, sealed
from domain.event import StoredEvent
from infra.commits import to_item
from infra.replay import Segment, in_parallel, replay


def commit(stream: str, version: int, count: int = 1) -> Commit:
    events = [StoredEvent("test.happened", 1, {"number": version + place}) for place in range(count)]
    return sealed(
        GENESIS,
        stream=stream,
        version=version,
        count=count,
        id=f"{stream}@{version}",
        at=datetime(2026, 3, 1, tzinfo=UTC),
        by="ann",
        correlation_id="co",
        causation_id="ca",
        command=None,
        encoded=encode_events(events),
    )


class Pages:
    """A client whose scans give these pages; it notes what it was asked for."""

    def __init__(self, *pages: list[Commit]) -> None:
        self.pages = pages
        self.requests: list[dict[str, Any]] = []

    def scan(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request.copy())
        place = int(request["ExclusiveStartKey"]["page"]["N"]) if "ExclusiveStartKey" in request else 0
        answer: dict[str, Any] = {"Items": [to_item(commit) for commit in self.pages[place]]}
        if place + 1 < len(self.pages):
            answer["LastEvaluatedKey"] = {"page": {"N": str(place + 1)}}
        return answer


def versions(client: Any, **options: Any) -> list[tuple[str, list[int]]]:
    return [(stream, [commit.version for commit in found]) for stream, found in replay(client, "events", **options)]


def test_a_stream_that_crosses_the_boundary_of_two_pages_comes_out_once() -> None:
    client = Pages([commit("task#a", 1), commit("task#b", 1)], [commit("task#b", 2), commit("task#c", 1)])

    assert versions(client) == [("task#a", [1]), ("task#b", [1, 2]), ("task#c", [1])]


def test_a_stream_may_fill_more_than_two_pages() -> None:
    client = Pages([commit("task#a", 1, count=2)], [commit("task#a", 3)], [commit("task#a", 4)])

    assert versions(client) == [("task#a", [1, 3, 4])]


def test_a_stream_may_end_where_a_page_ends() -> None:
    client = Pages([commit("task#a", 1), commit("task#a", 2)], [commit("task#b", 1)])

    assert versions(client) == [("task#a", [1, 2]), ("task#b", [1])]


def test_an_empty_page_is_not_the_end() -> None:
    client = Pages([], [commit("task#a", 1)], [], [commit("task#a", 2)], [])

    assert versions(client) == [("task#a", [1, 2])]
    assert len(client.requests) == 5


def test_an_empty_table_has_no_streams() -> None:
    assert versions(Pages([])) == []


def test_a_stream_is_in_order_even_if_the_scan_is_not() -> None:
    client = Pages([commit("task#a", 1), commit("task#a", 10)], [commit("task#a", 2), commit("task#b", 1)])

    assert versions(client) == [("task#a", [1, 2, 10]), ("task#b", [1])]


def test_the_commits_are_those_that_were_stored() -> None:
    stored = commit("task#a", 1, count=3)

    assert list(replay(Pages([stored]), "events")) == [("task#a", [stored])]  # type: ignore[arg-type]


def test_a_segment_is_asked_for_on_every_page_and_consistently_when_wanted() -> None:
    client = Pages([commit("task#a", 1)], [commit("task#b", 1)])

    versions(client, segment=Segment(2, 4), consistent=True)

    asked = {"TableName": "events", "Segment": 2, "TotalSegments": 4, "ConsistentRead": True}
    assert client.requests == [asked, {**asked, "ExclusiveStartKey": {"page": {"N": "1"}}}]


def test_the_whole_table_is_one_plain_scan() -> None:
    client = Pages([commit("task#a", 1)])

    versions(client)

    assert client.requests == [{"TableName": "events", "ConsistentRead": False}]


def test_a_page_is_read_when_it_is_needed_and_not_before() -> None:
    client = Pages(*([commit(f"task#{number}", 1)] for number in range(10)))

    list(islice(replay(client, "events"), 2))  # type: ignore[arg-type]

    assert len(client.requests) == 3  # whether the second stream has ended, the third page tells


class EndlessPages:
    """A client of a table with this many pages of one stream each, made when they are asked for."""

    def __init__(self, pages: int) -> None:
        self.pages = pages

    def scan(self, **request: Any) -> dict[str, Any]:
        place = int(request["ExclusiveStartKey"]["page"]["N"]) if "ExclusiveStartKey" in request else 0
        items = [to_item(commit(f"task#{place}", version)) for version in range(1, 21)]
        following = {"LastEvaluatedKey": {"page": {"N": str(place + 1)}}} if place + 1 < self.pages else {}
        return {"Items": items, **following}


def peak_bytes(pages: int) -> int:
    client: Any = EndlessPages(pages)
    tracemalloc.start()
    try:
        assert sum(1 for _ in replay(client, "events")) == pages
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_table() -> None:
    peak_bytes(2)  # what is kept for ever is made at first use

    assert peak_bytes(60) < 2 * peak_bytes(6)


def test_every_segment_is_worked_on_once() -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(in_parallel(threads, 4, lambda segment: segment))

    assert sorted(done) == [Segment(0, 4), Segment(1, 4), Segment(2, 4), Segment(3, 4)]


def test_a_segment_that_fails_is_not_passed_over() -> None:
    def work(segment: Segment) -> int:
        if segment.number == 1:
            raise ValueError("segment 1 cannot be read")
        return segment.number

    def run() -> Iterator[int]:
        with ThreadPoolExecutor(2) as threads:
            yield from in_parallel(threads, 3, work)

    with pytest.raises(ValueError, match="segment 1"):
        list(run())
