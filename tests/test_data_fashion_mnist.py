"""Fashion-MNIST's sources, on a set of a few images with digests of its own; and the real one, where it is."""

import functools
import gzip
import hashlib
import io
import os
import shutil
import socket
import stat
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from jaxcompare import data
from jaxcompare.data import __main__ as command
from jaxcompare.data import cache, debian, download, fashion_mnist, idx, prepared, sources
from jaxcompare.data.base import digest
from jaxcompare.data.sources import Arrays, Found, Pinned


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder, arrays, *, zipped=False, dotted=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(idx.NAMES, arrays, strict=True):
        shape = (-1, 28, 28) if array.ndim == 2 else (-1,)
        content = idx_bytes(array.astype(np.uint8).reshape(shape))
        stem = name.replace("-idx", ".idx") if dotted else name
        (folder / (stem + (".gz" if zipped else ""))).write_bytes(gzip.compress(content) if zipped else content)


def small_arrays(seed):
    random = np.random.default_rng(seed)
    x_train, x_test = (random.integers(0, 256, (count, 784), dtype=np.uint8) for count in (30, 12))
    return Arrays(x_train, np.arange(30, dtype=np.uint8) % 10, x_test, np.arange(12, dtype=np.uint8) % 10)


def pinned_of(arrays, folder):
    write_idx(folder, arrays)
    payloads = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in idx.NAMES}
    return Pinned(payloads, digest(*sources.canonical(arrays)))


def _real():
    """Look for the real set in the user's own places, which are read only."""
    found = sources.find(fashion_mnist.local_sources(None, fashion_mnist.PINNED))
    return found if isinstance(found, Found) else None


@pytest.fixture(scope="module")
def real():
    found = _real()
    if found is None:
        pytest.skip("Fashion-MNIST is on this machine neither in the cache, nor in TFDS's or Debian's folder")
    return found


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Nothing anywhere: every usual place is an empty one of the test's own, and the network is a closed port."""
    for name in ("JAXCOMPARE_DATA_DIR", "TFDS_DATA_DIR", "XDG_CACHE_HOME", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JAXCOMPARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", tmp_path / "package")
    monkeypatch.setattr(download, "addresses", lambda name: ("http://127.0.0.1:9/x.gz",))
    return tmp_path


@pytest.fixture
def small():
    return small_arrays(0)


@pytest.fixture
def pinned(small, tmp_path):
    return pinned_of(small, tmp_path / "pinning")


def same(dataset, arrays):
    expected = sources.canonical(arrays)
    return all(np.array_equal(getattr(dataset, name), getattr(expected, name)) for name in Arrays._fields)


# --- the IDX format


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 28, 28), (0, 28, 28)])
def test_idx_round_trip(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(idx.parse(idx_bytes(array), "x"), array)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:-1], "x holds 11 values where the header says 12"),
        (lambda content: content + b"1", "holds 13 values where the header says 12"),
        (lambda content: content[:6], "cut short within its header, after 6 bytes"),
        (lambda content: b"", "no IDX file"),
        (lambda content: b"<htm" + content[4:], "no IDX file of unsigned bytes: the file begins with 0x3c68746d"),
        (lambda content: b"\0\0\x0d" + content[3:], "no IDX file of unsigned bytes"),  # floats
    ],
)
def test_spoilt_idx_says_what_is_wrong(spoil, message):
    content = idx_bytes(np.zeros((3, 4), np.uint8))
    with pytest.raises(data.DataError, match=message):
        idx.parse(spoil(content), "x")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_idx_files_are_found_by_all_their_names(tmp_path, small, pinned, zipped, dotted):
    write_idx(tmp_path / "given", small, zipped=zipped, dotted=dotted)
    read = idx.read_folder(tmp_path / "given", pinned.payloads)
    assert all(np.array_equal(one, other) for one, other in zip(read, small, strict=True))


def test_truncated_gzip_missing_file_and_wrong_content_say_so(tmp_path, small, pinned):
    folder = tmp_path / "given"
    write_idx(folder, small, zipped=True)
    path = folder / f"{idx.NAMES[2]}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(data.DataError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        idx.read_folder(folder, pinned.payloads)
    path.unlink()
    with pytest.raises(data.DataError, match="t10k-images-idx3-ubyte missing") as missing:
        idx.read_folder(folder, pinned.payloads)
    assert not isinstance(missing.value, sources.AbsentError)
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((12, 28, 28), np.uint8))))
    with pytest.raises(data.DataError, match=r"t10k-images-idx3-ubyte\.gz has the sha256 digest"):
        idx.read_folder(folder, pinned.payloads)


