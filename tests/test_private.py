"""A folder and a key that another user has written are noticed."""

import os
import stat

import pytest

from jaxcompare.execution import places
from jaxcompare.system.private import NotPrivateError, check_own, make_private, private_key


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def other(monkeypatch):
    """Another user looks at what this user made."""

    def become():
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    return become


@pytest.mark.parametrize("before", [None, 0o777, 0o755, 0o700, 0o500])
def test_an_own_folder_becomes_private(tmp_path, before):
    folder = tmp_path / "some" / "folder"
    if before is not None:
        folder.mkdir(parents=True)
        folder.chmod(before)
    make_private(folder)
    assert mode(folder) == 0o700


def test_another_users_folder_is_refused_and_left_as_it_is(tmp_path, other):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    other()
    for check in (make_private, check_own):
        with pytest.raises(NotPrivateError, match=f"{folder} belongs to another user"):
            check(folder)
    assert mode(folder) == 0o755


def test_modes_that_cannot_be_changed_decide(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    folders = {bits: tmp_path / f"{bits:o}" for bits in (0o775, 0o707, 0o755)}
    for bits, folder in folders.items():
        folder.mkdir()
        os.fchmod(descriptor := os.open(folder, os.O_RDONLY), bits)
        os.close(descriptor)
    make_private(folders[0o755])  # others read, and write nothing
    for bits in (0o775, 0o707):
        with pytest.raises(NotPrivateError, match=r"other users may write into .*: Operation not permitted"):
            make_private(folders[bits])
        with pytest.raises(NotPrivateError, match=f"other users may write into .* \\(mode {bits:04o}\\)"):
            check_own(folders[bits])


def test_a_file_system_that_ignores_modes_is_noticed(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    with pytest.raises(NotPrivateError, match="mode 0777"):
        make_private(tmp_path)


def test_the_key_is_made_once_and_for_one_user(tmp_path):
    path = tmp_path / "cache" / "key"
    key = private_key(path)
    assert len(key) == 32
    assert private_key(path) == key == path.read_bytes()
    assert mode(path) == 0o600
    assert private_key(tmp_path / "other") != key


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_use_is_refused(tmp_path, bits):
    private_key(path := tmp_path / "key")
    path.chmod(bits)
    with pytest.raises(NotPrivateError, match=f"other users can use {path} \\(mode {bits:04o}\\)"):
        private_key(path)


def test_another_users_key_is_refused(tmp_path, other):
    private_key(path := tmp_path / "key")
    other()
    with pytest.raises(NotPrivateError, match=f"{path} belongs to another user"):
        private_key(path)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_file_that_is_no_key_is_refused(tmp_path, content, monkeypatch):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(NotPrivateError, match="is not a key of 32 bytes; remove the file"):
        private_key(path)
    assert path.read_bytes() == content


def test_a_link_to_a_key_is_refused(tmp_path):
    private_key(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(OSError, match="link"):
        private_key(tmp_path / "link")


def test_jaxs_own_cache_is_used_where_this_user_alone_writes(tmp_path, monkeypatch, caplog):
    """JAX runs what it reads there."""
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path)
    assert places._trusted_folder(None) == str(tmp_path / "compiled")
    assert mode(tmp_path / "compiled") == 0o700
    given = tmp_path / "given"
    assert places._trusted_folder(str(given)) == str(given)
    given.chmod(0o755)
    assert places._trusted_folder(str(given)) == str(given)
    assert mode(given) == 0o755  # the user's choice
    assert places._trusted_folder("gs://bucket/cache") == "gs://bucket/cache"
    assert caplog.text == ""
    given.chmod(0o775)
    assert places._trusted_folder(str(given)) is None
    assert "compiled programs are not kept: other users may write into" in caplog.text
    monkeypatch.setattr(places, "cache_folder", lambda: None)
    assert places._trusted_folder(None) is None
