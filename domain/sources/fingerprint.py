"""How the fields that identify a problem become one short key."""

import hashlib

_READABLE = 200
"""Characters. ARNs stay readable below it; DynamoDB keys and Slack's block ids hold it."""


def fingerprint(prefix: str, *parts: str | None) -> str:
    """The same key for the same parts: `prefix:part|part` when that is short and plain, else `prefix#<SHA-256>`.

    `#` and `:` keep the two forms apart, and a part that holds a `|` is hashed, so that no two lists of parts meet.
    """
    readable = f"{prefix}:{'|'.join(part or '' for part in parts)}"
    plain = readable.isascii() and readable.isprintable() and not any("|" in part for part in parts if part)
    return readable if plain and len(readable) <= _READABLE else f"{prefix}#{digest(*parts)}"


def digest(*parts: str | None) -> str:
    """160 bits of SHA-256 over the parts, as 40 hex digits."""
    hashed = hashlib.sha256()
    for part in parts:
        encoded = (part or "").encode("utf-8", "replace")
        hashed.update(b"%d:%b" % (len(encoded), encoded))
    return hashed.hexdigest()[:40]
