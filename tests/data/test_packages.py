import hashlib
import io
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace

import pytest

from tether.data import by_pip, packages, unpack
from tether.data.once import once
from tether.data.package import Package
from tether.data.packages import fetch
from tether.errors import RequestError
from tether.progress import Bar


def wheel(path, members=None):
    with zipfile.ZipFile(path, "w") as z:
        for name, content in (members or {"tiny/data.txt": "hello"}).items():
            z.writestr(name, content)
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A package whose download is a copy; `calls` counts them."""
    archive = wheel(tmp_path / "tiny-1.0-py3-none-any.whl")
    raw = archive.read_bytes()
    calls = []

    def download(package, work):
        calls.append(package)
        return wheel_copy(work / archive.name, raw)

    monkeypatch.setattr(packages, "download", download)
    sha = hashlib.sha256(raw).hexdigest()
    return Package("tiny", "1.0", "wheel", sha, len(raw), "MIT"), calls


def wheel_copy(path, raw):
    path.write_bytes(raw)
    return path


def test_fetched_once_then_offline(tiny, cache):
    package, calls = tiny
    folder = fetch(package)
    assert folder == cache / "packages" / "tiny-1.0"
    assert (folder / "tiny" / "data.txt").read_text() == "hello"
    assert fetch(package) == folder
    assert len(calls) == 1
    assert {p.name for p in folder.parent.iterdir()} == {"tiny-1.0", ".tiny-1.0.lock"}  # no leftovers


def test_other_bytes_are_refused(tiny, cache):
    package, _ = tiny
    with pytest.raises(RequestError, match="expected sha256 " + "0" * 64):
        fetch(replace(package, sha256="0" * 64))
    assert not (cache / "packages" / "tiny-1.0").exists()


def test_two_at_once_build_one(tmp_path):
    """The second waits for the first; both see the whole file."""
    built, inside = [], threading.Event()

    def build(part):
        built.append(1)
        inside.set()
        threading.Event().wait(0.2)  # long enough for the other thread to come to the lock
        part.write_text("whole")

    def ask():
        assert once(tmp_path / "thing", build).read_text() == "whole"

    first = threading.Thread(target=ask)
    first.start()
    inside.wait(5)
    ask()
    first.join()
    assert built == [1]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "a\\..\\out.txt", "C:out.txt"])
def test_zip_slip_is_refused(tmp_path, name):
    archive = wheel(tmp_path / "x.whl", {"fine.txt": "1", name: "2"})
    with pytest.raises(RequestError, match="points outside its folder"):
        unpack.unpack(archive, tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["x.whl"]


def test_zip_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as z:
        z.writestr(link, "/etc/passwd")
    with pytest.raises(RequestError, match="is a link"):
        unpack.unpack(tmp_path / "x.whl", tmp_path / "folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, None])
def test_tar(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as t:
        plain = tarfile.TarInfo("d/plain.txt")
        plain.size = 2
        t.addfile(plain, io.BytesIO(b"ok"))
        if kind is not None:
            other = tarfile.TarInfo("d/other")
            other.type, other.linkname = kind, "plain.txt"
            t.addfile(other)
    if kind is None:
        unpack.unpack(tmp_path / "x.tar.gz", tmp_path / "folder")
        assert (tmp_path / "folder/d/plain.txt").read_bytes() == b"ok"
    else:
        with pytest.raises(RequestError, match="link or a device"):
            unpack.unpack(tmp_path / "x.tar.gz", tmp_path / "folder")


def test_absurd_sizes_are_refused(tmp_path, monkeypatch):
    archive = wheel(tmp_path / "x.whl", {"a": "12345", "b": "67890"})
    monkeypatch.setattr(unpack, "MAX_BYTES", 9)
    with pytest.raises(RequestError, match="10 bytes in all"):
        unpack.unpack(archive, tmp_path / "folder")
    monkeypatch.setattr(unpack, "MAX_BYTES", 10)
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 1)
    with pytest.raises(RequestError, match="holds 2 files"):
        unpack.unpack(archive, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("name", ["x.whl", "x.tar.gz"])
def test_no_archive(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an archive")
    with pytest.raises(RequestError, match="does not read as one"):
        unpack.unpack(tmp_path / name, tmp_path / "folder")


PINNED = Package("tiny", "1.0", "wheel", "0" * 64, 1000, "MIT")


def test_without_pip(monkeypatch, tmp_path):
    monkeypatch.setattr(by_pip.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match="ensurepip"):
        by_pip.download(PINNED, tmp_path)


def stand_in(tmp_path, monkeypatch, body):
    """A program in pip's place, so that no index is asked."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setattr(by_pip.sys, "executable", str(program))
    work = tmp_path / "work"
    work.mkdir()
    return work


def test_failed_download_says_how_to_go_on(monkeypatch, tmp_path):
    work = stand_in(tmp_path, monkeypatch, "print('ERROR: no route'); sys.exit(1)")
    with pytest.raises(RequestError) as caught:
        by_pip.download(PINNED, work)
    message = str(caught.value)
    assert "could not fetch tiny 1.0" in message
    assert "ERROR: no route" in message
    assert "pip download --no-deps --only-binary :all: tiny==1.0" in message
    assert "a machine with a network" in message


def test_progress_follows_the_growing_folder(monkeypatch, tmp_path):
    body = """
dest = sys.argv[sys.argv.index('--dest') + 1]
with open(os.environ['TMPDIR'] + '/part', 'wb', buffering=0) as f:
    for _ in range(5):
        f.write(bytes(200)); time.sleep(0.15)
open(dest + '/tiny.whl', 'wb').close()"""
    work = stand_in(tmp_path, monkeypatch, body)
    seen = []
    monkeypatch.setattr(Bar, "to", lambda self, done: seen.append(done))
    assert by_pip.download(PINNED, work).name == "tiny.whl"
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    assert seen[-1] == pytest.approx(1000 / 1e6)


def test_pip_is_told_the_hash_and_the_form():
    assert by_pip.requirement(PINNED) == "tiny==1.0 --hash=sha256:" + "0" * 64
    assert by_pip.arguments(PINNED) == ["download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    assert by_pip.arguments(replace(PINNED, kind="sdist"))[-2:] == ["--no-binary", "tiny"]
