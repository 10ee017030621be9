"""What is kept on disk: tiles, run state, publishing, merging."""

import contextlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from problems import comparison, programs

from jaxcompare.config.request import Request
from jaxcompare.execution import fingerprint, pipeline, run_folder, table_files, tile_cache
from jaxcompare.execution.replaced import check_replaced
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.system import publishing
from jaxcompare.system.files import write_atomically
from jaxcompare.system.manifest import damaged, read_manifest, write_manifest
from jaxcompare.system.strict_json import to_digested_json


def of_shape(shape, **base):
    """A program with tiles of a shape."""
    return replace(programs(comparison(**base))[0], shape=shape)


def test_a_tile_is_found_again_by_what_decides_it(tmp_path):
    kept, program = TileCache(tmp_path, "cpu"), of_shape((2, 8))
    first, second = program.tiles
    arrays = {"figures/loss": np.arange(6.0).reshape(1, 2, 3), "timing": np.asarray('{"a": 1}')}
    assert kept.get(first) is None
    kept.put(first, arrays)
    found = kept.get(first)
    np.testing.assert_array_equal(found["figures/loss"], arrays["figures/loss"])
    assert json.loads(str(found["timing"])) == {"a": 1}
    assert kept.get(of_shape((2, 8)).tiles[0]) is not None
    assert kept.get(second) is None
    assert kept.get(replace(first, program=of_shape((2, 4)))) is None
    other_data = program.material._replace(digest="other data")
    assert kept.get(replace(first, program=replace(program, material=other_data))) is None
    assert TileCache(tmp_path, "gpu").get(first) is None
    assert kept.get(of_shape((2, 8), epochs=3).tiles[0]) is None
    assert TileCache().get(first) is None


def test_tiles_of_other_versions_of_the_code_are_removed_when_asked(tmp_path, monkeypatch):
    tile = of_shape((2, 8)).tiles[0]
    monkeypatch.setattr(tile_cache, "code_digest", lambda: "older" * 10)
    old = TileCache(tmp_path, "cpu")
    old.put(tile, {"a": np.zeros(1)})
    monkeypatch.setattr(tile_cache, "code_digest", lambda: "newer" * 10)
    new = TileCache(tmp_path, "cpu")
    new.put(tile, {"a": np.ones(1)})
    assert old.get(tile) is not None
    new.prune()
    assert old.get(tile) is None
    assert new.get(tile) is not None
    new.clear()
    assert new.get(tile) is None


def test_a_study_with_more_seeds_finds_its_old_tiles(tmp_path):
    kept = TileCache(tmp_path, "cpu")
    kept.put(of_shape((1, 8)).tiles[0], {"a": np.zeros(1)})
    found = [kept.get(tile) is not None for tile in of_shape((1, 8), seeds=9).tiles]
    assert found == [True] + [False] * 8


def test_a_damaged_tile_is_none(tmp_path):
    kept, tile = TileCache(tmp_path, "cpu"), of_shape((3, 8)).tiles[0]
    kept.put(tile, {"a": np.arange(1000)})
    (path,) = kept.folder.glob("*.tile")
    path.write_bytes(path.read_bytes()[:500])
    assert kept.get(tile) is None
    kept.put(tile, {"a": np.arange(1000)})
    assert kept.get(tile)["a"].size == 1000


def begun(folder, run, command="command", *, force=False, complete=False):
    """Begin a run into a folder, and end it, as a process that is stopped or that finishes does."""
    with folder.claimed(run, force=force):
        folder.begin(run, command)
        if complete:
            folder.complete(run, command)


def test_unfinished_work_of_another_config_is_not_overwritten(tmp_path):
    folder = run_folder.RunFolder(tmp_path / "out")
    begun(folder, "one", "jaxcompare --exp a")
    begun(folder, "one", "jaxcompare --exp a")  # the same goes on
    with pytest.raises(run_folder.StoreError, match=r"unfinished work of another config.*--exp a"):
        begun(folder, "two", "jaxcompare --exp b")
    begun(folder, "two", "jaxcompare --exp b", force=True, complete=True)
    begun(folder, "three", "jaxcompare --exp c")  # finished work is no obstacle


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    first, second = run_folder.RunFolder(tmp_path), run_folder.RunFolder(tmp_path)
    with first.claimed("one"), pytest.raises(run_folder.StoreError, match="another run writes there now"):
        begun(second, "one")
    begun(second, "one")


