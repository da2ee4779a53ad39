"""Last by its name: after all the other tests, nothing went wrong that nobody saw."""

from tests.e2e.system import Api, System


def test_no_function_was_refused_anything_or_failed_unexpectedly(system: System, admin: Api) -> None:
    assert admin.get("/events")  # there is something in the logs, whatever tests ran
    system.settle()
    complaints = system.complaints()
    assert not complaints, "\n\n".join(complaints[:5])
