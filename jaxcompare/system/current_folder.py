"""The current folder holds a user's files, not modules of a command. Standard library only."""

from __future__ import annotations

import os
import re
import sys


def leave_out(package: str, file: str) -> None:
    """Take the current folder away from `sys.path`, where Python runs a command of the package: `python -m PACKAGE.run`.

    Otherwise a `random.py` beside a config would be run in place of Python's own. Processes that the command starts leave
    their current folder out, too. The package itself is still found where Python found it: in a clone that is not
    installed, the clone follows every installed package.

    Args:
        package: its name.
        file: its `__init__.py`.
    """
    # While `python -m` looks for the module, the module's name is the last argument that is not the module's own.
    named = sys.orig_argv[-len(sys.argv)] if sys.argv[:1] == ["-m"] else ""
    if sys.flags.safe_path or not re.fullmatch(rf"(-\w*?m)?{package}(\.\w+)*", named):
        return
    del sys.path[0]
    os.environ["PYTHONSAFEPATH"] = "1"
    installed = next((found for one in sys.meta_path if (found := one.find_spec(package, None))), None)
    here, there = (os.path.realpath(found) if found else "" for found in (file, installed and installed.origin))
    if here != there:
        paths = [os.path.realpath(entry) for entry in sys.path]
        other = os.path.dirname(os.path.dirname(there))
        place = paths.index(other) if other in paths else len(paths)
        sys.path.insert(place, os.path.dirname(os.path.dirname(os.path.abspath(file))))