def test_a_disk_that_is_nearly_full_is_refused_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3 * 2**20))
    out = tmp_path / "out"
    with pytest.raises(run_folder.StoreError, match="3 MiB are free on its disk"):
        begun(run_folder.RunFolder(out), "one")
    assert not out.exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_block_that_begins_nothing_leaves_nothing(tmp_path, there):
    out = tmp_path / "some" / "out"
    if there:
        out.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), run_folder.RunFolder(out).claimed("one"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == (["some", "out"] if there else [])


def test_a_folder_without_state_is_no_finished_run(tmp_path):
    folder = run_folder.RunFolder(tmp_path)
    write_manifest(tmp_path, OURS)  # as in a fresh clone
    assert not folder.is_complete("one")
    begun(folder, "one", complete=True)
    assert folder.is_complete("one")
    assert not folder.is_complete("two")


OURS = {"jaxcompare": "0.1.0", "experiments": {}}


@pytest.mark.parametrize("begin", [lambda folder: folder.state(), lambda folder: begun(folder, "x")])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("dangling", "dangling is a link to nothing"),
        ("dangling/out", "dangling is a link to nothing"),
        ("loop/out", "loop is a link to nothing"),
        ("file/out", "file is no folder"),
    ],
)
def test_a_path_that_cannot_be_a_folder_is_named(tmp_path, out, message, begin):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(run_folder.StoreError, match=message):
        begin(run_folder.RunFolder(tmp_path / out))


def test_a_folder_that_may_not_be_entered_is_no_traceback(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_symlink", refuse)
    with pytest.raises(run_folder.StoreError, match=r"out cannot be read: Permission denied$"):
        run_folder.RunFolder(tmp_path / "out").state()


def test_numbers_that_are_not_finite_are_no_json(tmp_path):
    base, levels = {"clip_norm": np.inf, "options": {"low": -np.inf}}, [{"clip_norm": [1.0, np.inf]}]
    study = {
        "name": "inf",
        "base": base,
        "grid": levels,
        "claims": [{"factor": "clip_norm", "better": 1.0, "than": np.inf}],
    }
    experiments = {"a": {"title": "inf", "config": {"title": "inf", "study": [study]}, "seconds": np.float32("nan")}}
    write_manifest(tmp_path, {**OURS, "experiments": experiments})
    text = (tmp_path / "manifest.json").read_text()
    assert not {"NaN", "Infinity"} & set(re.findall(r"\w+", text))
    experiments["a"]["seconds"] = None
    assert read_manifest(tmp_path)["experiments"] == experiments


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ([], "experiments = '\\[\\]' is not a table"),
        ({"a": None}, "experiments.a = 'None' is not a table"),
        ({"a": {"title": ["x"]}}, "experiments.a.title = .* is not a text"),
        ({"a": {"words": {"ko": {"title": 3}}}}, "experiments.a.words.ko.title = '3' is not a text"),
        ({"a": {"config": {"study": {"base": "inf"}}}}, "experiments.a.config.study = .* is not a list"),
        ({"a": {"config": {"study": [{"base": {}}]}}}, "experiments.a.config.study.1.name is missing"),
        ({"a": {"target": True}}, "experiments.a.target = 'True' is not a number"),
    ],
)
def test_a_manifest_with_another_form_is_an_error_that_names_the_place(tmp_path, damaged, message):
    write_manifest(tmp_path, {**OURS, "experiments": damaged})
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path)
    with pytest.raises(run_folder.StoreError, match=f"cannot be read .*{message}.*--force"):
        check_replaced(tmp_path, [], {})


def test_a_manifest_that_is_too_deep_is_an_error(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="too deep"):
        read_manifest(tmp_path)


def publish(folder, files, manifest=None, move=True):
    staging = publishing.fresh_staging(folder.out)
    for name, content in files.items():
        write_atomically(staging / name, content.encode())
    write_manifest(staging, manifest or OURS)
    if move:
        publishing.publish(folder.out)


def test_publishing_replaces_and_removes_its_own_files_only(tmp_path):
    folder = run_folder.RunFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    publish(folder, {"report.md": "old", "gone.png": "old", "tables/gone.csv": "old"})
    publish(folder, {"report.md": "new", "tables2/history.csv": "new"})
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "report.md", "tables2/history.csv", "manifest.json"}
    assert (tmp_path / "report.md").read_text() == "new"
    assert list(read_manifest(tmp_path)["files"]) == ["report.md", "tables2/history.csv"]


