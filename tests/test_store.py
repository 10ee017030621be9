"""What is kept on disk: tiles, run state, publishing, merging."""

import json

import numpy as np
import pandas as pd
import pytest
from problems import comparison

from jaxcompare.execution import store
from jaxcompare.planning.programs import programs_of, tiles_of
from jaxcompare.system.files import write_atomically


@pytest.fixture
def program():
    return programs_of(comparison())[0]


def test_a_tile_is_found_again_by_what_decides_it(tmp_path, program):
    kept = store.TileStore(tmp_path, "cpu")
    first, second = tiles_of(program, (2, 8))
    arrays = {"figures/loss": np.arange(6.0).reshape(1, 2, 3), "timing": np.asarray('{"a": 1}')}
    kept.put(program, first, (2, 8), "data", arrays)
    found = kept.get(program, first, (2, 8), "data")
    np.testing.assert_array_equal(found["figures/loss"], arrays["figures/loss"])
    assert json.loads(str(found["timing"])) == {"a": 1}
    assert kept.get(program, second, (2, 8), "data") is None
    assert kept.get(program, first, (2, 4), "data") is None
    assert kept.get(program, first, (2, 8), "other data") is None
    assert store.TileStore(tmp_path, "gpu").get(program, first, (2, 8), "data") is None
    other = programs_of(comparison(epochs=3))[0]
    assert kept.get(other, tiles_of(other, (2, 8))[0], (2, 8), "data") is None


def test_tiles_of_other_versions_of_the_code_are_removed_when_asked(tmp_path, program, monkeypatch):
    tile = tiles_of(program, (2, 8))[0]
    monkeypatch.setattr(store, "code_digest", lambda: "older" * 10)
    old = store.TileStore(tmp_path, "cpu")
    old.put(program, tile, (2, 8), "data", {"a": np.zeros(1)})
    monkeypatch.setattr(store, "code_digest", lambda: "newer" * 10)
    new = store.TileStore(tmp_path, "cpu")
    new.put(program, tile, (2, 8), "data", {"a": np.ones(1)})
    assert old.get(program, tile, (2, 8), "data") is not None
    new.prune()
    assert old.get(program, tile, (2, 8), "data") is None
    assert new.get(program, tile, (2, 8), "data") is not None


def test_a_study_with_more_seeds_finds_its_old_tiles(tmp_path, program):
    kept = store.TileStore(tmp_path, "cpu")
    kept.put(program, tiles_of(program, (1, 8))[0], (1, 8), "data", {"a": np.zeros(1)})
    more = programs_of(comparison(seeds=9))[0]
    found = [kept.get(more, tile, (1, 8), "data") is not None for tile in tiles_of(more, (1, 8))]
    assert found == [True] + [False] * 8


def test_a_damaged_tile_is_none(tmp_path, program):
    kept, tile = store.TileStore(tmp_path, "cpu"), tiles_of(program, (3, 8))[0]
    kept.put(program, tile, (3, 8), "data", {"a": np.arange(1000)})
    (path,) = kept.folder.glob("*.npz")
    path.write_bytes(path.read_bytes()[:500])
    assert kept.get(program, tile, (3, 8), "data") is None
    kept.put(program, tile, (3, 8), "data", {"a": np.arange(1000)})
    assert kept.get(program, tile, (3, 8), "data")["a"].size == 1000


def test_unfinished_work_of_another_config_is_not_overwritten(tmp_path):
    folder = store.RunFolder(tmp_path / "out")
    folder.begin("one", "jaxcompare --exp a")
    folder.begin("one", "jaxcompare --exp a")  # the same goes on
    with pytest.raises(store.StoreError, match=r"unfinished work of another config.*--exp a"):
        folder.begin("two", "jaxcompare --exp b")
    folder.begin("two", "jaxcompare --exp b", force=True)
    folder.complete("two", "jaxcompare --exp b")
    folder.begin("three", "jaxcompare --exp c")  # finished work is no obstacle


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    first, second = store.RunFolder(tmp_path), store.RunFolder(tmp_path)
    first.begin("one", "command")
    with pytest.raises(store.StoreError, match="another run writes there now"):
        second.begin("one", "command")
    first.complete("one", "command")
    second.begin("one", "command")


def test_a_folder_without_state_is_no_finished_run(tmp_path):
    folder = store.RunFolder(tmp_path)
    store.write_manifest(tmp_path, OURS)  # as in a fresh clone
    assert not folder.is_complete("one")
    folder.begin("one", "command")
    folder.complete("one", "command")
    assert folder.is_complete("one")
    assert not folder.is_complete("two")


OURS = {"jaxcompare": "0.1.0", "experiments": {}}


def publish(folder, files, manifest=None):
    staging = folder.fresh_staging()
    for name, content in files.items():
        write_atomically(staging / name, content.encode())
    store.write_manifest(staging, manifest or OURS)
    folder.publish()


def test_publishing_replaces_and_removes_its_own_files_only(tmp_path):
    folder = store.RunFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    publish(folder, {"report.md": "old", "gone.png": "old", "tables/gone.csv": "old"})
    publish(folder, {"report.md": "new", "tables2/history.csv": "new"})
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "report.md", "tables2/history.csv", "manifest.json"}
    assert (tmp_path / "report.md").read_text() == "new"
    assert store.read_manifest(tmp_path)["files"] == ["report.md", "tables2/history.csv", "manifest.json"]


def test_a_manifest_cannot_remove_what_lies_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("mine")
    folder = store.RunFolder(tmp_path / "out")
    publish(folder, {"a": "1"})
    manifest = store.read_manifest(folder.out)
    (folder.out / "manifest.json").write_text(json.dumps({**manifest, "files": ["../precious"]}))
    publish(folder, {"a": "2"})
    assert (tmp_path / "precious").exists()


def test_tables_come_back_as_they_were(tmp_path):
    frame = pd.DataFrame({"replica_id": ["a", "b"], "counts": [[1, 2], [3, 4]], "x": [0.1, np.nan]})
    store.write_tables(tmp_path, {"replicas": frame}, {"moons/x": np.arange(3.0)})
    found = pd.read_parquet(tmp_path / "replicas.parquet")
    assert [list(counts) for counts in found["counts"]] == [[1, 2], [3, 4]]
    np.testing.assert_array_equal(found["x"], frame["x"])
    assert (tmp_path / "replicas.csv").read_text().splitlines()[1] == "a,1 2,0.1"
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
    merged = store.merge(old, tables("b", 0.9))
    assert list(merged["replicas"]["replica_id"]) == ["a-0", "a-1", "b-0", "b-1"]
    assert list(merged["history"]["accuracy"]) == [0.1, 0.1, 0.9, 0.9]
    assert list(merged["timing"]["experiment"]) == ["a", "b"]
