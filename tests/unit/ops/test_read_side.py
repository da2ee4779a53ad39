"""Going on with streams, group by group, when the projector fails for one of the groups."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from ops import read_side
from ops.aws import SessionConfig
from ops.errors import OpsError
from ops.read_side import STREAMS_TOGETHER

STREAMS = [f"task#{number:03}" for number in range(3 * STREAMS_TOGETHER)]


class Lambda:
    """The projector's function, which does not get on with some streams."""

    def __init__(self) -> None:
        self.slow = ""
        self.silent = ""

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "opsledger-local-projector"
        streams = json.loads(Payload)["redrive"]
        if self.silent in streams:
            raise ReadTimeoutError(endpoint_url="lambda")
        if self.slow in streams:
            told = json.dumps({"errorMessage": "Task timed out after 60.00 seconds"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(told.encode())}
        done = {stream: {"version": 1, "parked": None} for stream in streams}
        return {"Payload": io.BytesIO(json.dumps(done).encode())}


@pytest.fixture
def projector(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    function = Lambda()
    monkeypatch.setattr(SessionConfig, "client", lambda *_: function)
    return function


def redriven() -> tuple[list[str], OpsError]:
    """The streams that were gone on with, and the failure in the end."""
    done = []
    try:
        for one in read_side.redrive(SessionConfig("local"), STREAMS):
            done.append(one.stream)  # noqa: PERF401 - those before the failure count too
    except OpsError as error:
        return done, error
    raise AssertionError("it did not fail")


def test_all_are_gone_on_with_in_groups(projector: Lambda) -> None:  # noqa: ARG001
    done = list(read_side.redrive(SessionConfig("local"), [*STREAMS, STREAMS[0]]))
    assert [one.stream for one in done] == STREAMS


def test_a_group_that_takes_too_long_holds_up_no_other_and_is_named_in_the_end(projector: Lambda) -> None:
    projector.slow = STREAMS[0]
    done, error = redriven()
    assert done == STREAMS[STREAMS_TOGETHER:]
    assert "timed out" in error.problem
    assert "task#000, task#001, task#002, task#003, task#004 and 15 more" in error.problem
    assert error.remedy == "`opsledger logs projector` tells"


def test_nor_does_a_call_that_is_not_answered(projector: Lambda) -> None:
    projector.silent = STREAMS[STREAMS_TOGETHER]
    projector.slow = STREAMS[-1]
    done, error = redriven()
    assert done == STREAMS[:STREAMS_TOGETHER]
    assert "Read timeout" in error.problem
    assert "and 35 more" in error.problem
