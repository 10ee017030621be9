"""Whatever is in a file or on the command line: it is read, or it is an InputError. Never a traceback, never without end.

JAXCOMPARE_FUZZ=10000 runs as many examples of each test; by default all of them together take about 20 seconds.
"""

import copy
import gzip
import io
import json
import math
import os
import random
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jaxcompare import analysis, report, run
from jaxcompare.config import load, overrides
from jaxcompare.config.errors import InputError
from jaxcompare.config.identity import asked
from jaxcompare.config.parse import parse, quick
from jaxcompare.config.settings import KEYS
from jaxcompare.data import idx
from jaxcompare.execution.replaced import check_replaced
from jaxcompare.report.records import patterns_of, records, targets_of, titles_of
from jaxcompare.system.manifest import read_manifest
from jaxcompare.words import LANGUAGES

ROOT = Path(__file__).parent.parent
EXAMPLES = int(os.environ.get("JAXCOMPARE_FUZZ", "50"))
CONFIGS = {name: load.load(name)[1] for name in load.shipped()}
SHIPPED = {name: path.read_bytes() for name, path in load.shipped().items()}
RECORD = json.loads((ROOT / "results" / "manifest.json").read_text())["experiments"]["a"]
STUDY = {**RECORD["config"]["study"][0], "grid": RECORD["config"]["study"][0]["grid"][:1]}
CONFIG = {**RECORD["config"], "study": [STUDY]}
MANIFEST = {
    "jaxcompare": "0.1.0",
    "files": ["report.md", "manifest.json"],
    "experiments": {"a": {**RECORD, "config": CONFIG, "programs": RECORD["programs"][:1], "asked": asked("a", CONFIG)}},
}


def fuzz(share=1.0):
    """Settings of a test: the same examples at each run, `share` of `EXAMPLES`."""
    return settings(
        max_examples=max(1, int(share * EXAMPLES)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate] if "JAXCOMPARE_FUZZ" not in os.environ else list(Phase),  # shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )


SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 1, 2**31, 10**400, -(10**4000), math.nan, math.inf, -math.inf, 1e-300, 1e300]),
    st.sampled_from(["", "inf", "auto", "../x", "a:b", "moons", "\0", "\ud800", "{comparison}", "x" * 300, "0,1", "None", "#"]),
    st.sampled_from([date(1979, 5, 27), *KEYS]),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
)  # fmt: skip
NAMES = st.text(max_size=8) | st.sampled_from(list(KEYS))
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(value, path=()):
    """Every place in tables and lists."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, key))


def mutated(value, draw):
    """A copy with some parts dropped, replaced, nested, moved or renamed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        if not (inner := list(places(value))[1:]):
            break
        (*parents, last) = draw(st.sampled_from(inner))
        inside = value
        for key in parents:
            inside = inside[key]
        how = draw(st.sampled_from(["drop", "replace", "nest", "list", "rename", "twice"]))
        if how == "drop":
            del inside[last]
        elif how == "replace":
            inside[last] = draw(JUNK)
        elif how == "nest":
            inside[last] = {draw(st.sampled_from([*KEYS, "x", "inf"])): inside[last]}
        elif how == "list":
            inside[last] = [inside[last], draw(JUNK)]
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        elif how == "rename":
            inside[draw(st.sampled_from([*KEYS, "x"]) | st.text(max_size=5))] = inside.pop(last)
    return value


SEEDS = st.integers(0, 2**32)


def flipped(content, seed):
    """Bytes with some bytes changed, or an end cut off."""
    chance, found = random.Random(seed), bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 10, 100])):
        found[chance.randrange(len(found))] = chance.choice([0, 255, chance.randrange(256)])
    return bytes(found[: chance.randrange(len(found))] if chance.random() < 0.2 else found)


def checked(call):
    """What a call returns; None where it raises the error of bad input, whose lines are short."""
    try:
        return call()
    except InputError as error:
        lines = str(error).splitlines()
        assert lines
        assert max(map(len, lines)) < 2000
        return None


def read(arguments):
    """What the command would do until JAX starts."""
    try:
        given = run.parser().parse_args([str(argument) for argument in arguments])
    except SystemExit as stopped:
        if stopped.code != 2:
            raise
        return
    checked(lambda: (run.read_request(given, ""), run.read_comparisons(given)))


@fuzz()
@given(st.data())
def test_a_config_of_any_bytes(tmp_path_factory, data):
    shipped = st.sampled_from(sorted(SHIPPED)).map(lambda name: flipped(SHIPPED[name], data.draw(SEEDS)))
    path = tmp_path_factory.mktemp("any") / "mine.toml"
    path.write_bytes(data.draw(st.binary(max_size=200) | shipped))
    read(["--exp", path, *data.draw(st.sampled_from([[], ["--quick"], ["--epochs", "3"]]))])


@fuzz(3)
@given(st.data())
def test_a_config_with_any_part_changed(data):
    config = mutated(CONFIGS[data.draw(st.sampled_from(sorted(CONFIGS)))], data.draw)
    if checked(lambda: parse("mine", config)) is not None:
        checked(lambda: parse("mine", quick(config)))
        texts = data.draw(st.lists(ASSIGNMENTS, max_size=2))
        checked(lambda: [parse(*one) for one in overrides.apply({"mine": config}, texts).items()])


