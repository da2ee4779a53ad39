"""Admission: who an access token speaks for, unless its session has ended or its user's tokens were stopped."""

import time
from collections import OrderedDict
from collections.abc import Callable

from aws_lambda_powertools import Logger

from domain.permissions import Caller
from infra.guards import Stops, TokenGuards, UnreadGuardsError
from infra.problems import RetryLaterError
from infra.request import BadTokenError
from infra.settings import STOPS_CACHE_SECONDS, STOPS_CACHED
from infra.tokens import Tokens

logger = Logger()


class Admission:
    """The callers of a deployed API. What it read of a session is used for STOPS_CACHE_SECONDS.

    Args:
        guards: gives the guards; not called before there is a valid token.
        clock: seconds that only ever go on.
    """

    def __init__(
        self, tokens: Tokens, guards: Callable[[], TokenGuards], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._guards = guards
        self._clock = clock
        self._read: OrderedDict[str, tuple[float, Stops]] = OrderedDict()

    def caller(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            BadTokenError: it is not a valid access token, or was ended before its time.
            RetryLaterError: that could not be found out.
        """
        caller, issued_at = self._tokens.access(token)
        stops = self._stops(caller)
        if stops.session_ended:
            raise BadTokenError("The session has ended; log in again.")
        if stops.issued_until is not None and issued_at <= stops.issued_until:
            raise BadTokenError("The access token no longer counts; refresh it or log in again.")
        return caller

    def _stops(self, caller: Caller) -> Stops:
        read_at, stops = self._read.get(caller.session_id, (None, Stops()))
        if read_at is None or self._clock() - read_at >= STOPS_CACHE_SECONDS:
            read_at = self._clock()  # before the call: what happens during it may or may not be seen
            stops = self._look(caller)
            self._read[caller.session_id] = (read_at, stops)
            self._read.move_to_end(caller.session_id)
            if len(self._read) > STOPS_CACHED:
                self._read.popitem(last=False)
        return stops

    def _look(self, caller: Caller) -> Stops:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with the client

        try:
            return self._guards().stops(caller.session_id, caller.user_id)
        except (BotoCoreError, ClientError, UnreadGuardsError) as error:
            logger.exception("a token could not be checked")
            raise RetryLaterError("Whether the access token still counts cannot be found out; try again.", 1) from error
