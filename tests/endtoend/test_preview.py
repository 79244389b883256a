"""The preview sheet: all shifts of the modality, on the user's own samples, safely escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from project import make_project
from tether import shifts
from tether.cli import main
from tether.preview import preview
from tether.report.sheet import Panel, marked, write_sheet


def shown(page: Path) -> list[str]:
    return re.findall(r'<h2 id="([^"]+)"', page.read_text())


def test_texts_are_escaped_and_their_changes_marked(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text('The <script>alert("x")</script> service was wonderful\nanother line of words\n')
    page = preview(str(lines), tmp_path / "sheet.html", severities=[5])
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<mark>" in text
    ready = {s.name for s in shifts.all_shifts() if s.modality == "text"}
    assert ready <= set(shown(page))
    assert "gaussian_noise" not in text


def test_pictures_of_a_folder_become_strips(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        Image.new("RGB", (40, 30), (50 * i, 90, 200)).save(tmp_path / "photos" / f"{i}.png")
    out = tmp_path / "s.html"
    asked = ["shifts", "preview", str(tmp_path / "photos"), "-o", str(out), "--shifts", "contrast,geometry"]
    assert main([*asked, "--severities", "1,3"]) == 0
    assert shown(out) == ["contrast", "geometry"]
    assert out.read_text().count("data:image/webp;base64,") == 2
    assert main([*asked, "--severities", "nine"]) == 2
    assert main([*asked, "--severities", "9"]) == 2


def test_what_needs_a_model_is_built_from_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack sees the model and the initial teacher; without a config it is listed as not shown."""
    asked = []

    def apply(batch, severity, draws, model, teachers):
        asked.append(teachers["initial"](batch, ()).logits["main"].shape)
        return shifts.get("typos")(batch, severity, draws)

    attack = shifts.Attack("asks", "adversarial", "text", "asks a model", apply, ("initial",))
    monkeypatch.setattr(shifts.registry, "_SHIFTS", {**shifts.registry._SHIFTS, "asks": attack})
    page = preview(str(make_project(tmp_path)), tmp_path / "sheet.html", only=["asks"], severities=[5])
    assert shown(page) == ["asks"]
    assert asked
    (tmp_path / "l.txt").write_text("a line\n")
    page = preview(str(tmp_path / "l.txt"), tmp_path / "sheet.html", only=["asks"])
    assert shown(page) == ["skipped"]


def test_a_wrong_modality_and_an_unknown_name_exit_with_2(tmp_path: Path, capsys) -> None:
    (tmp_path / "l.txt").write_text("a line\n")
    asked = ["shifts", "preview", str(tmp_path / "l.txt"), "-o", str(tmp_path / "s.html")]
    assert main([*asked, "--shifts", "contrast"]) == 2
    assert "contrast (image)" in capsys.readouterr().err
    assert main([*asked, "--shifts", "typo"]) == 2
    assert "did you mean 'typos'" in capsys.readouterr().err
    assert not (tmp_path / "s.html").exists()


def test_marks_hold_exactly_the_new_words() -> None:
    out = str(marked("a good day", "a god day & night"))
    assert re.sub(r"<del>.*?</del>|</?mark>", "", out) == "a god day &amp; night"
    assert str(marked("same", "same")) == "same"


def test_the_strip_shows_what_the_views_hold(tmp_path: Path) -> None:
    import base64
    import io

    import numpy as np

    views = (torch.zeros(2, 3, 16, 16), torch.ones(2, 3, 16, 16) * 0.5)
    panel = Panel("grey", "f", "grey", (0, 3), views)
    data = base64.b64decode(panel.strip.partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
    assert pixels.shape == (35, 35, 3)
    assert pixels[4:12, 4:12].mean() < 10
    assert abs(pixels[4:12, 23:31].mean() - 127.5) < 4
    assert write_sheet([panel], tmp_path / "x.html", "t", "c").is_file()
