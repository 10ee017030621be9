"""The command line: `python -m jaxcompare.run --exp all`. Standard library only until the config has been checked."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from jaxcompare.config import custom, outputs, overrides
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.errors import ConfigError, InputError, brief
from jaxcompare.config.identity import asked
from jaxcompare.config.load import load, shipped
from jaxcompare.config.parse import parse, quick
from jaxcompare.config.registry import nearest
from jaxcompare.config.request import Request, parse_bytes, parse_mesh
from jaxcompare.system.command import command, tell
from jaxcompare.system.messages import shown_on_stderr
from jaxcompare.system.text import readable

DESCRIPTION = (
    "Trains comparisons of losses, activations, optimizers and more, and writes tables, pictures and a report that says "
    "which differences are real."
)
EXAMPLES = """\
examples:
  python -m jaxcompare.run --exp all                  the {count} shipped comparisons ({names}) into results/
  python -m jaxcompare.run --exp all --quick --out quick   the same files in less time, from fewer epochs and seeds
  python -m jaxcompare.run --exp {last} --list             what comparison {last} would train, and about how long
  python -m jaxcompare.run --exp {first} --seeds 20 --out results-{first}
  python -m jaxcompare.run --exp mine.toml --out mine  your own comparison (without --out it joins those in results/)
  python -m jaxcompare.run --exp mine.toml --set base.epochs=3 --set 'study.main.grid.optimizer=["sgd","lion"]'

--set takes base.KEY, study.NAME.base.KEY, study.NAME.grid.KEY (grid.2.KEY for the second of several grids),
study.NAME.roles.KEY, study.NAME.claims, study.NAME.confirm, title, question or target. A comparison's name in front
(mine.base.epochs=3) limits it to that comparison. The same command continues a run that was stopped.
"""


MOST_LINES = 50  # of errors


class _Parser(argparse.ArgumentParser):
    """argparse with the nearest option in its errors."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            if not unknown[0].startswith("-"):
                self.error(f"unexpected {unknown[0]!r}: a value follows its option, in quotes where it has spaces")
            self.error(f"no option {unknown[0]}; {nearest(unknown[0].split('=')[0], options)}")
        return known

    def error(self, message: str) -> NoReturn:
        """Print one line, without the usage, and exit with code 2."""
        self.exit(2, f"{self.prog}: error: {brief(message, 500)} (--help lists the options)\n")


