"""PyJWT for the HMAC algorithms, which need nothing else.

PyJWT loads `cryptography` whole where it finds it (X.509, SSH keys, elliptic curves) and registers the algorithms of
public keys. Tokens here are HS256 only: without, a cold start is 30 ms shorter, and no other algorithm is known.
"""

import sys

_NAME = "cryptography"

_loaded = sys.modules.get(_NAME)
# An import of it fails then (Python reference, "The module cache").
sys.modules[_NAME] = None  # type: ignore[assignment]
try:
    import jwt
finally:
    if _loaded is None:
        del sys.modules[_NAME]
    else:
        sys.modules[_NAME] = _loaded

__all__ = ["jwt"]
