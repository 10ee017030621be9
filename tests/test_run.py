"""The command line from end to end, on the smallest comparison there is."""

import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from problems import dots, quickly_compiled

from jaxcompare import report, run
from jaxcompare.config.parse import parse
from jaxcompare.engine import sweep
from jaxcompare.execution import training
from jaxcompare.execution.run_folder import RunFolder
from jaxcompare.planning import memory
from jaxcompare.report.__main__ import main as remake

CONFIG = """
title = "Tiny"
question = "Does it run?"
target = 0.8
[base]
hidden = [8, 8]
samples = 300
test_samples = 100
batch_size = 32
epochs = 2
seeds = 2
snapshots = 2
[[study]]
name = "main"
[study.grid]
dataset = ["moons", "circles"]
optimizer = ["sgd", "momentum"]
learning_rate = [0.1, 0.3]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """What is tested here is what becomes of numbers, not how fast they come."""
    with quickly_compiled():
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, quick_compilation):
    """The results of the comparison, whole; for tests that change them there is `out`."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "tiny.toml"
    path.write_text(CONFIG)
    assert command("--exp", path, "--out", folder / "out", whole=True) == 0
    return folder / "out"


@pytest.fixture
def out(finished, tmp_path):
    """A copy of the finished results."""
    return shutil.copytree(finished, tmp_path / "out")


