"""Samples on the page: disagreements that are ones, and hostile names and texts that stay text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tether.report.comparison import compare_runs
from tether.report.figures import figures_of, write_figures
from tether.report.gallery import disagreements_of, examples_of
from tether.report.page import MAX_BYTES, page_html
from tether.report.svg import COLOURS, clip

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>' onload='alert(2)",
    "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "x" * 5000,
    "]]></svg><script>alert(3)</script>$\\frac{1}{2}$ \x00\x1b[31m & {{ 7*7 }}",
]


def test_a_disagreement_is_one_and_says_what_each_method_said(runs, comparison):
    found = disagreements_of(runs, comparison.classes)
    assert found.disagreements
    for d in found.disagreements:
        said = {m: a.name for a in d.answers for m, _ in a.methods}
        assert set(said) == {run.method for run in runs}
        assert len(set(said.values())) > 1
        for run in runs:
            if run.seed:
                continue
            s = next(s for s in run.sets if s.key == d.key)
            row = s.probabilities[list(s.ids).index(d.id)]
            assert said[run.method] == comparison.classes[row.argmax()]
            confidence = dict(pair for a in d.answers for pair in a.methods)[run.method]
            assert confidence == pytest.approx(float(row.max()))
            assert d.shown.name == comparison.classes[s.labels[list(s.ids).index(d.id)]]
        assert [a.right for a in d.answers].count(True) <= 1
        assert all(a.right == (a.name == d.shown.name) for a in d.answers)


def test_one_method_and_samples_without_ids_have_a_reason(runs, comparison):
    alone = [run for run in runs if run.method == "rdft"]
    assert "nobody" in disagreements_of(alone, comparison.classes).reason
    old = [replace(r, samples=tuple(replace(s, id=None) for s in r.samples)) for r in runs]
    assert "no samples with ids" in disagreements_of(old, comparison.classes).reason
    assert examples_of(old, comparison.classes).sets  # what is good is kept


def test_adversarial_samples_are_not_compared(runs, comparison):
    def turned(run):
        sets = tuple(replace(s, key=replace(s.key, kind="adversarial")) for s in run.sets)
        return replace(
            run,
            sets=sets,
            samples=tuple(replace(s, key=replace(s.key, kind="adversarial")) for s in run.samples),
        )

    assert not disagreements_of([turned(r) for r in runs], comparison.classes).disagreements


def test_samples_share_their_budget_fairly(runs, comparison):
    size = max(len(s.image) for s in runs[0].samples if s.image)
    small = examples_of(runs, comparison.classes, limit=len(runs[0].keys) * size)
    assert {key for key, _ in small.sets} == set(runs[0].keys)  # one of each before the second of any
    assert small.left_out > 0
    assert examples_of(runs, comparison.classes).left_out == 0


class Page(HTMLParser):
    """Tags, text, and the text that stands in no element that keeps its direction to itself."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.loose, self.shut = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.shut += tag in ("bdi", "blockquote", "pre", "title")

    def handle_endtag(self, tag):
        self.shut -= tag in ("bdi", "blockquote", "pre", "title")

    def handle_data(self, data):
        self.text.append(data)
        if not self.shut:
            self.loose.append(data)


@pytest.fixture(scope="module")
def hostile(runs):
    """Every string that a run brings is hostile: names, texts, config, log and decisions."""
    names = {m: HOSTILE[i] for i, m in enumerate(dict.fromkeys(r.method for r in runs))}
    out = []
    for run in runs:
        sets = tuple(
            replace(s, key=replace(s.key, evalset=s.key.evalset + HOSTILE[k % 5]))
            for k, s in enumerate(run.sets)
        )
        keys = {old.key: new.key for old, new in zip(run.sets, sets, strict=True)}
        samples = tuple(
            replace(s, key=keys[s.key], text=HOSTILE[k % 5] + str(s.id), image=None)
            for k, s in enumerate(run.samples)
        )
        log = tuple({**row, "terms": {HOSTILE[0]: 1.0, HOSTILE[4]: 0.5}} for row in run.log[:20])
        out.append(
            replace(
                run,
                method=names[run.method],
                classes=tuple(HOSTILE[2:]),
                sets=sets,
                samples=samples,
                config_text=HOSTILE[0] + HOSTILE[1],
                log=log,
                validation=({"step": 1, "factors": {HOSTILE[1]: 1.0}, "reason": HOSTILE[0]},),
                problems=(HOSTILE[1],),
                summary={**run.summary, "seen_shifts": [HOSTILE[0]]},
            )
        )
    return out


