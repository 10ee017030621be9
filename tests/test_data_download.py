"""The probe, the bounded download and the Debian package, against servers and programs of our own."""

import contextlib
import functools
import hashlib
import http.server
import os
import socket
import threading
import time

import pytest

from jaxcompare.data import DataError, debian, download


@pytest.fixture
def silent_address():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file.gz"


@contextlib.contextmanager
def serving(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_addresses_are_those_of_the_four_files():
    assert sorted(address.rpartition("/")[2] for address in download.addresses("fashion_mnist")) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]


def test_addresses_of_an_unknown_set_are_a_data_error():
    with pytest.raises(DataError, match="does not say where to get no_such_set"):
        download.addresses("no_such_set")


def test_probe_accepts_a_server_that_has_the_file_and_refuses_one_that_has_not(tmp_path):
    (tmp_path / "file.gz").write_bytes(b"1")
    with serving(tmp_path) as address:
        download.probe(f"{address}/file.gz", seconds=5)
        with pytest.raises(DataError, match="404"):
            download.probe(f"{address}/other.gz", seconds=5)


def test_probe_of_a_silent_server_ends_in_time(silent_address):
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.3 s"):
        download.probe(silent_address, seconds=0.3)
    assert time.monotonic() - start < 1.5


def test_probe_ends_in_time_even_where_the_look_up_of_the_name_blocks(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(download, "_ask", lambda address, seconds: release.wait(20))
    start = time.monotonic()
    with pytest.raises(DataError, match="no answer"):
        download.probe("http://somewhere.invalid/", seconds=0.2)
    release.set()
    assert time.monotonic() - start < 1.5


def test_probe_of_a_closed_port_says_so():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DataError, match="not reachable"):
        download.probe(f"http://127.0.0.1:{port}/", seconds=3)


def test_probe_goes_through_the_proxy(monkeypatch, tmp_path):
    with serving(tmp_path) as address:
        monkeypatch.setenv("http_proxy", address)
        with pytest.raises(DataError, match="404"):  # our own server answers, as the proxy that it is not
            download.probe("http://somewhere.invalid/x", seconds=5)


def fetch(folder, child, **limits):
    limits = {"stall_seconds": 20, "limit_seconds": 20, **limits}
    download.fetch("fashion_mnist", ["http://a/b.gz"], folder, child=child, **limits)


def child_of(tmp_path, code):
    path = tmp_path / "child.py"
    path.write_text(f"import os, pathlib, sys, time\nfolder = pathlib.Path(sys.argv[2])\n{code}\n")
    return path


def test_fetch_gives_up_when_nothing_arrives(tmp_path):
    (tmp_path / "to").mkdir()
    pid_file = tmp_path / "pid"
    child = child_of(tmp_path, f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)")
    with pytest.raises(DataError, match=r"nothing arrived for 1 s, after 0\.0 MB"):
        fetch(tmp_path / "to", child, stall_seconds=1)
    with pytest.raises(ProcessLookupError):  # the child is gone
        os.kill(int(pid_file.read_text()), 0)


def test_fetch_gives_up_when_it_takes_too_long_though_data_arrive(tmp_path):
    (tmp_path / "to").mkdir()
    loop = "while True:\n    (folder / 'part').open('ab').write(b'x'); time.sleep(0.05)"
    with pytest.raises(DataError, match=r"not finished within 1\.5 s"):
        fetch(tmp_path / "to", child_of(tmp_path, loop), stall_seconds=1, limit_seconds=1.5)


def test_fetch_reports_the_last_words_of_a_failed_child(tmp_path):
    with pytest.raises(DataError, match="the download failed: NonMatchingChecksumError"):
        fetch(tmp_path, child_of(tmp_path, "print('much'); sys.exit('NonMatchingChecksumError: so')"))