def command(*arguments, whole=False):
    """The command's exit code. What is written is whole, or else in one language and with dots for pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "jaxcompare.execution.pipeline.usable_cores", lambda: 1
        )  # drawn here, not by processes that must start first
        if not whole:
            patch.setattr("jaxcompare.report.draw_all", dots)
            arguments = (*arguments, "--lang", "en")
        return run.main([str(argument) for argument in arguments])


def tables(out):
    return {path.stem: pd.read_parquet(path) for path in (out / "tables").glob("*.parquet")}


def test_a_run_writes_everything_and_the_second_trains_nothing(config, out, capsys, monkeypatch):
    found = tables(out)
    measured = {"replicas", "history", "layers", "units", "histograms", "timing"}
    assert set(found) == measured | {"summary", "claims", "effects", "sensitivity", "trials"}
    as_csv = {path.stem for path in (out / "tables").glob("*.csv")}
    assert as_csv == {"summary", "claims", "history"}  # the bulk tables are Parquet alone
    assert len(found["replicas"]) == 16
    assert len(found["history"]) == 16 * 3
    assert found["history"].query("epoch == 0")["train_loss"].isna().all()
    assert found["history"].query("epoch > 0")["train_loss"].notna().all()
    assert len(found["layers"]) == 16 * 3 * 3
    assert found["layers"].query("layer == 'output'")["dead_fraction"].isna().all()
    assert len(found["units"]) == 16 * 2 * 2
    assert (found["units"]["dead"].str.len() == 8).all()
    histograms = found["histograms"]
    counted = histograms["counts"].map(sum) + histograms["below"] + histograms["above"]
    entries = {"hidden_1": 2 * 8 + 8, "hidden_2": 8 * 8 + 8, "output": 8 * 2 + 2}
    gradient = histograms["kind"] == "gradient"
    assert (counted[~gradient] == 270 * 8).all()  # every unit for every probe example
    assert (counted[gradient] == histograms.loc[gradient, "layer"].map(entries)).all()  # every parameter's
    assert list(found["summary"]["n"]) == [2] * 8
    with np.load(out / "tables" / "fields.npz") as fields:
        assert len(fields) == 16 + 2 * 8 + 2 * 4  # of replicas and of variants; axes and points of two data sets
        variant, seeds = found["summary"]["variant_id"][0], found["replicas"]
        mean = np.mean(
            [fields[one] for one in seeds["replica_id"][seeds["variant_id"] == variant]], axis=0, dtype=float
        )
        assert fields[f"{variant}/mean"].shape == (len(fields[f"{variant}/epochs"]), *mean.shape)
        np.testing.assert_allclose(fields[f"{variant}/mean"][-1], mean, atol=1e-3)  # float16
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["experiments"]["tiny"]["versions"]["jax"]
    for name in manifest["files"]:
        assert (out / name).is_file()
    report = (out / "report.html").read_text()
    assert "Does it run?" in report

    monkeypatch.setattr(sweep, "lowered", lambda *_, **__: pytest.fail("compiled"))
    assert command("--exp", config, "--out", out, whole=True) == 0
    assert "complete already" in capsys.readouterr().out


def test_a_stopped_run_goes_on_and_ends_equal(config, finished, tmp_path, monkeypatch, capsys):
    stopped, done = tmp_path / "stopped", []

    def stop_after_a_tile(*arguments, **options):
        if done:
            raise KeyboardInterrupt
        found = original(*arguments, **options)
        done.append(True)
        return found

    original = sweep.train_tile
    monkeypatch.setattr(sweep, "train_tile", stop_after_a_tile)
    assert command("--exp", config, "--out", stopped) == 130
    assert "goes on from there" in capsys.readouterr().err
    assert not (stopped / "report.md").exists()
    monkeypatch.setattr(sweep, "train_tile", original)

    assert command("--exp", config, "--out", stopped, "--set", "base.epochs=1") == 2
    assert "unfinished work of another config" in capsys.readouterr().err
    trained = []
    monkeypatch.setattr(
        sweep, "train_tile", lambda *a, train=sweep.train_tile, **k: (trained.append(1), train(*a, **k))[1]
    )
    assert command("--exp", config, "--out", stopped) == 0
    first, second = tables(finished), tables(stopped)
    assert 0 < len(trained) < len(first["timing"])
    for name in set(first) - {"timing"}:
        pd.testing.assert_frame_equal(first[name], second[name], check_exact=True)


def test_more_seeds_train_only_the_new_ones(config, tmp_path, monkeypatch):
    config.write_text(CONFIG.replace('"circles"', "").replace('["sgd", "momentum"]', '["sgd"]'))
    many = "study.main.grid.learning_rate=[0.1,0.2,0.3,0.4,0.5,0.6,0.7]"
    trained = []

    def train_tile(compiled, data, replicas, **options):
        trained.append(replicas.seeds.tolist())
        return original(compiled, data, replicas, **options)

    original = sweep.train_tile
    monkeypatch.setattr(sweep, "train_tile", train_tile)
    out = tmp_path / "out"
    assert command("--exp", config, "--out", out, "--set", many, "--seeds", 1) == 0
    before = tables(out)["history"]
    assert command("--exp", config, "--out", out, "--set", many, "--seeds", 3) == 0
    after = tables(out)["history"]
    assert sorted(map(tuple, trained)) == [(0,)] * 2 + [(1,)] * 2 + [(2,)] * 2
    assert len(after) == 3 * len(before)
    old = after[after["replica_id"].isin(before["replica_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before, check_exact=True)


def test_another_comparison_is_added_beside_the_first(out, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(CONFIG.replace('["moons", "circles"]', '["moons"]').replace('["sgd", "momentum"]', '["sgd"]'))
    assert command("--exp", other, "--out", out) == 0
    found = tables(out)
    assert set(found["replicas"]["experiment"]) == {"tiny", "other"}
    assert len(found["summary"]) == 8 + 2
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["experiments"]) == {"tiny", "other"}
    assert (out / "config" / "config_other.toml").is_file()


def test_what_another_run_published_in_the_meantime_is_kept(out, tmp_path, monkeypatch):
    """The folder is read once it is locked, not before: else the slower of two runs replaces what the faster one wrote."""
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    for path in (first, second):
        path.write_text(PLAIN)
    claimed, ran = RunFolder.claimed, []

    def late(folder, *arguments, **options):
        if not ran:
            ran.append(second)
            assert command("--exp", second, "--out", out) == 0
        return claimed(folder, *arguments, **options)

    monkeypatch.setattr(RunFolder, "claimed", late)
    assert command("--exp", first, "--out", out) == 0
    assert set(tables(out)["replicas"]["experiment"]) == {"tiny", "first", "second"}


@pytest.mark.parametrize("harmed", ["manifest.json", "tables/history.parquet", "tables/fields.npz"])
@pytest.mark.parametrize("gone", [True, False])
def test_results_that_are_damaged_are_neither_used_nor_dropped(out, tmp_path, capsys, harmed, gone):
    (tmp_path / "other.toml").write_text(PLAIN)
    content = (out / harmed).read_bytes()
    if gone:
        (out / harmed).unlink()
    else:
        (out / harmed).write_bytes(content.replace(b"tiny", b"tinz", 1)[:-1] + b"?")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert command("--exp", tmp_path / "other.toml", "--out", out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert Path(harmed).name in line
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("harmed", ["tables/history.parquet", "report.md"])
def test_what_is_missing_is_published_again_without_training(config, out, harmed, capsys, monkeypatch):
    whole = (out / harmed).read_bytes()
    (out / harmed).unlink()
    monkeypatch.setattr(sweep, "lowered", lambda *_, **__: pytest.fail("compiled"))
    assert command("--exp", config, "--out", out) == 0
    assert f"{harmed} is missing, and is made again" in capsys.readouterr().err
    assert (out / harmed).read_bytes() == whole or harmed == "report.md"  # in which the time of the run is another one


def failing(number, monkeypatch, folder):
    """Let the `number`th write to the disk fail, as on a disk that is full; return the list of calls."""
    calls, synced = [], os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) >= number:
            raise OSError(errno.ENOSPC, "No space left on device")
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_a_disk_that_is_full_is_one_line_and_the_run_goes_on_later(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.toml").write_text(PLAIN)
    reference = tmp_path / "reference"
    calls = failing(math.inf, monkeypatch, reference)
    assert command("--exp", tmp_path / "tiny.toml", "--out", reference) == 0
    expected, every = tables(reference), len(calls)
    capsys.readouterr()
    for number in {1, every // 2, every}:
        monkeypatch.undo()
        out = tmp_path / str(number)
        failing(number, monkeypatch, out)
        assert command("--exp", tmp_path / "tiny.toml", "--out", out) == 2, number
        said = capsys.readouterr().err.splitlines()
        assert "No space left on device" in said[-1]
        assert not [line for line in said if "Traceback" in line]
        monkeypatch.undo()
        assert command("--exp", tmp_path / "tiny.toml", "--out", out) == 0, number
        capsys.readouterr()
        for name in expected.keys() - {"timing"}:
            pd.testing.assert_frame_equal(tables(out)[name], expected[name], check_exact=True)


@pytest.mark.parametrize("moment", ["build", "write"])
def test_results_that_are_removed_while_a_run_goes_on_are_no_success(tmp_path, capsys, monkeypatch, moment):
    (tmp_path / "tiny.toml").write_text(PLAIN)
    out, original = tmp_path / "out", getattr(report, moment)

    def removed(*given, **options):
        found = original(*given, **options)
        shutil.rmtree(out)
        return found

    monkeypatch.setattr(report, moment, removed)
    code = command("--exp", tmp_path / "tiny.toml", "--out", out)
    assert "Traceback" not in capsys.readouterr().err
    assert code == 2 or {"replicas", "history", "summary"} <= set(tables(out))
    monkeypatch.undo()
    assert command("--exp", tmp_path / "tiny.toml", "--out", out) == 0
    assert {"replicas", "history", "summary"} <= set(tables(out))


def test_every_json_is_strict_and_an_infinity_comes_back(finished, tmp_path):
    def refuse(constant):
        raise ValueError(constant)

    out = shutil.copytree(finished, tmp_path / "out")
    held = [json.loads(path.read_text(), parse_constant=refuse) for path in out.rglob("*.json")]
    assert len(held) >= 4  # manifest, findings, state, tiles
    config = json.loads((out / "manifest.json").read_text())["experiments"]["tiny"]["config"]
    assert config["study"][0]["base"]["clip_norm"] == "inf"
    toml = tomllib.loads((out / "config" / "config_tiny.toml").read_text())
    again, same = ([one.settings for one in parse("tiny", each).studies[0].variants] for each in (config, toml))
    assert again == same
    assert again[0].clip_norm == math.inf

    other = tmp_path / "other.toml"
    other.write_text(PLAIN)
    assert command("--exp", other, "--out", out, "--epochs", 1) == 0
    assert tomllib.loads((out / "config" / "config_tiny.toml").read_text()) == toml  # written from the manifest


def test_a_resolved_config_trains_the_same(finished, tmp_path):
    second = tmp_path / "second"
    assert command("--exp", finished / "config" / "config_tiny.toml", "--out", second) == 0
    columns = ["epoch", "test_loss", "train_loss", "validation_accuracy"]
    pd.testing.assert_frame_equal(
        tables(finished)["history"][columns], tables(second)["history"][columns], check_exact=True
    )


PLAIN = CONFIG.replace('"circles"', "").replace('["sgd", "momentum"]', '["sgd"]')


def test_tables_are_published_whatever_becomes_of_the_report(tmp_path, monkeypatch, capsys):
    def spilt(*_, **__):
        raise MemoryError("no room for ink")

    (tmp_path / "tiny.toml").write_text(PLAIN)
    monkeypatch.setattr("jaxcompare.report.build", spilt)
    out = tmp_path / "out"
    assert command("--exp", tmp_path / "tiny.toml", "--out", out) == 1
    said = capsys.readouterr()
    assert "the report could not be made (MemoryError: no room for ink); the tables are there" in said.err
    assert said.out == f"done: {out}\n"
    assert {"replicas", "history", "summary", "claims"} <= set(tables(out))
    files = json.loads((out / "manifest.json").read_text())["files"]
    assert {"config/config_tiny.toml", "tables/replicas.parquet"} <= set(files)
    monkeypatch.undo()
    assert remake([str(out), "--workers", "1", "--lang", "en"]) == 0


def test_a_function_that_was_edited_is_another_one(tmp_path):
    """A run with a plug-in that was changed since trains anew; nothing of the old one is left."""
    path, module, out = tmp_path / "own.toml", tmp_path / "edited_since.py", tmp_path / "out"
    path.write_text(PLAIN.replace("[base]", '[base]\nactivation = "edited_since:square"'))
    module.write_text("def square(x):\n    return x * x\n")
    assert command("--exp", path, "--out", out) == 0
    first = tables(out)["history"]["test_loss"]
    module.write_text("def square(x):\n    return 0.5 * x * x  # edited\n")
    assert command("--exp", path, "--out", out) == 0
    assert (tables(out)["history"]["test_loss"] != first).any()


def test_without_a_validation_split_everything_is_written(tmp_path):
    path, out = tmp_path / "own.toml", tmp_path / "out"
    path.write_text(PLAIN.replace("[base]", "[base]\nvalidation_fraction = 0"))
    assert command("--exp", path, "--out", out, "--lang", "en", whole=True) == 0
    summary = tables(out)["summary"]
    assert summary["validation_accuracy_mean"].isna().all()
    assert summary["test_accuracy_mean"].notna().all()


def test_options_reach_a_schedule_of_ones_own(tmp_path):
    path, out = tmp_path / "own.toml", tmp_path / "out"
    (tmp_path / "own_schedule.py").write_text(
        "def fade(progress, *, final_factor):\n    return final_factor + 0 * progress\n"
    )
    text = PLAIN.replace("[base]", '[base]\nschedule = "own_schedule:fade"')
    path.write_text(text.replace("learning_rate = [0.1, 0.3]", "final_factor = [0.0, 1.0]"))
    assert command("--exp", path, "--out", out) == 0
    found = tables(out)["layers"].merge(tables(out)["replicas"][["replica_id", "final_factor"]], on="replica_id")
    assert (found.query("final_factor == 0.0")["update_ratio"] == 0.0).all()
    assert (found.query("final_factor == 1.0")["update_ratio"] > 0.0).all()
    path.write_text(path.read_text().replace("final_factor", "step_factor").replace("0.0, 1.0", "0.5, 1.0"))
    assert command("--exp", path, "--out", tmp_path / "other") == 2


def test_a_folder_with_files_of_others_is_left_alone(config, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    (out / "manifest.json").write_text('{"files": ["precious.txt"]}')
    assert command("--exp", config, "--out", out) == 2
    assert "holds files that no run wrote" in capsys.readouterr().err
    assert command("--exp", config, "--out", out, "--force") == 0
    assert (out / "precious.txt").read_text() == "mine"


def test_another_file_of_the_same_stem_does_not_replace_the_results(out, tmp_path, capsys):
    other = tmp_path / "tiny.toml"
    other.write_text(CONFIG.replace("Tiny", "Another"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert command("--exp", other, "--out", out) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("named 'tiny'", "the title 'Tiny', here 'Another'", "--force", "--exp "))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    other.write_text(CONFIG.replace('"sgd", "momentum"', '"sgd", "momentum", "adam"'))
    assert command("--exp", other, "--out", out) == 0
    assert set(tables(out)["replicas"]["optimizer"]) == {"sgd", "momentum", "adam"}


def test_a_second_comparison_in_one_command_is_an_error(config, tmp_path, capsys):
    for values in ((config, config), ("all", config), (config, "all")):
        with pytest.raises(SystemExit) as exit_:
            run.main([*(f"--exp={one}" for one in values), "--out", str(tmp_path / "out")])
        assert exit_.value.code == 2
        assert "one command runs one comparison, or all" in capsys.readouterr().err


def test_two_comparisons_on_one_data_set_keep_their_own_points(out, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(PLAIN.replace("[base]", "[base]\nnoise = 0.9"))
    with np.load(out / "tables" / "fields.npz") as fields:
        before = {name: fields[name] for name in fields.files}
    assert command("--exp", other, "--out", out) == 0
    with np.load(out / "tables" / "fields.npz") as fields:
        for name, values in before.items():
            np.testing.assert_array_equal(fields[name], values)
        assert len(fields.files) > len(before)


def test_again_trains_anew_once(config, out, monkeypatch):
    trained = []
    original = sweep.train_tile

    def train_tile(*arguments, **options):
        if trained and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        found = original(*arguments, **options)
        trained.append(True)
        return found

    stopped = []
    monkeypatch.setattr(sweep, "train_tile", train_tile)
    assert command("--exp", config, "--out", out, "--again") == 130
    assert command("--exp", config, "--out", out, "--again") == 0
    assert len(trained) == len(tables(out)["timing"])


def hundred_kilobytes_a_replica(program):
    return program.material.bytes + 100_000 * program.tile_replicas


def test_a_tile_that_memory_lowers_is_said_recorded_and_used_again(config, tmp_path, capsys, monkeypatch):
    chosen = ["study.main.grid.optimizer=['sgd']", "study.main.grid.dataset=['moons']"]
    arguments = ["--exp", config, "--out", tmp_path / "out", "--memory", "150K", *(f"--set={one}" for one in chosen)]
    # The count is not the truth, so that it is known here; the compiled program would say something else.
    monkeypatch.setattr(sweep, "memory_of", lambda compiled: None)
    monkeypatch.setattr(memory, "planned_bytes", hundred_kilobytes_a_replica)
    with monkeypatch.context() as patch:
        patch.setattr(training, "compiled", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception, match="stopped"):
            command(*arguments)
    assert "tiles of 1 x 1 replicas (seeds x variants) in place of 1 x 2 replicas" in capsys.readouterr().err
    assert command(*arguments) == 0
    assert "in place of 1 x 2 replicas (seeds x variants)" in (said := capsys.readouterr().err)
    assert "as before" in said
    (program,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["experiments"]["tiny"]["programs"]
    assert program["tile"] == {"seeds": 1, "variants": 1}
    assert program["lowered_from"] == {"seeds": 1, "variants": 2}
    assert program["planned_bytes"] <= program["free_bytes"] == 150 * 2**10
    assert program["how"] == "arithmetic"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exp", "d"], "no comparison 'd'"),
        (["--exp", "nowhere/mine.toml"], "there is no file nowhere/mine.toml"),
        (["--set", "base.epoch=3"], "did you mean epochs"),
        (["--epochs", "0"], "epochs = 0 is out of range; it must be at least 1"),
        (["--set", "base.momentum=fast"], "momentum = 'fast' is not a number"),
        (["--data-dir", "/no/such/folder"], "--data-dir /no/such/folder: there is no such folder"),
        (["--out", __file__], "is a file, not a folder"),
        (["--set", "base.activation=my_package:thing"], "cannot import 'my_package'"),
        (["--set", "base.optimizer='optax:adamm'"], "did you mean adam"),
        (["--set", "base.optimizer='optax:adam'", "--set", "base.options={beta=0.9}"], "no option 'beta'; .*b1"),
        (["--set", "base.activation='jax.numpy:sum'"], r"activation = 'jax.numpy:sum' gives float32 \[\] for"),
        (
            ["--set", "base.learning_rate=0.5"],
            r"learning_rate varies in study 'main'; set study.main.grid.learning_rate",
        ),
        (["--memory", "lots"], "--memory lots: is not an amount of memory, 2G or 512M for example"),
        (["--memory", "10K"], r"study 'main': hidden = \[8, 8\] does not fit: one replica with its data needs about"),
        (["--set", "base.micro_batches=3"], "micro_batches = 3 does not divide batch_size = 32 into equal parts"),
        (["--set", "base.remat=1"], "remat = 1 is neither true nor false"),
        (["--set", "base.batch_size=500"], "batch_size = 500 is more than the 270 training examples of moons"),
    ],
)
def test_bad_input_is_exit_2_with_the_reason_and_loses_nothing(
    arguments, message, config, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    given = [str(argument) for argument in arguments]
    if "--exp" not in given:
        given += ["--exp", str(config), "--set", "study.main.grid.optimizer=['sgd']"] if "optimizer" not in str(given) else [
            "--exp", str(config_without_optimizer(tmp_path))
        ]  # fmt: skip
    if "--out" not in given:
        given += ["--out", str(out)]
    assert command(*given) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert "Traceback" not in error
    assert not (out / "tables").exists()


def config_without_optimizer(folder):
    path = folder / "plain.toml"
    text = CONFIG.replace('optimizer = ["sgd", "momentum"]\n', "")
    path.write_text(text.replace('["moons", "circles"]', '["moons"]'))
    return path


def test_unknown_option_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as stopped:
        command("--quik")
    assert stopped.value.code == 2
    assert "did you mean --quick" in capsys.readouterr().err


def test_list_says_what_would_train(config, capsys, tmp_path):
    assert command("--exp", config, "--list", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "8 variants x 2 seeds = 16 replicas in 4 programs, 16 steps each" in said
    assert not (tmp_path / "out").exists()


def test_help_has_examples_and_wrong_input_takes_no_import_of_jax():
    result = subprocess.run(
        [sys.executable, "-m", "jaxcompare.run", "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert "examples:" in result.stdout
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jaxcompare.run", "--set", "base.epoch=1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert loaded.returncode == 2
    assert "Traceback" not in loaded.stderr
    imported = {line.split("|")[-1].strip() for line in loaded.stderr.splitlines() if "import time" in line}
    assert "jaxcompare.run" in imported or "argparse" in imported
    assert not imported & {"jax", "numpy", "pandas", "flax"}


@pytest.mark.slow
def test_an_installed_wheel_works_outside_the_checkout(tmp_path):
    root = Path(__file__).parent.parent
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(root)],
        check=True,
    )
    (wheel,) = tmp_path.glob("jaxcompare-*.whl")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(tmp_path / "site"),
            str(wheel),
        ],
        check=True,
    )
    code = "import jaxcompare, sys; print(jaxcompare.__file__); from jaxcompare.run import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", code, "--exp", "b", "--quick", "--epochs", "1", "--seeds", "1", "--out", "out",
         "--set", "study.main.grid.learning_rate=[0.1]"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / "site") in result.stdout
    assert (tmp_path / "out" / "experiment_b_results_moons.png").stat().st_size > 10_000
    assert (tmp_path / "out" / "experiment_b_results_moons.ko.png").stat().st_size > 10_000
    fonts = tmp_path / "site" / "jaxcompare" / "fonts"
    assert {path.name for path in fonts.iterdir()} >= {
        "OFL.txt",
        *(f"JaxcompareGothic-{name}.ttf" for name in ("Regular", "Bold")),
    }