WORDS = st.sampled_from(
    [
        "base",
        "study",
        "main",
        "grid",
        "roles",
        "claims",
        "confirm",
        "title",
        "target",
        "a",
        "1",
        "2",
        "options",
        "",
        *KEYS,
    ]
)
VALUES = st.one_of(
    st.sampled_from(["3", "[1]", "[", "{", "{a=1}", "nan", "-inf", ".5", "sgd", "[sgd]", "''", "1979-05-27"]),
    st.sampled_from(["9" * 5000, "[" * 5000]),
    st.text(max_size=20),
    JUNK.map(lambda value: f"{value if not isinstance(value, int) else 7}"),
)  # fmt: skip
ASSIGNMENTS = st.one_of(
    st.builds(lambda path, value: f"{'.'.join(path)}={value}", st.lists(WORDS, min_size=1, max_size=5), VALUES),
    st.text(max_size=30),
)
OPTIONS = [
    *("--exp", "--out", "--seeds", "--epochs", "--set", "--data-dir", "--mesh", "--memory", "--lang", "--formats"),
    "--tensorboard",
]
ARGUMENTS = st.one_of(
    st.tuples(st.sampled_from(OPTIONS), VALUES).map(list),
    st.tuples(st.just("--set"), ASSIGNMENTS).map(list),
    st.sampled_from([["--quick"], ["--list"], ["--exp", "a"], ["--exp", "all"], ["--mesh", "replica=2"], ["--memory", "1e9G"]]),
    st.text(max_size=10).filter(lambda text: text not in ("-h", "--help")).map(lambda text: [text]),
)  # fmt: skip


@fuzz(2)
@given(st.lists(ARGUMENTS, max_size=4))
def test_any_command_line(arguments):
    read([part for option in arguments for part in option])


@fuzz(2)
@given(st.data())
def test_any_manifest(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("manifest")
    if data.draw(st.booleans()):
        content = flipped(json.dumps(MANIFEST).encode(), data.draw(SEEDS))
    else:
        content = json.dumps(mutated(MANIFEST, lambda one: data.draw(one)), default=str).encode()
    (folder / "manifest.json").write_bytes(content)
    comparisons = [parse(name, CONFIGS[name]) for name in ("a", "b")]
    checked(lambda: check_replaced(folder, comparisons, {}))
    manifest = checked(lambda: report.read_manifest(folder))
    if manifest is not None:
        told = records(manifest, ["a", "b", "c"])
        assert len(targets_of(told)) == len(patterns_of(told)) == 3
        assert len([analysis.declared_in(told), *(titles_of(told, language) for language in LANGUAGES)]) == 3
        assert read_manifest(folder).keys() == manifest.keys()


def parquet(table):
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def kept():
    """Files of a small results folder by name."""
    tables = {name: table.head(40) for name, table in synthetic.tables("mine").items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(100.0), b=np.zeros((3, 4), np.float16))
    return {f"{name}.parquet": parquet(table) for name, table in tables.items()} | {"fields.npz": buffer.getvalue()}


@fuzz(2)
@given(number=st.integers(0, 99), seed=SEEDS)
def test_any_tables(tmp_path_factory, kept, number, seed):
    folder = tmp_path_factory.mktemp("tables")
    (folder / "tables").mkdir()
    broken = sorted(kept)[number % len(kept)]
    for name, content in kept.items():
        (folder / "tables" / name).write_bytes(flipped(content, seed) if name == broken else content)
    checked(lambda: report.read_tables(folder))
    checked(lambda: report.read_fields(folder))


@fuzz(0.2)
@given(st.data())
def test_tables_with_any_column_changed(data):
    tables = dict(synthetic.tables("mine"))
    name = data.draw(st.sampled_from(["replicas", "history"]))
    column = data.draw(st.sampled_from(list(tables[name])))
    values = data.draw(st.sampled_from([None, 1, "x", math.nan, "../../x", [1], True, 10**30, pd.NaT, b"x"]))
    tables[name] = tables[name].assign(**{column: pd.Series([values] * len(tables[name]), dtype=object)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_all", lambda *_, **__: {})
        checked(lambda: report.build(tables))


@fuzz(0.1)
@given(st.data())
def test_any_manifest_makes_a_report(data):
    made = mutated({"experiments": {"mine": MANIFEST["experiments"]["a"]}}, lambda one: data.draw(one))
    manifest = json.loads(json.dumps(made, default=str))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_all", lambda *_, **__: {})
        checked(lambda: report.build(synthetic.tables("mine"), {}, manifest))


@fuzz(4)
@given(st.data())
def test_any_idx_file(tmp_path_factory, data):
    payload = b"\0\0\x08\x03" + np.array([5, 4, 4], ">u4").tobytes() + bytes(80)
    kind = data.draw(st.sampled_from(["plain", "gzip", "any"]))
    content = payload if kind == "plain" else gzip.compress(payload)
    content = data.draw(st.binary(max_size=50)) if kind == "any" else flipped(content, data.draw(SEEDS))
    path = tmp_path_factory.mktemp("idx") / idx.NAMES[0]
    path.write_bytes(content)
    checked(lambda: idx.parse(idx.read_payload(path), path.name))
