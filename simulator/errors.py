"""Error of programs and of their inputs."""


class ProgramError(ValueError):
    """A program or its input is invalid; the message says what to do."""
