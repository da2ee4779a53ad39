"""When the read side counts as degraded because a rebuild was left where it was."""

import time

import pytest

from infra import read_side
from infra.generations import POINTER, Generations, Phase
from infra.marks import Mark


@pytest.mark.parametrize(("heard_seconds_ago", "status"), [(0, "ok"), (590, "ok"), (610, "degraded")])
def test_a_rebuild_that_nobody_goes_on_with(heard_seconds_ago: int, status: str) -> None:
    state = Generations(phase=Phase.BULK, other={"user": 2}, owned_until=time.time() - heard_seconds_ago)
    pointer = Mark(*POINTER, version=1, data=state.model_dump_json())

    found = read_side.look(lambda partition: [pointer] if partition == POINTER[0] else [])

    assert (found.status, found.rebuild) == (status, Phase.BULK)
