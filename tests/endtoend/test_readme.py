"""The README's Python example runs, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tether
from project import make_project
from tether.cli import main

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same five lines, on a tiny project in place of the preset."""
    example = blocks("python")[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 5
    config = str(make_project(tmp_path, output=None))
    monkeypatch.chdir(tmp_path)
    exec(compile(example.replace('"digits"', repr(config)), "README.md", "exec"), {})
    assert (tmp_path / "report.html").is_file()


def test_every_public_name_resolves() -> None:
    for name in tether.__all__:
        assert callable(getattr(tether, name))
    assert callable(tether.train)
    assert callable(tether.evaluate)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tether.nothing  # noqa: B018


COMMANDS = ["train", "compare", "evaluate", "predict", "report", "doctor", "list", "data prepare"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_that_names_the_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"Example: .*tether {command} ", shown)


def test_readme_commands_parse(capsys: pytest.CaptureFixture[str]) -> None:
    for line in "\n".join(blocks("")).splitlines():
        if line.startswith("tether "):
            command = line.split("#")[0].split()[1]
            assert main([command, "--help"]) == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert tether.__version__ in capsys.readouterr().out


def test_help_does_not_import_torch() -> None:
    import subprocess
    import sys

    check = "import sys; from tether.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True).returncode == 0
