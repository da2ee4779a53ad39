"""Several processes at once, one request at a time, in an order that somebody chooses and can choose again."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, NamedTuple

from tests.in_memory.dynamodb import InMemoryDynamoDB

Turns = Callable[[int], int]
"""Which of so many goes on: a number from 0 to one less."""


class Outcome(NamedTuple):
    """What an actor returned, or what ended it."""

    result: Any = None
    error: BaseException | None = None


def turns_of(chance: random.Random) -> Turns:
    return chance.randrange


def interleaved(db: InMemoryDynamoDB, actors: Sequence[Callable[[], Any]], turns: Turns) -> list[Outcome]:
    """Run actors at the same time; whenever one is about to send a request, `turns` says which goes on.

    Only one runs at any time, so that the same turns give the same outcome.
    """
    running = [_Actor(actor) for actor in actors]
    with _stopping_at_requests(db, running):
        while going_on := [actor for actor in running if actor.thread.is_alive()]:
            going_on[turns(len(going_on)) if len(going_on) > 1 else 0].go_on()
    return [actor.outcome for actor in running]


class _Actor:
    def __init__(self, action: Callable[[], Any]) -> None:
        self.outcome = Outcome()
        self._action = action
        self._turn = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._ended = False
        context = copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self.thread.start()

    def go_on(self) -> None:
        """Let it run to its next request, or to its end."""
        self._turn.release()
        self._stopped.acquire()
        if self._ended:
            self.thread.join()

    def stop(self) -> None:
        """Called in its own thread: wait for its turn."""
        self._stopped.release()
        self._turn.acquire()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            self.outcome = Outcome(self._action())
        except BaseException as error:  # noqa: BLE001 - a crash ends the actor, not the test
            self.outcome = Outcome(error=error)
        self._ended = True
        self._stopped.release()


@contextmanager
def _stopping_at_requests(db: InMemoryDynamoDB, actors: Sequence[_Actor]) -> Iterator[None]:
    by_thread = {actor.thread: actor for actor in actors}

    def stop(_operation: str) -> None:
        if actor := by_thread.get(threading.current_thread()):
            actor.stop()

    before, db.before_request = db.before_request, stop
    try:
        yield
    finally:
        db.before_request = before