def test_tfds_downloads_and_verifies(tmp_path):
    """The real child and TFDS's real downloader, with a server of ours in its list by a program around the child."""
    names = ("one.gz", "two.gz")
    for folder in ("from", "to", "to_changed"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / "from" / name).write_bytes(name.encode())
    with serving(tmp_path / "from") as address:
        sums = {f"{address}/{n}": (len(n), hashlib.sha256(n.encode()).hexdigest(), n) for n in names}
        child = child_of(
            tmp_path,
            f"import runpy\n"
            f"from tensorflow_datasets.core.download import checksums as c\n"
            f"infos = {{k: c.UrlInfo(size=v[0], checksum=v[1], filename=v[2]) for k, v in {sums!r}.items()}}\n"
            f"c.get_all_url_infos = lambda: dict(infos)\n"
            f"runpy.run_path({str(download.CHILD)!r}, run_name='__main__')",
        )
        limits = {"stall_seconds": 20, "limit_seconds": 20, "child": child}
        download.fetch("fashion_mnist", list(sums), tmp_path / "to", **limits)
        assert [(tmp_path / "to" / name).read_bytes() for name in names] == [b"one.gz", b"two.gz"]
        (tmp_path / "from" / "two.gz").write_bytes(b"owt.gz")
        with pytest.raises(DataError, match="download failed"):
            download.fetch("fashion_mnist", list(sums), tmp_path / "to_changed", **limits)
        assert not (tmp_path / "to_changed" / "two.gz").exists()


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Stand-ins for apt-get and dpkg-deb that note how they are called; returns how to write one, and the notes."""
    folder = tmp_path / "tools"
    folder.mkdir()
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "ubuntu", "ID_LIKE": "debian"})

    def write(name, body):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" | sed "s,.*/tools/,," >> {notes}\n{body}\n')
        path.chmod(0o755)

    write("dpkg-deb", 'mkdir -p usr && cp "$2" usr/unpacked')
    return write, notes


def words_of(notes):
    """Which commands were called, without apt's options."""
    return [" ".join(word for word in line.split() if word in ("apt-get", "download", "update", "dpkg-deb", "-x"))
            for line in notes.read_text().splitlines()]  # fmt: skip


def test_package_is_downloaded_and_unpacked_without_a_word(tools, tmp_path, capfd):
    write, notes = tools
    write("apt-get", "echo W: unsandboxed >&2; echo content > some_1_all.deb")
    (tmp_path / "into").mkdir()
    debian.unpack_package("some", tmp_path / "into", limit_seconds=5)
    assert (tmp_path / "into" / "usr" / "unpacked").read_text() == "content\n"
    assert words_of(notes) == ["apt-get download", "dpkg-deb -x"]
    assert capfd.readouterr() == ("", "")


def test_root_updates_the_package_list_once(tools, tmp_path, monkeypatch):
    write, notes = tools
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    listed = tmp_path / "listed"
    write(
        "apt-get",
        f'case "$*" in *update) touch {listed};; *) test -e {listed} || exit 100; echo c > some_1_all.deb;; esac',
    )
    (tmp_path / "into").mkdir()
    debian.unpack_package("some", tmp_path / "into", limit_seconds=5)
    assert words_of(notes) == ["apt-get download", "apt-get update", "apt-get download", "dpkg-deb -x"]


def test_others_see_the_hint_of_an_old_package_list_and_the_message_of_apt(tools, tmp_path, monkeypatch):
    write, notes = tools
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    write("apt-get", "echo E: Unable to locate package >&2; exit 100")
    with pytest.raises(DataError, match=r"`apt-get download some` failed: E: Unable to locate .*sudo apt-get update"):
        debian.unpack_package("some", tmp_path, limit_seconds=5)
    assert words_of(notes) == ["apt-get download"]


def test_hanging_apt_is_ended(tools, tmp_path, monkeypatch):
    write, _ = tools
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    write("apt-get", "exec sleep 30")
    start = time.monotonic()
    with pytest.raises(DataError, match=r"did not finish within 0\.3 s"):
        debian.unpack_package("some", tmp_path, limit_seconds=0.3)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"ID": "debian"}, True),
        ({"ID": "mint", "ID_LIKE": "ubuntu debian"}, True),
        ({"ID": "fedora"}, False),
        (None, False),
    ],
)
def test_debian_and_systems_derived_from_it_are_known(tools, monkeypatch, release, expected):
    write, _ = tools
    write("apt-get", "")

    def read():
        if release is None:
            raise OSError("there is no os-release")
        return release

    monkeypatch.setattr("platform.freedesktop_os_release", read)
    assert debian.is_debian() is expected
