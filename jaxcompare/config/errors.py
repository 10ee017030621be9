"""Errors that a user can fix: a command prints their message in one line and exits with code 2."""


class InputError(Exception):
    """Unusable input; the message names the field, the value and what would be valid."""


class ConfigError(InputError, ValueError):
    """An invalid config, override or option of the command line."""
