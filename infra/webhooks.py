"""Posting to Slack's incoming webhooks.

A webhook's URL is a secret: it appears in no log and no error. Only allowed hosts are posted to, by https (on a
developer's machine also plain http on the loopback address), no redirect is followed, and nothing of the answer's
body is used.
"""

import json
import logging
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from infra.settings import SLACK_TIMEOUT_SECONDS

if TYPE_CHECKING:
    import urllib3

_SECONDS = re.compile("[0-9]{1,9}")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Delivery(NamedTuple):
    """What came of a post.

    Attributes:
        sent: Slack said so.
        heals: whether trying again makes sense.
        retry_after: seconds that Slack asks to wait.
        timed_out: it took all the time that a post may take.
        error: a sentence for people; None when sent.
    """

    sent: bool
    heals: bool = False
    retry_after: int | None = None
    timed_out: bool = False
    error: str | None = None


def fault(url: str, allowed_hosts: Collection[str], *, allow_loopback: bool) -> str | None:
    """Why a webhook may not be posted to, or None if it may. The URL itself is not in the sentence."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        loopback = allow_loopback and host in _LOOPBACK and parts.scheme in {"http", "https"}
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return "the webhook is not a URL"
    if parts.username is not None or parts.password is not None:
        return "the webhook must not carry a user name or password"
    if loopback or (parts.scheme == "https" and host in allowed_hosts and parts.port in {None, 443}):
        return None
    return f"the webhook must be https to {' or '.join(sorted(allowed_hosts))}"


def post(url: str, message: Mapping[str, Any]) -> Delivery:
    """Post one message. Never raises for what the other side does."""
    import urllib3  # noqa: PLC0415 - only senders need it

    try:
        answer = _pool().request(
            "POST",
            url,
            body=json.dumps(message).encode(),
            headers={"Content-Type": "application/json"},
            redirect=False,
            retries=False,
            preload_content=False,  # the body is not read: its length is the other side's choice
        )
    except urllib3.exceptions.TimeoutError:
        return Delivery(sent=False, heals=True, timed_out=True, error="Slack did not answer in time")
    except urllib3.exceptions.HTTPError as error:
        return Delivery(sent=False, heals=True, error=f"Slack could not be reached ({type(error).__name__})")
    status, headers = answer.status, answer.headers
    answer.close()
    if status == 200:
        return Delivery(sent=True)
    retry_after = headers.get("Retry-After", "")
    return Delivery(
        sent=False,
        heals=status == 429 or status >= 500,
        retry_after=int(retry_after) if _SECONDS.fullmatch(retry_after) else None,
        error=f"Slack answered {status}",
    )


@cache
def _pool() -> "urllib3.PoolManager":
    import urllib3  # noqa: PLC0415

    logging.getLogger("urllib3").setLevel(logging.INFO)  # at DEBUG it writes the paths of URLs
    return urllib3.PoolManager(timeout=urllib3.Timeout(total=SLACK_TIMEOUT_SECONDS), maxsize=2)
