"""A digest of a request, to tell a repeat from another request under the same key."""

import hashlib
import json


def digest(body: bytes) -> str:
    """The same for the same JSON, whatever its white space and order of fields. 32 hex digits."""
    try:
        canonical = json.dumps(json.loads(body or b"null"), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):  # not JSON, or nested too deep to be read
        canonical = body
    return hashlib.sha256(canonical).hexdigest()[:32]
