"""The floor: an unconfigured boto3 client making the same requests with the same items, made ready beforehand.

What the requests are is not written down twice: opsledger is run against a client that only keeps them.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks import local
from benchmarks.opsledger import Opsledger
from benchmarks.work import LOADS, Thunk, Work

NAME = "bare-boto3"


class Kept(Exception):  # noqa: N818 - it is no error, it ends the run
    """A request was kept instead of being sent."""


class Keeper:
    """Has a client answer reads and keep its requests; the write is kept and not sent."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.requests: list[tuple[str, dict[str, Any]]] = []

    @property
    def exceptions(self) -> Any:
        return self._client.exceptions

    def query(self, **request: Any) -> Any:
        self._keep("query", request)
        return self._client.query(**request)

    def put_item(self, **request: Any) -> Any:
        self._keep("put_item", request)
        raise Kept

    def transact_write_items(self, **request: Any) -> Any:
        self._keep("transact_write_items", request)
        raise Kept

    def _keep(self, name: str, request: dict[str, Any]) -> None:
        plain = {key: value for key, value in request.items() if key != "ReturnConsumedCapacity"}
        self.requests.append((name, plain))


class Bare:
    """A default-configured client."""

    def __init__(self, opsledger: Opsledger) -> None:
        self.client = local.default_client()
        self._opsledger = opsledger

    @property
    def works(self) -> Mapping[str, Work]:
        works = ("create", "change", "change-warm", "five-events", *(f"load-{n}" for n in LOADS), "change-unique")
        return {name: self._same_as(name) for name in works}

    def _same_as(self, name: str) -> Work:
        def ready(number: int) -> Thunk:
            thunk = self._opsledger.works[name](number)
            requests = self._requests(thunk)

            def run() -> object:
                for call, request in requests:
                    getattr(self.client, call)(**request)
                return None

            return run

        return ready

    def _requests(self, thunk: Thunk) -> list[tuple[str, dict[str, Any]]]:
        store: Any = self._opsledger.store
        keeper = Keeper(store._client)  # noqa: SLF001 - to look at what it asks
        store._client = keeper  # noqa: SLF001
        try:
            thunk()
        except Kept:
            pass
        finally:
            store._client = self._opsledger.client  # noqa: SLF001
        return keeper.requests
