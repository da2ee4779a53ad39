"""What every event store must do, written once; the tests of memory, moto and the emulator inherit it."""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{part}" for part in ("event_store", "dynamodb_event_store", "guards", "personal_data"))
)
