"""What the command line says when something cannot be done: one sentence, and what to do about it."""


class OpsError(Exception):
    """A failure that a person can act on.

    Args:
        problem: one clear sentence, without a full stop at the end.
        remedy: what to do next; may be empty when there is nothing to advise.
        exit_code: 1 for a failure, 2 for a command that was called wrongly.
    """

    def __init__(self, problem: str, remedy: str = "", *, exit_code: int = 1) -> None:
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy
        self.exit_code = exit_code