def test_a_manifest_cannot_remove_what_lies_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("mine")
    folder = run_folder.RunFolder(tmp_path / "out")
    publish(folder, {"a": "1"})
    manifest = read_manifest(folder.out)
    for files in (["../precious"], {"../precious": ""}):
        (folder.out / "manifest.json").write_text(to_digested_json({**manifest, "files": files}))
        publish(folder, {"a": "2"})
        assert (tmp_path / "precious").exists()


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events, synced, moved = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("sync") or synced(descriptor))
    monkeypatch.setattr(Path, "replace", lambda path, to: events.append(Path(to).name) or moved(path, to))
    write_atomically(tmp_path / "a", b"1")
    assert events == ["sync", "a"]
    staging = publishing.fresh_staging(tmp_path)
    write_manifest(staging, OURS)
    (staging / "b").write_bytes(b"2")  # a table, which NumPy or pandas writes
    write_manifest(staging, OURS)
    events.clear()
    publishing.publish(tmp_path)
    assert events.index("b") >= 2  # both files were synced before the first was moved
    assert set(events[: events.index("b")]) == {"sync"}


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ValueError("damaged")])
def test_a_manifest_that_cannot_be_read_while_publishing_loses_nothing(tmp_path, monkeypatch, error):
    folder = run_folder.RunFolder(tmp_path)
    publish(folder, {"a": "1", "tables/b": "1"})
    publish(folder, {"a": "2", "tables/b": "2"}, move=False)

    def fails(of):
        if of.name == "publishing":
            raise error
        return read_manifest(of)

    monkeypatch.setattr(publishing, "read_manifest", fails)
    with contextlib.suppress(OSError):
        publishing.publish(tmp_path)
    assert [(tmp_path / name).read_text() for name in ("a", "tables/b")] == ["1", "1"]
    assert not damaged(tmp_path, read_manifest(tmp_path))
    monkeypatch.undo()
    with publishing.alone(tmp_path):
        found = (tmp_path / "a").read_text()
    assert found == ("2" if isinstance(error, OSError) else "1")  # published later; or set aside
    publish(folder, {"a": "3"})
    assert (tmp_path / "a").read_text() == "3"


class KilledError(BaseException):
    """In place of a kill: nothing catches it."""


def test_a_kill_at_any_moment_of_publishing_leaves_the_old_results_or_the_new(tmp_path, monkeypatch):
    """Whoever comes next finds one or the other, whole: never a mixture."""
    contents = [{"a": "1", "tables/b": "1", "gone/c": "1"}, {"a": "2", "tables/b": "2", "new/d": "2"}]
    moved, calls, limit = Path.replace, [], 0

    def killed(path, target):
        if len(calls) == limit:
            raise KilledError
        calls.append(path)
        return moved(path, target)

    ends = []
    while not ends or ends[-1] is not None:
        folder = run_folder.RunFolder(tmp_path / str(limit))
        publish(folder, contents[0])
        publish(folder, contents[1], move=False)
        calls.clear()
        monkeypatch.setattr(Path, "replace", killed)
        monkeypatch.setattr(Path, "rename", killed)
        try:
            publishing.publish(folder.out)
            ends.append(None)
        except KilledError:
            ends.append(limit)
        monkeypatch.undo()
        with publishing.alone(folder.out):  # as the next run, or the report, does
            manifest = read_manifest(folder.out)
            assert not damaged(folder.out, manifest)
            found = {name: (folder.out / name).read_text() for name in manifest["files"]}
            assert found == contents[limit > 0]
            assert not (folder.out / "gone").exists() or limit == 0
        limit += 1
    assert len(ends) == 6  # the folder, three files, the manifest; then nothing was left to do


def flipped(path, generator):
    """Flip one random bit of a file."""
    content = bytearray(path.read_bytes())
    content[generator.integers(len(content))] ^= 1 << generator.integers(8)
    path.write_bytes(content)


def test_a_flipped_bit_of_a_manifest_is_noticed(tmp_path):
    folder, generator = run_folder.RunFolder(tmp_path), np.random.default_rng(0)
    publish(folder, {"a": "1"}, OURS | {"experiments": {"a": {"config": {"study": []}, "target": 0.9}}})
    whole, expected = (tmp_path / "manifest.json").read_bytes(), read_manifest(tmp_path)
    for _ in range(300):
        flipped(tmp_path / "manifest.json", generator)
        try:
            assert read_manifest(tmp_path) == expected  # a space that became another: nothing was lost
        except ValueError:
            with pytest.raises(run_folder.StoreError, match=r"manifest\.json"):
                begun(folder, "one")
        (tmp_path / "manifest.json").write_bytes(whole)


def test_results_whose_manifest_is_gone_are_not_taken_for_an_empty_folder(tmp_path):
    folder = run_folder.RunFolder(tmp_path)
    publish(folder, {"tables/a": "1"})
    begun(folder, "one", complete=True)
    (tmp_path / "manifest.json").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(run_folder.StoreError, match=r"manifest\.json is gone"):
        begun(folder, "two")
    assert {path: path.read_bytes() for path in before} == before
    begun(folder, "two", force=True)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: flipped(path, np.random.default_rng(0))])