@pytest.mark.parametrize("place", ["", "FashionMNIST", "FashionMNIST/raw"])
def test_the_files_of_torchvision_are_found_from_each_of_its_folders(places, small, pinned, place):
    write_idx(places / "root" / "FashionMNIST" / "raw", small)
    assert same(fashion_mnist.load(data_dir=places / "root" / place, pinned=pinned), small)


@pytest.mark.parametrize("good", [{"zipped": True}, {"dotted": True}, {"folder": "FashionMNIST/raw"}])
def test_a_broken_file_does_not_hide_the_whole_one_beside_it(places, small, pinned, caplog, good):
    options = dict(good)
    write_idx(places / "given", small)
    write_idx(places / "given" / options.pop("folder", ""), small, **options)
    broken = places / "given" / idx.NAMES[0]
    broken.write_bytes(broken.read_bytes()[:-100])
    assert same(fashion_mnist.load(data_dir=places / "given", pinned=pinned), small)
    assert f"skipped a damaged file, and used {places / 'given'}" in caplog.text
    assert str(broken) in caplog.text


def test_where_every_file_of_a_name_is_broken_each_reason_is_named(tmp_path, small, pinned):
    for zipped in (False, True):
        write_idx(tmp_path, small_arrays(1), zipped=zipped)
    with pytest.raises(data.DataError, match=r"ubyte has the sha256 .*; train-images-idx3-ubyte\.gz has the sha256"):
        idx.read_folder(tmp_path, pinned.payloads)


def test_a_broken_version_of_a_prepared_set_does_not_hide_an_older_one(tmp_path, small, monkeypatch, caplog):
    for version in ("3.0.1", "10.0.0"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "dataset_info.json").write_text('{"name": "fashion_mnist"}')
    monkeypatch.setattr(prepared, "_read_version", lambda folder: {"3.0.1": small}[folder.name])
    assert prepared.read(tmp_path, "fashion_mnist", lambda arrays: arrays) is small
    assert "skipped a damaged version of fashion_mnist, and used 3.0.1: 10.0.0: cannot be read" in caplog.text


# --- the order of sources, and the order of examples


def test_each_place_gives_the_same_arrays_and_fills_the_cache(places, small, pinned, monkeypatch):
    for number, folder in enumerate(["argument", "variable", "package", "cache"]):
        monkeypatch.setenv("JAXCOMPARE_CACHE", str(places / ("cache" if folder == "cache" else f"cache{number}")))
        monkeypatch.setenv("JAXCOMPARE_DATA_DIR", str(places / folder) if folder == "variable" else "")
        write_idx(places / folder, small, zipped=number % 2 == 0)
        data_dir = places / folder if folder == "argument" else None
        dataset = fashion_mnist.load(data_dir=data_dir, pinned=pinned)
        assert dataset.source == f"IDX files in {places / folder}"
        assert same(dataset, small)
        assert dataset.digest == digest(*dataset[1:5]) == pinned.arrays
        assert fashion_mnist.load(pinned=pinned).source == f"the cache, {fashion_mnist.cache_path()}"
        if folder == "package":
            (places / folder).rename(places / "gone")


def test_places_are_tried_in_order(places, pinned, monkeypatch):
    monkeypatch.setenv("JAXCOMPARE_DATA_DIR", "/variable")
    monkeypatch.setenv("TFDS_DATA_DIR", "/tfds")
    monkeypatch.setattr(fashion_mnist, "PACKAGE_FOLDER", Path("/package"))
    home = places / "home" / "tensorflow_datasets"
    assert [source.place for source in fashion_mnist.local_sources(Path("/argument"), pinned)] == [
        f"the cache, {places}/cache/fashion_mnist.npz",
        f"IDX files in {places}/cache",
        *(f"a prepared TFDS set in {folder}" for folder in ("/argument", "/variable", "/tfds", home)),
        *(f"IDX files in {folder}" for folder in ("/argument", "/variable", "/package")),
    ]


