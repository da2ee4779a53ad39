"""KMS in memory, as far as people's keys need it: it makes, wraps and unwraps them, or refuses to."""

import os
from typing import Any

import botocore.session


class InMemoryKms:
    """A client of it, with one wrapping key.

    Attributes:
        refusal: the code that it refuses to unwrap with; None: it unwraps.
    """

    def __init__(self) -> None:
        self.refusal: str | None = None
        client = botocore.session.get_session().create_client("kms", region_name="eu-central-1")
        self.exceptions: Any = client.exceptions
        self._wrapped: dict[tuple[str, bytes], bytes] = {}

    def generate_data_key(self, *, EncryptionContext: dict[str, str], **_: Any) -> dict[str, bytes]:  # noqa: N803
        """See "GenerateDataKey" in the "AWS KMS API Reference"."""
        key, wrapped = os.urandom(32), os.urandom(64)
        self._wrapped[EncryptionContext["person"], wrapped] = key
        return {"Plaintext": key, "CiphertextBlob": wrapped}

    def decrypt(self, *, CiphertextBlob: bytes, EncryptionContext: dict[str, str], **_: Any) -> dict[str, bytes]:  # noqa: N803
        """See "Decrypt" in the "AWS KMS API Reference"."""
        if self.refusal:
            error: Any = self.exceptions.from_code(self.refusal)
            raise error({"Error": {"Code": self.refusal, "Message": "It cannot be unwrapped."}}, "Decrypt")
        return {"Plaintext": self._wrapped[EncryptionContext["person"], bytes(CiphertextBlob)]}