def test_a_hostile_run_stays_text(hostile):
    html = page_html(compare_runs(hostile, resamples=20), hostile, HOSTILE[1], HOSTILE[0], HOSTILE[1])
    assert len(html.encode()) < MAX_BYTES
    page = Page()
    page.feed(html)
    tags = [t for t, _ in page.tags]
    assert tags.count("script") == 1
    assert not [a for t, a in page.tags if t == "img" and not a["src"].startswith("data:image/png;base64,")]
    assert not [k for _, a in page.tags for k in a if k.startswith("on")]
    text = "".join(page.text)
    for words in HOSTILE[:3]:
        assert words in text
    # A name that turns the reading direction is shut in wherever it stands in a line of ours.
    for _, attrs in page.tags:
        for key in ("href", "src"):
            assert attrs.get(key, "#").startswith(("#", "data:", "%22%3E"))
    assert [t for t in page.loose if "\u202e" in t] == []


def test_figures_with_hostile_names_are_whole_files(hostile, tmp_path):
    from xml.etree import ElementTree as ET

    from PIL import Image

    some = hostile[::2]
    written = write_figures(compare_runs(some, resamples=20), some, tmp_path / "figures")
    names = {p.name for p in written}
    assert {"pareto.svg", "pareto.png", "calibration.svg", "shift-map.png"} <= names
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.(svg|png)", n) for n in names)
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(names)
    for path in written:
        if path.suffix == ".svg":
            root = ET.fromstring(path.read_bytes())
            assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
            assert "currentColor" not in path.read_text(encoding="utf-8")
        else:
            with Image.open(path) as picture:
                picture.load()
                assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_names_are_cut_in_the_middle_and_cleaned():
    assert clip("a" * 20 + "b" * 20, 9) == "aaaa…bbbb"
    assert clip("\u202eabc\x00") == "\ufffdabc\ufffd"
    assert clip("gaussian_noise") == "gaussian_noise"


def test_figures_have_names_of_their_own(runs, comparison):
    drawn = figures_of(comparison, runs)
    assert list(drawn) == [
        "intervals",
        "pareto",
        "id-ood",
        "mu-paths",
        "severity",
        "shift-map",
        "calibration",
    ]
    assert all(d.label for d in drawn.values())


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes():
    from importlib import resources

    css = resources.files("tether.report").joinpath("page.css").read_text()
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    found = [dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", root)) for root in roots]
    return [
        {k: v if len(v) == 7 else "#" + "".join(2 * c for c in v[1:]) for k, v in t.items()} for t in found
    ]


def test_words_and_marks_stand_out_in_light_dark_and_print():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert len(themes()) == 3
    for theme in themes():
        for ink in ("ink", "soft", "good", "bad", "plain"):
            for paper in ("paper", "panel"):
                assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper)
        assert all(contrast(c, theme["paper"]) >= 3 for c in COLOURS)


def test_thirty_methods_make_one_readable_page(runs):
    few = [replace(r, sets=r.sets[:4], samples=(), log=(), merge=()) for r in runs[::2]]
    many = [replace(few[i % 4], method=f"method {i}") for i in range(30)]
    html = page_html(compare_runs(many, resamples=20), many, "t", "c")
    assert len(html.encode()) < MAX_BYTES
    assert '<body class="many">' in html
    assert "Those inside the noise" in html