class _Once(argparse.Action):
    """An option whose second value would silently replace the first."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Set the value, or exit where there is one."""
        if getattr(self, "given", False):
            parser.error(f"{option_string} {values}: one command runs one comparison, or all; run it again for another")
        self.given = True
        setattr(namespace, self.dest, values)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    names = list(shipped())
    options = _Parser(
        prog="jaxcompare",
        description=DESCRIPTION,
        epilog=EXAMPLES.format(count=len(names), names=", ".join(names), first=names[0], last=names[-1]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add, flag = options.add_argument, "store_true"
    add(
        "--exp",
        action=_Once,
        default="all",
        metavar="|".join((*names, "all", "FILE.toml")),
        help="the comparison (default: all)",
    )
    add("--out", default="results", metavar="DIR", help="the folder of the results (default: results)")
    add("--seeds", type=int, metavar="N", help="seeds of each variant (shorthand for --set base.seeds=N)")
    add("--epochs", type=int, metavar="N", help="epochs (shorthand for --set base.epochs=N)")
    add("--quick", action=flag, help="a fifth of the epochs and at most two seeds")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments", help="any key of the config")
    add("--data-dir", metavar="DIR", help="the folder that is searched first for data sets")
    mesh_help = "N tiles at a time, M devices for each (default: one a core or GPU, 1)"
    add("--mesh", metavar="replica=N,data=M", help=mesh_help)
    add("--cluster", metavar="ADDRESS", help="train in a cluster's processes: local:N, tcp://HOST:PORT, slurm:FILE")
    add(
        "--memory",
        metavar="SIZE",
        help="memory to use of each device, 2G or 512M for example (default: all that is free)",
    )
    outputs.add_arguments(options)
    add(
        "--tensorboard",
        nargs="?",
        const=outputs.TENSORBOARD[0],
        metavar="|".join(outputs.TENSORBOARD),
        help="log for TensorBoard as well, in DIR/tensorboard: variants over their seeds (or each run as well)",
    )
    add("--csv", action=flag, help="write every table as CSV as well as Parquet, not summary, claims and history alone")
    add("--list", action=flag, help="print what would train, and stop")
    force_help = (
        "use --out though it holds another run's unfinished work, another config of the same name, the same comparison with "
        "more seeds or epochs, or files that no run wrote"
    )
    add("--force", action=flag, help=force_help)
    add("--again", action=flag, help="train again what is already there")
    return options


def read_comparisons(arguments: argparse.Namespace) -> tuple[list[Comparison], dict[str, dict[str, Any]]]:
    """Return the comparisons that the command line asks for, checked, and their configs with every override.

    Raises:
        ConfigError: a config as its file has it, or an override, is invalid; the locale cannot read the file's name.
    """
    if (name := Path(arguments.exp).stem) != readable(name):
        raise ConfigError(
            f"--exp {readable(arguments.exp)}: the locale cannot read the file's name; set LC_ALL=C.UTF-8"
        )
    chosen = shipped() if arguments.exp == "all" else [arguments.exp]
    configs = dict(load(name) for name in chosen)
    for name, config in configs.items():
        parse(name, config)  # quick and the overrides change checked configs only
    if arguments.quick:
        configs = {name: quick(config) for name, config in configs.items()}
    shorthands = [
        f"base.{key}={value}" for key in ("epochs", "seeds") if (value := getattr(arguments, key)) is not None
    ]
    configs = overrides.apply(
        configs,
        shorthands + [readable(one) for one in arguments.assignments],
        lambda text: tell(text, "stderr"),
    )
    return [parse(name, config) for name, config in configs.items()], configs


def read_request(arguments: argparse.Namespace, command: str) -> Request:
    """Return what the command line asks of the run beside the comparisons.

    Raises:
        ConfigError: an option that cannot be.
    """
    for option in ("exp", "out", "data_dir", "mesh", "cluster", "memory"):
        if getattr(arguments, option) == "":
            raise ConfigError(f"--{option.replace('_', '-')} '': is empty; leave the option out for its default")
    out = Path(arguments.out)
    if arguments.memory is not None:
        parse_bytes(arguments.memory)
    if arguments.mesh is not None:
        parse_mesh(arguments.mesh)
    if _exists("--out", out) and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, not a folder")
    if arguments.data_dir is not None and not (
        _exists("--data-dir", data := Path(arguments.data_dir)) and data.is_dir()
    ):
        raise ConfigError(f"--data-dir {arguments.data_dir}: there is no such folder")
    return Request(
        out=out,
        data_dir=arguments.data_dir,
        mesh=arguments.mesh,
        cluster=arguments.cluster,
        memory=arguments.memory,
        outputs=outputs.parse(arguments.lang, arguments.formats, arguments.tensorboard, arguments.csv),
        force=arguments.force,
        again=arguments.again,
        quick=arguments.quick,
        command=command,
    )


def _exists(option: str, path: Path) -> bool:
    """Return whether a path exists; raise ConfigError where no file can have the name."""
    try:
        return path.stat() is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{option} {brief(str(path))}: cannot be used: {getattr(error, 'strerror', error)}"
        ) from error


@partial(command, stopped="stopped; finished training is kept, and the same command goes on from there")
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0; 1 where a part of the report failed; 2 for bad input or missing data; 130 when the run was stopped by Ctrl-C, 143 by
    SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    try:
        request = read_request(arguments, readable(shlex.join(["python", "-m", "jaxcompare.run", *argv])))
        comparisons, configs = read_comparisons(arguments)
        if arguments.exp.endswith(".toml"):
            name, config = load(arguments.exp)
            folder = Path(arguments.exp).absolute().parent
            request = request._replace(asked={name: asked(name, config)}, folder=folder)
        with shown_on_stderr():
            # These import JAX and pandas, so only after the config is checked.
            from jaxcompare.execution.places import import_jax

            import_jax()
            # A user's own functions may lie beside the config, or in the folder of the command.
            beside = [request.folder] if request.folder is not None else []
            with custom.imported(comparisons, [*beside, Path.cwd()]):
                if arguments.list:
                    from jaxcompare.execution.listing import listing

                    tell(listing(comparisons, configs, request.data_dir, request.folder))
                    return 0
                from jaxcompare.execution import pipeline

                outcome = pipeline.run(comparisons, configs, request)
        tell(outcome.text)
    except InputError as error:
        lines = str(error).splitlines()
        rest = [f"... and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
        tell("\n".join(f"jaxcompare: error: {line}" for line in [*lines[:MOST_LINES], *rest]), "stderr")
        return 2
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