def test_complete_is_what_is_whole(tmp_path, harm, caplog):
    folder = run_folder.RunFolder(tmp_path)
    publish(folder, {"report.md": "some words", "tables/a": "numbers"})
    begun(folder, "one", complete=True)
    assert folder.is_complete("one")
    harm(tmp_path / "tables" / "a")
    assert not folder.is_complete("one")
    begun(folder, "one")
    assert "tables/a is" in caplog.text


def test_a_damaged_state_is_set_aside_and_the_run_begins_anew(tmp_path, caplog):
    folder, generator = run_folder.RunFolder(tmp_path), np.random.default_rng(0)
    for _ in range(20):
        begun(folder, "one", complete=True)
        before = folder.state()
        flipped(folder.state_path, generator)
        if folder.state() != before:
            assert not folder.is_complete("one")
            begun(folder, "two", complete=True)
            assert (folder.run / "state.json.damaged").is_file()
    assert "set aside" in caplog.text


def test_tables_come_back_as_they_were(tmp_path):
    frame = pd.DataFrame({"replica_id": ["a", "b"], "counts": [[1, 2], [3, 4]], "x": [0.1, np.nan]})
    table_files.write_tables(tmp_path, {"replicas": frame}, {"moons/x": np.arange(3.0)})
    found = pd.read_parquet(tmp_path / "replicas.parquet")
    assert [list(counts) for counts in found["counts"]] == [[1, 2], [3, 4]]
    np.testing.assert_array_equal(found["x"], frame["x"])
    assert not list(tmp_path.glob("*.csv"))  # bulk tables are Parquet alone
    table_files.write_tables(tmp_path, {"replicas": frame}, {}, every_csv=True)
    assert (tmp_path / "replicas.csv").read_text().splitlines()[1] == "a,1 2,0.1"
    table_files.write_tables(tmp_path, {"history": frame}, {})
    assert (tmp_path / "history.csv").is_file()
    with np.load(tmp_path / "fields.npz") as fields:
        np.testing.assert_array_equal(fields["moons/x"], np.arange(3.0))


def test_merging_keeps_the_other_comparisons():
    def tables(experiment, accuracy):
        ids = [f"{experiment}-{i}" for i in range(2)]
        return {
            "replicas": pd.DataFrame({"replica_id": ids, "experiment": experiment}),
            "history": pd.DataFrame({"replica_id": ids, "accuracy": accuracy}),
            "timing": pd.DataFrame({"experiment": [experiment], "wall_seconds": [1.0]}),
        }

    old = {name: pd.concat([frame, tables("b", 0.2)[name]]) for name, frame in tables("a", 0.1).items()}
    merged = table_files.merge(old, tables("b", 0.9))
    assert list(merged["replicas"]["replica_id"]) == ["a-0", "a-1", "b-0", "b-1"]
    assert list(merged["history"]["accuracy"]) == [0.1, 0.1, 0.9, 0.9]
    assert list(merged["timing"]["experiment"]) == ["a", "b"]


NUMERIC = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_default_matmul_precision": "bfloat16",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 1,
    "jax_numpy_dtype_promotion": "strict",
}


@pytest.mark.parametrize("name", NUMERIC)
def test_what_jax_is_told_that_changes_numbers_is_in_a_tiles_name_and_a_runs(tmp_path, name):
    tile, request = of_shape((2, 8)).tiles[0], Request(out=tmp_path)
    made = [comparison()]
    TileCache(tmp_path, "cpu").put(tile, {"a": np.zeros(1)})
    run, before = pipeline._run_digest(made, request, {}), jax.config.values[name]
    jax.config.update(name, NUMERIC[name])
    try:
        assert TileCache(tmp_path, "cpu").get(tile) is None
        assert pipeline._run_digest(made, request, {}) != run
        assert str(NUMERIC[name]).lower() in fingerprint.flags()[name.removeprefix("jax_")].lower()
    finally:
        jax.config.update(name, before)
    assert TileCache(tmp_path, "cpu").get(tile) is not None
    assert pipeline._run_digest(made, request, {}) == run


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ("--xla_cpu_enable_fast_math=true", False),
        ("--xla_force_host_platform_device_count=3", True),
        ("--xla_dump_to=somewhere", True),
    ],
)
def test_xlas_flags_are_in_a_tiles_name_where_they_change_numbers(tmp_path, monkeypatch, told, same):
    tile = of_shape((2, 8)).tiles[0]
    monkeypatch.setenv("XLA_FLAGS", "")
    TileCache(tmp_path, "cpu").put(tile, {"a": np.zeros(1)})
    monkeypatch.setenv("XLA_FLAGS", told)
    assert (TileCache(tmp_path, "cpu").get(tile) is not None) == same
