"""Links into the AWS console. Every inserted part is percent-encoded: names are the sender's."""

import re
from urllib.parse import quote

# The other partitions have consoles of their own; a link to the wrong one is a dead one.
_HOSTS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
_HOST = "console.aws.amazon.com"

_ADDRESS = re.compile(r"https://[!-~]+")


def encoded(part: str) -> str:
    return quote(part, safe="")


def page(region: str | None, service: str, fragment: str) -> str | None:
    """The console page of a regional service; None when the Region is not known.

    Args:
        region: the Region whose console to open.
        service: the first step of the path, such as `cloudwatch`.
        fragment: what follows the `#`, its inserted parts already `encoded`.
    """
    if not region:
        return None
    host = next((host for prefix, host in _HOSTS.items() if region.startswith(prefix)), _HOST)
    return f"https://{host}/{service}/home?region={encoded(region)}#{fragment}"


def log_group(region: str | None, name: str) -> str | None:
    """The page of a log group. This one page wants its name encoded twice, with `$` for `%`."""
    return page(region, "cloudwatch", f"logsV2:log-groups/log-group/{encoded(encoded(name)).replace('%', '$')}")


def security_hub_finding(region: str | None, identifier: str) -> str | None:
    """Security Hub's list of findings, searched for one. The value in a search is encoded once more than the search."""
    search = "Id=" + encoded(rf"\operator\:EQUALS\:{identifier}")
    return page(region, "securityhub", f"/findings?search={encoded(search)}")


def address(found: object) -> str | None:
    """An address that a message tells, if a browser may be sent there: over TLS, in ASCII, without spaces."""
    return found if isinstance(found, str) and _ADDRESS.fullmatch(found) else None
