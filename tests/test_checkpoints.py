"""Checkpoints of tiles in work: training that goes on from one ends with the same bits, wherever it goes on."""

import jax
import numpy as np
import pandas as pd
import pytest
from problems import comparison, programs, resources, train, trained_tiles

from jaxcompare.config import names
from jaxcompare.engine import sweep
from jaxcompare.execution import checkpoints, training
from jaxcompare.execution.places import local_places
from jaxcompare.execution.tile_cache import TileCache
from jaxcompare.execution.training import SILENT

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def at_every_segment(monkeypatch):
    """A checkpoint at every segment's end, and segments of three steps."""
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", float("inf"))
    original = sweep.train_tile
    monkeypatch.setattr(sweep, "train_tile", lambda *given, **options: original(*given, **options, segment_steps=3))


def tiny(**base):
    made = comparison({"learning_rate": [0.1, 0.3]}, seeds=2, hidden=[8], epochs=3, **base)
    return made, programs(made)


class StopError(Exception):
    """In place of a kill."""


def stop_after(steps):
    """A callback that ends a run once a tile has made some steps."""
    done = {}

    def trained(name, seconds, kept):
        done[name] = done.get(name, 0) + (seconds > 0 and not kept)
        if done[name] > steps // 3:
            raise StopError

    return SILENT._replace(trained=trained)


@pytest.mark.parametrize("precision", names.PRECISIONS)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_a_tile_that_goes_on_from_a_checkpoint_ends_with_the_same_bits(
    precision, optimizer, tmp_path, at_every_segment, monkeypatch
):
    made, planned = tiny(precision=precision, optimizer=optimizer)
    expected = train(made, planned, places=local_places(1)).frames
    tiles = TileCache(tmp_path)
    for places, steps in ((1, 3), (2, 12)):  # an epoch has eight steps; a stopped tile goes on, and is stopped again
        with pytest.raises(StopError):
            train(made, planned, stop_after(steps), places=local_places(places), tiles=tiles)
    assert list(tiles.folder.glob("*.checkpoint*"))
    begun, original = [], sweep.make_window
    monkeypatch.setattr(
        sweep, "make_window", lambda *given, **options: begun.append(given) or original(*given, **options)
    )
    found = train(made, planned, places=local_places(2), tiles=tiles).frames
    steps = sum(stop - start for start, stop, *_ in begun)
    assert 0 < steps <= sum(len(program.tiles) * program.total_steps for program in planned) - 6
    assert not list(tiles.folder.glob("*.checkpoint*"))
    for name in expected.keys() - {"timing"}:
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)


def test_the_time_before_a_checkpoint_counts(tmp_path, at_every_segment):
    made, planned = tiny()
    tiles = TileCache(tmp_path)
    with pytest.raises(StopError):
        train(made, planned, stop_after(12), places=local_places(1), tiles=tiles)
    for program in planned:
        for tile in program.tiles:
            if (content := tiles.checkpoint(tile)) is not None:
                found, _ = checkpoints.from_bytes(content)
                tiles.put_checkpoint(tile, checkpoints.to_bytes(found, 1000.0))
                tiles.put_checkpoint(tile, checkpoints.to_bytes(found, 1000.0))
    timing = train(made, planned, places=local_places(1), tiles=tiles).frames["timing"]
    assert timing["wall_seconds"].max() > 1000


def test_the_older_of_two_checkpoints_serves_where_the_newer_is_damaged(tmp_path, caplog):
    (tile, *_) = tiny()[1][0].tiles
    tiles = TileCache(tmp_path)
    assert tiles.checkpoint(tile) is None
    for content in (b"first", b"second", b"third"):
        tiles.put_checkpoint(tile, content)
        assert tiles.checkpoint(tile) == content
    paths = sorted(tiles.folder.glob("*.checkpoint*"), key=lambda path: path.stat().st_mtime_ns)
    assert len(paths) == 2
    whole = paths[1].read_bytes()
    for place in range(len(whole)):
        paths[1].write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert tiles.checkpoint(tile) == b"second"
        assert "set aside" in caplog.text
    paths[0].write_bytes(b"")
    assert tiles.checkpoint(tile) is None
    tiles.prune()
    assert not list(tiles.folder.iterdir())


def test_a_checkpoint_is_what_it_was_after_bytes(monkeypatch):
    generator = np.random.default_rng(0)
    carry = [np.asarray(generator.normal(size=(2, 3, 4)), kind) for kind in ("float32", "bfloat16", "float16", "int32")]
    carry += [np.zeros((2, 3, 0), "float32"), np.asarray([[1, 2]], "int32")]
    measured = {
        "figures": {"loss": generator.normal(size=(2, 3, 5))},
        "layers": {"norm of it": np.full((2, 3, 1, 5), np.nan)},
    }
    made = sweep.Checkpoint(7, [jax.numpy.asarray(leaf) for leaf in carry], measured)
    made = made._replace(carry=[np.asarray(leaf) for leaf in made.carry])
    found, seconds = checkpoints.from_bytes(checkpoints.to_bytes(made, 1.5))
    assert (found.steps, seconds) == (7, 1.5)
    for there, expected in zip(jax.tree.leaves(found), jax.tree.leaves(made), strict=True):
        assert np.asarray(there).dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(there, expected)
    content = checkpoints.to_bytes(made, 1.5)
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    with pytest.raises(ValueError, match="format 1, not 2"):
        checkpoints.from_bytes(content)


def test_checkpoints_cost_a_small_share_of_the_time(monkeypatch):
    """A clock that only the work moves: each segment takes 20 s, each checkpoint 3 s."""
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: now[0])
    kept = []

    def make():
        now[0] += 3.0
        return sweep.Checkpoint(0, [], {})

    keeper = checkpoints.Keeper(kept.append)
    for _ in range(200):
        now[0] += 20.0
        keeper(make)
    assert 0.02 < 3.0 * len(kept) / now[0] <= 0.03
    quick = checkpoints.Keeper(kept.append, stopping=lambda: True)
    before = len(kept)
    quick(make)
    assert len(kept) == before + 1


def test_without_a_folder_nothing_is_copied(monkeypatch, at_every_segment):
    monkeypatch.setattr(sweep, "_checkpoint", lambda *_: pytest.fail("copied"))
    program = tiny()[1][0]
    assert trained_tiles(program, resources(local_places(1)))
    assert training.checkpoints is checkpoints
