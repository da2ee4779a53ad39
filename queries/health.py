"""GET /health: that the API answers; for an admin, how the read side is."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from infra import read_side
from infra.generations import Phase
from infra.read_side import Status
from infra.request import Request
from infra.rest import Answer

Lag = Annotated[
    float | None,
    Field(
        description="Seconds that the last heartbeat took to reach it, that the next one has been overdue, or since one"
        " was sent that is missing while later ones were heard; null while it has heard none."
    ),
]


class LagShown(TypedDict):
    """How far behind each consumer of the ledger's streams is. A heartbeat is sent every minute."""

    projector: Lag
    notifier: Lag
    reactions: Lag


class Health(TypedDict):
    """`status` alone, unless an admin asks."""

    status: Annotated[
        Status,
        Field(
            description="`degraded` is told to admins only: a lag is over 120 seconds, a consumer hears no heartbeats"
            " while others do, streams are parked, or a rebuild was interrupted and not gone on with for 10 minutes."
        ),
    ]
    lag: NotRequired[LagShown]
    parked: NotRequired[Annotated[int, Field(description="Streams that the views cannot show beyond some event.")]]
    rebuild: NotRequired[Annotated[Phase | None, Field(description="The phase of a rebuild that is under way.")]]


def get_health(request: Request) -> Answer[Health]:
    """That the API answers, and to an admin how far behind the views are.

    Open, and reads nothing then. With an admin's access token it answers with details; with any other token, or one
    that is not valid, without them. The HTTP status is 200 in any case: a degraded read side is late, not away.
    """
    if not request.is_from_admin:
        return Answer({"status": "ok"})
    found = read_side.look()
    return Answer(
        {
            "status": found.status,
            "lag": LagShown(
                projector=found.lag["projector"], notifier=found.lag["notifier"], reactions=found.lag["reactions"]
            ),
            "parked": len(found.parked),
            "rebuild": found.rebuild,
        }
    )
