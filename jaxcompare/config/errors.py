"""Errors that a user can mend: a command prints their message in one line and exits with code 2."""


class InputError(Exception):
    """What a user gave or asked for cannot be used; the message names the field, the value and what would be valid."""


class ConfigError(InputError, ValueError):
    """A config, an override or an option of the command line is invalid."""
