"""What TensorBoard is told, read back from its files."""

import json
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from problems import DOT, comparison, programs, quickly_compiled, train
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

from jaxcompare import analysis, run, tensorboard
from jaxcompare.config import outputs
from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import KEYS, NOT_FACTORS
from jaxcompare.execution.training import SILENT

GRID = {"activation": ["relu", "tanh"], "learning_rate": [0.1, 1e6]}  # at the second rate runs diverge


def read(path):
    """A file's events; a record that is cut off or damaged fails."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
        body = data[12 : 12 + length]
        assert len(body) == length
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(body)
        events.append(Event.FromString(body))
        data = data[16 + length :]
    return events


def runs_of(folder):
    """Every run's events, by its name; one file each, which begins with the version."""
    found = {}
    for path in sorted(folder.rglob("events.out.*")):
        name = path.parent.relative_to(folder).as_posix()
        assert name not in found
        found[name] = read(path)
        assert found[name][0].file_version == "brain.Event:2"
    return found


def scalars(events):
    """Tag -> step -> value."""
    found = {}
    for event in events:
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                assert event.step not in found.setdefault(value.tag, {}), "written twice"
                found[value.tag][event.step] = value.simple_value
    return found


def hparams(events, kind):
    """The content of the one `_hparams_/kind` of a run."""
    values = [value for event in events for value in event.summary.value if value.tag == f"_hparams_/{kind}"]
    (only,) = values
    assert only.metadata.plugin_data.plugin_name == "hparams"
    return HParamsPluginData.FromString(only.metadata.plugin_data.content)


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The tables of a small comparison, and what was logged of it."""
    folder = tmp_path_factory.mktemp("results")
    one = comparison(GRID, seeds=5, epochs=4, snapshots=3)
    # Two tiles of seeds, one after the other: a variant is complete only with the second.
    made = [replace(program, shape=(3, 4)) for program in programs(one)]
    with quickly_compiled(), tensorboard.log_of(folder, ["tiny"], ["replicas"]) as log:
        tables = train(one, made, SILENT._replace(measured=log.watch)).frames
        log.pictures({"dot.png": DOT})
    return tables, runs_of(folder / tensorboard.FOLDER), one


def test_scalars_are_those_of_the_tables(logged):
    tables, runs, _ = logged
    for label, name in (("relu, rate 0.1", "relu-rate-0.1"), ("tanh, rate 0.1", "tanh-rate-0.1")):
        told = scalars(runs[f"tiny/main/moons/{name}"])
        replicas = tables["replicas"][tables["replicas"]["label"] == label]
        for value in ("test_accuracy", "train_loss"):
            found = analysis.bands(tables["history"], replicas, value=value)
            for part in ("mean", "low", "high"):
                known = found.dropna(subset=[part])
                assert told[f"{value}/{part}"] == pytest.approx(
                    dict(zip(known["epoch"], known[part], strict=True)), rel=1e-5
                )
        assert set(told["train_loss/mean"]) == {1, 2, 3, 4}  # none is known before the first step
        layer = tables["layers"][tables["layers"]["layer"] == "hidden_2"]
        found = analysis.bands(layer, replicas, value="gradient_norm")
        assert told["gradient_norm/hidden_2/mean"] == pytest.approx(
            dict(zip(found["epoch"], found["mean"], strict=True)), rel=1e-5
        )
        assert set(told["failed/diverged"].values()) == {0.0}
        assert set(told["failed/n"].values()) == {5.0}


def test_there_is_no_mean_over_survivors(logged):
    tables, runs, _ = logged
    told = scalars(runs["tiny/main/moons/relu-rate-1e+06"])
    joined = tables["history"].merge(tables["replicas"])
    mine = joined[joined["label"] == "relu, rate 1e+06"]
    diverged = (~mine["finite"].astype(bool)).groupby(mine["epoch"]).sum()
    assert diverged.iloc[-1] > 0
    assert told["failed/diverged"] == diverged.to_dict()
    assert set(told["test_accuracy/mean"]) == set(diverged.index[diverged == 0])
    assert "final/test_accuracy" not in told
    assert told["final/diverged"] == {4: diverged.iloc[-1]}
    alone = [scalars(runs[f"tiny/main/moons/relu-rate-1e+06/seed_{seed}"]) for seed in range(5)]
    assert sum(4 in one["test_accuracy"] for one in alone) == 5 - diverged.iloc[-1]


def test_replicas_are_there_on_request(logged):
    tables, runs, _ = logged
    told = scalars(runs["tiny/main/moons/tanh-rate-0.1/seed_3"])["validation_loss"]
    joined = tables["history"].merge(tables["replicas"])
    mine = joined[(joined["label"] == "tanh, rate 0.1") & (joined["seed"] == 3)]
    assert told == pytest.approx(dict(zip(mine["epoch"], mine["validation_loss"], strict=True)), rel=1e-6)


def test_histograms_hold_every_count(logged):
    tables, runs, _ = logged
    events = runs["tiny/main/moons/tanh-rate-0.1"]
    found = {
        (value.tag, event.step): value.histo
        for event in events
        for value in event.summary.value
        if value.WhichOneof("value") == "histo"
    }
    assert {tag for tag, _ in found} == {
        *(f"{kind}/{layer}" for kind in ("activation", "pre_activation") for layer in ("hidden_1", "hidden_2")),
        *(f"gradient_log10/{layer}" for layer in ("hidden_1", "hidden_2", "output")),
    }
    assert {step for _, step in found} == {0, 2, 4}
    kept = tables["histograms"].merge(tables["replicas"][["replica_id", "label"]])
    for tag, kind in (("activation/hidden_2", "activation"), ("gradient_log10/output", "gradient")):
        rows = kept[(kept["label"] == "tanh, rate 0.1") & (kept["epoch"] == 4) & (kept["kind"] == kind)]
        rows = rows[rows["layer"] == tag.split("/")[1]]
        shown = found[tag, 4]
        counts = np.sum(rows["counts"].tolist(), axis=0)
        assert list(shown.bucket) == [rows["below"].sum(), *counts, rows["above"].sum()]
        assert len(shown.bucket_limit) == len(shown.bucket)
        assert np.all(np.diff(shown.bucket_limit) > 0)
        assert shown.bucket_limit[0] == pytest.approx(rows["low"].iloc[0])
        assert shown.bucket_limit[-2] == pytest.approx(rows["high"].iloc[0])
    gradients = kept[kept["kind"] == "gradient"]
    entries = gradients["counts"].map(sum) + gradients["below"] + gradients["above"]
    assert set(entries[gradients["layer"] == "hidden_1"]) == {(2 + 1) * 8}
    diverged = runs["tiny/main/moons/relu-rate-1e+06"]
    assert {event.step for event in diverged if any(v.WhichOneof("value") == "histo" for v in event.summary.value)} == {
        0
    }


def test_every_run_has_every_hyperparameter(logged):
    _, runs, one = logged
    variants = {tensorboard.run_name("tiny", "main", variant): variant for variant in one.studies[0].variants}
    keys = set(KEYS) - set(NOT_FACTORS) | {"experiment", "study"}
    for name, variant in variants.items():
        row = hparams(runs[name], "session_start_info").session_start_info.hparams
        assert set(row) == keys
        assert row["activation"].string_value == variant.settings.activation
        assert row["learning_rate"].number_value == variant.settings.learning_rate
        assert row["clip_norm"].string_value == "inf"  # JSON has no such number
        assert hparams(runs[name], "session_end_info").session_end_info.status == 1
    shown = hparams(runs["."], "experiment").experiment
    assert {info.name for info in shown.hparam_infos} == keys
    metrics = {info.name.tag for info in shown.metric_infos}
    assert metrics <= set(scalars(runs["tiny/main/moons/tanh-rate-0.1"]))
    layout = [value for event in runs["."] for value in event.summary.value if value.tag == "custom_scalars__config__"]
    assert b"test_accuracy/low" in layout[0].tensor.string_val[0]


def test_pictures_are_there(logged):
    (picture,) = [value for event in logged[1]["pictures"] for value in event.summary.value]
    assert (picture.tag, picture.image.width, picture.image.height) == ("dot.png", 1, 1)
    assert picture.image.encoded_image_string == DOT


@pytest.mark.slow
def test_what_is_kept_is_logged_again_and_a_newer_log_takes_the_olders_place(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(
        'title = "Tiny"\n[base]\ndataset = "moons"\nsamples = 300\ntest_samples = 130\nhidden = [8, 8]\nbatch_size = 32\n'
        "epochs = 2\nseeds = 2\ntrain_subset = 50\nprobe_size = 64\nsnapshots = 2\n[[study]]\n[study.grid]\nloss = "
        '["cross_entropy", "mse"]\n'
    )
    command = [
        sys.executable,
        "-m",
        "jaxcompare.run",
        "--exp",
        str(config),
        "--out",
        str(tmp_path / "out"),
        "--lang",
        "en",
    ]
    log = tmp_path / "out" / "tensorboard"
    for options in ([], ["--tensorboard"], ["--tensorboard", "replicas"]):  # the first trains, the others look up
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert log.exists() == bool(options)
    runs = runs_of(log)
    seeds = [
        f"tiny/main/moons/{loss}{seed}" for loss in ("cross_entropy", "mse") for seed in ("", "/seed_0", "/seed_1")
    ]
    assert set(runs) == {".", "pictures", *seeds}
    told = scalars(runs["tiny/main/moons/mse"])
    assert set(told["test_loss/mean"]) == {0, 1, 2}
    assert "test_loss/low" not in told  # of two seeds there is no interval
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["experiments"]["tiny"]["title"] == "Tiny"


def test_without_tensorboardx_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(outputs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'jaxcompare\[tensorboard\]'"):
        run.read_request(run.parser().parse_args(["--tensorboard"]), "")


def test_a_wrong_choice_is_refused():
    with pytest.raises(ConfigError, match="--tensorboard replica: no such choice; did you mean replicas"):
        run.read_request(run.parser().parse_args(["--tensorboard", "replica"]), "")
    with pytest.raises(ConfigError, match="--formats pgn: no such format; did you mean png"):
        run.read_request(run.parser().parse_args(["--formats", "pdf,pgn"]), "")
