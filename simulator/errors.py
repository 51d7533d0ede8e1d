"""Errors of programs and of what is fed to them."""


class ProgramError(ValueError):
    """A program or its input is not what the chip takes; the message says what to do."""
