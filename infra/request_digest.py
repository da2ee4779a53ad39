"""A digest of a request, to tell a repeat from another request under the same key."""

import hashlib
import hmac
import json


def digest(body: bytes, secret: bytes | None = None) -> str:
    """The same for the same JSON, whatever its white space and order of fields. 32 hex digits.

    Args:
        secret: makes it an HMAC, so that nobody who reads it can guess what was digested.
    """
    try:
        canonical = json.dumps(json.loads(body or b"null"), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):  # not JSON, or nested too deep to be read
        canonical = body
    made = hmac.new(secret, canonical, hashlib.sha256) if secret else hashlib.sha256(canonical)
    return made.hexdigest()[:32]
