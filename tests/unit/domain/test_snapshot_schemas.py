"""A state that comes to mean something else must not be read from an old snapshot."""

import hashlib
import json

import pytest
from pydantic import TypeAdapter

from domain.registry import DECIDERS

KNOWN = {
    # kind: (the decider's schema, a digest of the shape of its state)
    "event": (2, "f0a64720fbbce28e"),
    "alert": (3, "a27ff173832bb82b"),
    "task": (3, "631a8b3c87d515b5"),
    "user": (3, "2a1849f615b79747"),
    "session": (1, "627ebf126b6e4c61"),
    "aws-config": (1, "c48684b989bde6f8"),
    "monitoring-config": (1, "aedc9c6a5329e54c"),
    "report": (1, "491e3d6e51f2400e"),
    "heartbeat": (1, "818ea7212b65064c"),
}


@pytest.mark.parametrize("category", sorted(DECIDERS))
def test_a_state_of_another_shape_has_another_schema_number(category: str) -> None:
    decider = DECIDERS[category]
    shape = json.dumps(TypeAdapter(decider.state_type).json_schema(), sort_keys=True)
    digest = hashlib.sha256(shape.encode()).hexdigest()[:16]
    assert (decider.schema, digest) == KNOWN[category], (
        f"the state of {category} has another shape: raise the decider's `schema`, and note its digest above"
    )