def test_cache_folder_follows_the_environment(monkeypatch):
    monkeypatch.setenv("JAXCOMPARE_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.folder() == Path("/own")
    monkeypatch.delenv("JAXCOMPARE_CACHE")
    assert cache.folder() == Path("/xdg/jaxcompare")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somebody")
    assert cache.folder() == Path("/somebody/.cache/jaxcompare")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    with pytest.raises(data.DataError, match=r"set \$JAXCOMPARE_CACHE"):
        cache.folder()


def test_a_user_without_a_home_needs_no_cache(places, small, pinned, monkeypatch, caplog, capsys):
    for name in ("HOME", "JAXCOMPARE_CACHE"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    write_idx(places / "argument", small)
    dataset = fashion_mnist.load(data_dir=places / "argument", pinned=pinned)
    assert dataset.source == f"IDX files in {places / 'argument'}"
    assert caplog.text.count("there is no home directory to keep the cache in: set $JAXCOMPARE_CACHE") == 2
    assert command.main(["--data-dir", str(places / "argument")], pinned=pinned) == 2
    said = "there is no home directory to keep the cache in: set $JAXCOMPARE_CACHE to a folder\n"
    assert capsys.readouterr() == ("", said)
    monkeypatch.setenv("JAXCOMPARE_CACHE", str(places / "cache"))
    assert command.main(["--data-dir", str(places / "argument")], pinned=pinned) == 0
    assert fashion_mnist.load(pinned=pinned).source == f"the cache, {places}/cache/fashion_mnist.npz"


def test_wrong_data_are_refused_and_the_next_place_is_used(places, small, pinned, caplog):
    write_idx(places / "argument", small_arrays(1))
    write_idx(places / "package", small)
    dataset = fashion_mnist.load(data_dir=places / "argument", pinned=pinned)
    assert dataset.source == f"IDX files in {places / 'package'}"
    assert same(dataset, small)
    assert f"skipped IDX files in {places / 'argument'}: train-images-idx3-ubyte has the sha256 digest" in caplog.text


def test_a_place_that_may_not_be_looked_into_is_passed_by(small):
    def forbidden():
        raise PermissionError(13, "Permission denied")

    found = sources.find([sources.Source("there", forbidden), sources.Source("here", lambda: small)])
    assert found.place == "here"
    assert found.attempts == (sources.Attempt("there", "[Errno 13] Permission denied", True),)


def test_right_files_in_a_wrong_order_are_refused(small, pinned):
    swapped = small._replace(y_train=small.y_train[::-1])
    with pytest.raises(data.DataError, match="other data than expected"):
        sources.verify(sources.canonical(swapped), pinned.arrays)


def test_canonical_order_does_not_depend_on_the_order_given(small):
    expected = sources.canonical(small)
    order = np.random.default_rng(1).permutation(30)
    shuffled = small._replace(x_train=small.x_train[order], y_train=small.y_train[order].astype(np.int64))
    assert digest(*sources.canonical(shuffled)) == digest(*expected)
    labels = {x.tobytes(): y for x, y in zip(small.x_train, small.y_train, strict=True)}
    assert [labels[x.tobytes()] for x in expected.x_train] == expected.y_train.tolist()  # each keeps its label
    with pytest.raises(data.DataError, match="30 images but 29 labels"):
        sources.canonical(small._replace(y_train=small.y_train[1:]))


# --- the cache


def test_cache_is_written_whole_or_not_at_all(places, small, monkeypatch):
    path = places / "cache" / "some.npz"
    cache.write(path, small)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def break_off(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", break_off)
    with pytest.raises(KeyboardInterrupt):
        cache.write(path, small_arrays(1))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["some.npz"]


@pytest.mark.parametrize("spoil", ["truncated", "flipped", "other", "empty", "text"])
def test_damaged_cache_is_refused_and_repaired(places, small, pinned, caplog, spoil):
    write_idx(places / "package", small)
    fashion_mnist.load(pinned=pinned)
    path = fashion_mnist.cache_path()
    content = path.read_bytes()
    if spoil == "other":
        cache.write(path, sources.canonical(small_arrays(1)))
    else:
        flipped = content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
        path.write_bytes({"truncated": content[:-500], "flipped": flipped, "empty": b"", "text": b"hello"}[spoil])
    dataset = fashion_mnist.load(pinned=pinned)
    assert dataset.source == f"IDX files in {places / 'package'}"
    assert "skipped the cache" in caplog.text
    assert ("other data" if spoil == "other" else "damaged") in caplog.text
    assert path.read_bytes() == content


def test_cache_that_cannot_be_written_is_only_a_note(places, small, pinned, caplog):
    write_idx(places / "package", small)
    (places / "cache").write_text("a file where the folder should be")
    assert same(fashion_mnist.load(pinned=pinned), small)
    assert "the cache cannot be written" in caplog.text


# --- sets prepared by TFDS


@pytest.fixture(scope="module")
def tfds_root(tmp_path_factory):
    """The small set as TFDS itself prepares it without TensorFlow: shuffled, in array_record."""
    tfds = pytest.importorskip("tensorflow_datasets")
    image = pytest.importorskip("PIL.Image")
    from tensorflow_datasets.core import registered
    from tensorflow_datasets.image_classification import mnist

    def png(pixels):
        image.fromarray(pixels.reshape(28, 28)).save(file := io.BytesIO(), "png")
        file.seek(0)
        return file

    def examples(x, y):
        return ((number, {"image": png(x[number]), "label": int(y[number])}) for number in range(len(x)))

    arrays = small_arrays(0)
    with registered.skip_registration():

        class FashionMnist(mnist.FashionMNIST):
            name = "fashion_mnist"
            VERSION = tfds.core.Version("3.0.1")

            def _split_generators(self, manager):
                return {"train": examples(*arrays[:2]), "test": examples(*arrays[2:])}

    root = tmp_path_factory.mktemp("tfds")
    tfds.disable_progress_bar()
    FashionMnist(data_dir=root, file_format="array_record").download_and_prepare()
    return root


def as_tfrecord(folder):
    """Write the records of a prepared set in TFRecord files instead."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    for path in list(folder.glob("*array_record*")):
        with ArrayRecordDataSource([str(path)]) as reader:
            records = [reader[number] for number in range(len(reader))]
        framed = (struct.pack("<QI", len(record), 0) + record + struct.pack("<I", 0) for record in records)
        (folder / path.name.replace("array_record", "tfrecord")).write_bytes(b"".join(framed))
        path.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
@pytest.mark.parametrize("inside", ["", "fashion_mnist", "fashion_mnist/3.0.1"])
def test_prepared_set_equals_the_idx_files(places, small, pinned, tfds_root, monkeypatch, file_format, inside):
    shutil.copytree(tfds_root, places / "tfds")
    if file_format == "tfrecord":
        as_tfrecord(places / "tfds" / "fashion_mnist" / "3.0.1")
    raw = prepared.read(places / "tfds", "fashion_mnist", lambda arrays: arrays)
    assert not np.array_equal(raw.x_train, small.x_train)  # TFDS has shuffled
    monkeypatch.setenv("TFDS_DATA_DIR", str(places / "tfds" / inside))
    write_idx(places / "package", small)
    dataset = fashion_mnist.load(pinned=pinned)
    assert dataset.source == f"a prepared TFDS set in {places / 'tfds' / inside}"
    assert same(dataset, small)


def test_damaged_prepared_set_is_refused(places, small, pinned, tfds_root, monkeypatch, caplog):
    shutil.copytree(tfds_root, places / "tfds")
    for path in (places / "tfds").rglob("*array_record*"):
        path.unlink()
    monkeypatch.setenv("TFDS_DATA_DIR", str(places / "tfds"))
    write_idx(places / "package", small)
    assert same(fashion_mnist.load(pinned=pinned), small)
    assert "skipped a prepared TFDS set" in caplog.text


def test_newest_version_is_taken_and_other_sets_are_passed_by(tmp_path):
    for name, version in (("fashion_mnist", "3.0.1"), ("fashion_mnist", "10.0.0"), ("mnist", "11.0.0")):
        folder = tmp_path / name / version
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text(f'{{"name": "{name}"}}')
    versions = [tmp_path / "fashion_mnist" / version for version in ("10.0.0", "3.0.1")]
    assert prepared.find_versions(tmp_path, "fashion_mnist") == versions
    with pytest.raises(sources.AbsentError, match="no prepared kmnist there"):
        prepared.find_versions(tmp_path, "kmnist")
    with pytest.raises(sources.AbsentError, match="no such folder"):
        prepared.find_versions(tmp_path / "nowhere", "kmnist")


# --- downloading, and nothing found


def test_nothing_found_names_every_place_and_remedy_within_five_seconds(places, pinned, monkeypatch):
    write_idx(places / "bad", small_arrays(1))
    monkeypatch.setenv("JAXCOMPARE_DATA_DIR", str(places / "bad"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x.gz"
        monkeypatch.setattr(download, "addresses", lambda name: (address,))
        start = time.monotonic()
        with pytest.raises(data.DataError) as error:
            fashion_mnist.load(data_dir=places / "given", pinned=pinned)
        assert time.monotonic() - start < 5
    lines = [line for line in str(error.value).split("\n") if line.startswith("  - ")]
    home = places / "home" / "tensorflow_datasets"
    assert lines[:8] == [
        f"  - the cache, {places}/cache/fashion_mnist.npz: not there",
        f"  - IDX files in {places}/cache: no such folder",
        f"  - a prepared TFDS set in {places}/given: no such folder",
        f"  - a prepared TFDS set in {places}/bad: no prepared fashion_mnist there",
        f"  - a prepared TFDS set in {home}: no such folder",
        f"  - IDX files in {places}/given: no such folder",
        next(line for line in lines if line.startswith(f"  - IDX files in {places}/bad: train-images-idx3-ubyte has")),
        f"  - IDX files in {places}/package: no such folder",
    ]
    assert lines[8] == "  - the download of TensorFlow Datasets: no answer within 3 s"
    for remedy in ("make data", "--data-dir", "$JAXCOMPARE_DATA_DIR", "apt install dataset-fashion-mnist", "TFDS"):
        assert remedy in str(error.value)


def test_download_is_verified_and_cached(places, small, pinned, monkeypatch):
    monkeypatch.setattr(download, "probe", lambda address, seconds: None)
    monkeypatch.setattr(download, "fetch", lambda name, files, folder, **limits: write_idx(folder, small, zipped=True))
    assert fashion_mnist.load(pinned=pinned).source == "the download of TensorFlow Datasets"
    assert fashion_mnist.cache_path().is_file()
    fashion_mnist.cache_path().unlink()
    wrong = functools.partial(write_idx, arrays=small_arrays(1))
    monkeypatch.setattr(download, "fetch", lambda name, files, folder, **limits: wrong(folder))
    with pytest.raises(data.DataError, match="download of TensorFlow Datasets: train-images-idx3-ubyte has the sha256"):
        fashion_mnist.load(pinned=pinned)
    assert not fashion_mnist.cache_path().exists()


# --- the command


def test_command_gets_the_debian_package_once(places, small, pinned, monkeypatch, capsys):
    calls = []

    def unpack(package, folder, *, limit_seconds):
        calls.append(package)
        write_idx(folder / fashion_mnist.PACKAGE_FOLDER.relative_to("/"), small, zipped=True)

    monkeypatch.setattr(debian, "unpack_package", unpack)
    assert command.main([], pinned=pinned) == 0
    assert "from the Debian package dataset-fashion-mnist, is verified and now in the cache" in capsys.readouterr().out
    assert command.main([], pinned=pinned) == 0
    assert capsys.readouterr().out == f"Fashion-MNIST is in the cache: {fashion_mnist.cache_path()}\n"
    assert calls == ["dataset-fashion-mnist"]


def test_command_takes_a_folder(places, small, pinned, capsys):
    write_idx(places / "given", small)
    assert command.main(["--data-dir", str(places / "given")], pinned=pinned) == 0
    assert f"from IDX files in {places / 'given'}" in capsys.readouterr().out
    assert fashion_mnist.cache_path().is_file()


def test_command_fails_with_2_and_the_reasons(places, pinned, monkeypatch, capsys):
    def fail(package, folder, *, limit_seconds):
        raise data.DataError("apt says no")

    monkeypatch.setattr(debian, "unpack_package", fail)
    assert command.main([], pinned=pinned) == 2
    assert "  - the Debian package dataset-fashion-mnist: apt says no\n" in capsys.readouterr().err


def test_command_fails_where_the_cache_cannot_be_written(places, small, pinned, capsys):
    write_idx(places / "package", small)
    (places / "cache").write_text("a file where the folder should be")
    assert command.main([], pinned=pinned) == 2
    assert "the cache cannot be written" in capsys.readouterr().err


# --- the real set


def test_real_set_is_what_its_paper_says(real):
    dataset = fashion_mnist.as_dataset(real, fashion_mnist.PINNED)
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((60000, 784), (10000, 784))
    assert np.bincount(dataset.y_train).tolist() == [6000] * 10
    assert np.bincount(dataset.y_test).tolist() == [1000] * 10
    assert dataset.digest == digest(*dataset[1:5])
    scale, shift = data.scaling(dataset.x_train, "standardised", dataset.input_max)
    np.testing.assert_allclose([1 / scale / 255, -shift / scale / 255], [0.3530, 0.2860], atol=5e-5)  # widely quoted


def test_real_set_loads_fast_from_the_cache(real, places):
    cache.write(fashion_mnist.cache_path(), real.arrays)
    start = time.monotonic()
    dataset = data.load("fashion_mnist", data_seed=0, samples=0, test_samples=0, noise=None, factor=0.5)
    assert time.monotonic() - start < 1  # 0.1 s on two idle cores
    assert dataset.source == f"the cache, {fashion_mnist.cache_path()}"
    parts = data.split(dataset, validation_fraction=0.1, seed=0)
    assert np.bincount(parts.validation.y).tolist() == [600] * 10
