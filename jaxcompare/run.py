"""The command line: `python -m jaxcompare.run --exp all`. Standard library only until the config has been checked."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jaxcompare.config import names, outputs, overrides
from jaxcompare.config.comparison import Comparison
from jaxcompare.config.errors import ConfigError, InputError
from jaxcompare.config.load import load
from jaxcompare.config.parse import check_shape, parse, quick
from jaxcompare.config.registry import nearest
from jaxcompare.planning import memory

EXAMPLES = """\
examples:
  python -m jaxcompare.run --exp all                  all three comparisons into results/
  python -m jaxcompare.run --exp all --quick --out quick   the same files in less time, from fewer epochs and seeds
  python -m jaxcompare.run --exp c --list             what comparison C would train, and about how long
  python -m jaxcompare.run --exp b --seeds 20 --out results-b
  python -m jaxcompare.run --exp mine.toml --out mine  a comparison of your own (without --out it joins those in results/)
  python -m jaxcompare.run --exp c --set base.epochs=3 --set 'study.main.grid.optimizer=["sgd","lion"]'

--set takes base.KEY, study.NAME.base.KEY, study.NAME.grid.KEY (grid.2.KEY for the second of several grids),
study.NAME.roles.KEY, study.NAME.claims, study.NAME.confirm, title, question or target, if need be after a
comparison's name (a.base.epochs=3). A run that was stopped goes on with the same command.
"""


class _Parser(argparse.ArgumentParser):
    """argparse with the nearest option in its errors."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            self.error(f"no option {unknown[0]}; {nearest(unknown[0].split('=')[0], options)}")
        return found

    def error(self, message: str) -> NoReturn:
        """One line, without the usage, and exit code 2."""
        self.exit(2, f"{self.prog}: error: {message} (--help says what there is)\n")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = _Parser(
        prog="jaxcompare",
        description="Trains comparisons of losses, activations, optimizers and more, and writes tables, pictures and a "
        "report that says which differences are real.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "--exp", default="all", metavar="a|b|c|all|FILE.toml", help="which comparison (default: all three)"
    )
    made.add_argument("--out", default="results", metavar="DIR", help="where the results go (default: results)")
    made.add_argument("--seeds", type=int, metavar="N", help="seeds a variant (shorthand for --set base.seeds=N)")
    made.add_argument("--epochs", type=int, metavar="N", help="epochs (shorthand for --set base.epochs=N)")
    made.add_argument("--quick", action="store_true", help="a fifth of the epochs and at most two seeds")
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments", help="any key of the config"
    )
    made.add_argument("--data-dir", metavar="DIR", help="where to look for data sets first")
    made.add_argument(
        "--mesh",
        metavar="replica=N,data=M",
        help="N tiles of replicas side by side, M devices to each (default: all, 1)",
    )
    made.add_argument(
        "--memory", metavar="SIZE", help="how much of each device to use, 2G or 512M say (default: what is free)"
    )
    outputs.add_arguments(made)
    made.add_argument(
        "--tensorboard",
        nargs="?",
        const=outputs.TENSORBOARD[0],
        metavar="|".join(outputs.TENSORBOARD),
        help="log for TensorBoard, too, in DIR/tensorboard: variants over their seeds (or each run as well)",
    )
    made.add_argument("--list", action="store_true", help="say what would train, and stop")
    made.add_argument(
        "--force",
        action="store_true",
        help="use --out though it holds another run's unfinished work, the same comparison of more seeds or epochs, or files "
        "that no run wrote",
    )
    made.add_argument("--again", action="store_true", help="train anew what is already there")
    return made


def read_comparisons(arguments: argparse.Namespace) -> tuple[list[Comparison], dict[str, dict[str, Any]]]:
    """The comparisons that the command line asks for, checked, and their configs after every override.

    Raises:
        ConfigError: whatever is wrong, before anything heavy is imported.
    """
    chosen = list(names.EXPERIMENTS) if arguments.exp == "all" else [arguments.exp]
    configs = dict(load(one) for one in chosen)
    for name, config in configs.items():
        check_shape(config, name)
    if arguments.quick:
        configs = {name: quick(config) for name, config in configs.items()}
    shorthands = [
        f"base.{key}={value}" for key in ("epochs", "seeds") if (value := getattr(arguments, key)) is not None
    ]
    configs = overrides.apply(configs, shorthands + arguments.assignments, lambda text: print(text, file=sys.stderr))
    comparisons = [parse(name, config) for name, config in configs.items()]
    if arguments.memory is not None:
        memory.parse_bytes(arguments.memory)
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, not a folder")
    if arguments.data_dir is not None and not Path(arguments.data_dir).is_dir():
        raise ConfigError(f"--data-dir {arguments.data_dir}: there is no such folder")
    return comparisons, configs


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    0; 1 where a part of the report could not be made; 2 for bad input or missing data; 130 when it was stopped.
    """
    arguments = parser().parse_args(argv)
    try:
        outputs.parse(arguments)
        comparisons, configs = read_comparisons(arguments)
        # Where a user's own functions may lie: beside the config, or where the command was given.
        sys.path[:0] = [str(Path(arguments.exp).parent)] if arguments.exp.endswith(".toml") else []
        sys.path.append(str(Path.cwd()))
        from jaxcompare.execution import pipeline  # NumPy and pandas: only once the config is known to be good

        if arguments.list:
            print(pipeline.listing(comparisons, configs, arguments.data_dir), flush=True)
            return 0
        command = shlex.join(["python", "-m", "jaxcompare.run", *(sys.argv[1:] if argv is None else argv)])
        failures = pipeline.run(comparisons, configs, arguments, command)
    except KeyboardInterrupt:
        print("stopped; what was trained whole is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except InputError as error:
        print(f"jaxcompare: error: {error}", file=sys.stderr)
        return 2
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
