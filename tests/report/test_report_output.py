import csv
import io
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from tether.errors import RequestError
from tether.report import page
from tether.report.comparison import compare_runs
from tether.report.curves import loss_plot, merge_plot
from tether.report.page import MAX_BYTES, write_page
from tether.report.plots import intervals_plot, severity_plot, shift_map
from tether.report.scatter import id_ood_plot
from tether.report.tables import comparison_csv, comparison_json, number, print_comparison, seconds


class Reader(HTMLParser):
    """What a browser would make of the page: its tags with their attributes, its ids, its text."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def written(comparison, runs, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(comparison, runs, target, "Title <b>", "tether compare digits --methods 'a<b'")


@pytest.fixture(scope="module")
def reader(written):
    out = Reader()
    out.feed(written.read_text())
    return out


def test_page_is_small_and_has_its_tables_beside_it(written, comparison):
    assert written.stat().st_size < MAX_BYTES
    assert written.with_suffix(".csv").read_text() == comparison_csv(comparison)
    assert written.with_suffix(".json").read_text() == comparison_json(comparison)


def test_nothing_that_a_run_says_becomes_markup(reader, written):
    scripts = [t for t, _ in reader.tags if t == "script"]
    assert len(scripts) == 1  # our own
    text = "".join(reader.text)
    assert "<script>alert('text')</script> fine" in text
    assert "<script>alert('class')</script>" in text
    assert not any(t == "b" for t, _ in reader.tags)
    assert not any(k.startswith("on") for _, attrs in reader.tags for k in attrs)


def test_method_names_are_escaped_in_pictures_too(runs):
    evil = [replace(r, method="<script>x</script>$y$") if r.method == "rdft" else r for r in runs]
    html = page.page_html(compare_runs(evil, resamples=20), evil, "t", "c")
    assert "<script>x" not in html
    assert "&lt;script&gt;x&lt;/script&gt;$y$" in html


def test_page_loads_nothing(reader, written):
    html = written.read_text()
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for tag, attrs in reader.tags:
        assert tag not in ("iframe", "object", "embed")
        if tag == "link":
            assert attrs == {"rel": "icon", "href": "data:,"}  # else a browser asks for /favicon.ico
            continue
        for key in ("src", "href", "xlink:href"):
            asked = attrs.get(key, "#")
            assert asked.startswith(("#", "data:image/png;base64,")) or asked in (
                "report.csv",
                "report.json",
            ), (tag, attrs)
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_policy_admits_our_script(written):
    import base64
    import hashlib

    html = written.read_text()
    body = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"sha256-{digest}" in html.replace("&#43;", "+")


def test_ids_are_unique_and_every_reference_finds_its_own(reader, written):
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(ids) == len(set(ids))
    html = written.read_text()
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', html))
    assert used
    assert used <= set(ids)


def test_pictures_and_examples_have_words_for_those_who_cannot_see(reader):
    svgs = [a for t, a in reader.tags if t == "svg"]
    assert len(svgs) == 7 + 8 + 2  # comparison, losses, merges
    assert all(a.get("aria-label") and a.get("role") == "img" for a in svgs)
    images = [a for t, a in reader.tags if t == "img"]
    assert images
    assert all(a.get("alt") for a in images)


def test_headings_go_down_one_level_at_a_time_and_the_verdict_is_first(reader, written):
    levels = [int(t[1]) for t, _ in reader.tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    html = written.read_text()
    assert html.index(">Verdict</h2>") < html.index("<table")


def test_page_says_command_config_seen_shifts_and_words(reader):
    text = "".join(reader.text)
    assert "tether compare digits --methods 'a<b'" in text
    assert "name: rdft" in text
    assert "fog, mixup" in text
    assert "the run does not say" in text
    for word in ("ID (in distribution)", "OOD (out of distribution)", "Robustness gap"):
        assert word in text


def test_many_large_examples_do_not_burst_the_page(comparison, runs):
    big = replace(runs[0], samples=tuple(replace(s, text="é" * 10**6, image=None) for s in runs[0].samples))
    heavy = tuple(replace(s, image=s.image + "A" * 400_000) for s in runs[0].samples if s.image)
    for samples in (big.samples, heavy):
        html = page.page_html(comparison, [replace(runs[0], samples=samples), *runs[1:]], "t", "c")
        assert len(html.encode()) < MAX_BYTES
    assert "more examples are left out" in html


def test_what_is_no_png_is_not_shown(comparison, runs):
    bad = tuple(replace(s, image="javascript:alert(1)", text=None) for s in runs[0].samples)
    html = page.page_html(comparison, [replace(r, samples=bad) for r in runs], "t", "c")
    assert "javascript:" not in html
    assert "<img" not in html


def test_a_page_that_cannot_be_small_is_refused(comparison, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MAX_BYTES", 1000)
    with pytest.raises(RequestError, match="compare fewer methods"):
        write_page(comparison, runs, tmp_path / "r.html", "t", "c")
    assert list(tmp_path.iterdir()) == []


def test_a_single_run_without_logs_or_examples_has_a_page(runs, tmp_path):
    bare = [replace(runs[0], log=(), samples=(), merge=(), config={}, config_text="")]
    path = write_page(compare_runs(bare, resamples=20), bare, tmp_path / "r.html", "t", "c")
    assert "No run kept a log" in path.read_text()


def test_pictures_are_whole_svg_with_text_as_text(comparison, runs):
    drawn = [
        intervals_plot(comparison),
        id_ood_plot(comparison),
        severity_plot(comparison),
        shift_map(comparison),
    ]
    drawn += [loss_plot(runs[6], "a"), merge_plot(next(r for r in runs if r.merge), "b")]
    drawn = [d.inline() for d in drawn]
    for svg in drawn:
        root = ET.fromstring(svg)
        assert root.get("viewBox")
        assert root.findall(".//{http://www.w3.org/2000/svg}text")
        assert "currentColor" in svg
        assert "#010203" not in svg
    words = [t.text for t in ET.fromstring(drawn[3]).iter("{http://www.w3.org/2000/svg}text")]
    assert "gaussian_noise" in words
    assert f"{100 * comparison.rows[0].id_accuracy.value:.1f}" in words


def test_pictures_that_have_nothing_to_show_are_none(comparison, runs):
    assert merge_plot(replace(runs[0], merge=()), "a") is None
    assert loss_plot(replace(runs[0], log=()), "a") is None
    flat = replace(comparison, shifts=tuple(s for s in comparison.shifts if s.key.severity == 0))
    assert severity_plot(flat) is None


def test_a_loss_that_became_nan_is_still_drawn(runs):
    log = ({"step": 0, "loss": 1.0}, {"step": 1, "loss": float("nan")}, {"step": 2, "loss": None})
    assert "loss from 1 to 1" in loss_plot(replace(runs[0], log=log), "a").inline()


def test_the_terminal_table_fits_and_says_the_verdicts(comparison):
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_comparison(comparison, console)
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "…" not in text
    flowed = " ".join(text.split())
    for r in comparison.rows:
        assert r.verdict in flowed
        assert percent_of(r.gap.value) in text


def percent_of(x):
    return f"{100 * x:.1f}"


def test_csv_and_json_hold_the_same_numbers(comparison):
    lines = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    value = json.loads(comparison_json(comparison), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    assert [line["method"] for line in lines] == [r["method"] for r in value["rows"]]
    for line, r, ours in zip(lines, value["rows"], comparison.rows, strict=True):
        assert float(line["gap_low"]) == r["gap"]["low"] == ours.gap.low
    assert lines[0]["gap_reduction"] == ""
    assert value["rows"][0]["gap_reduction"]["value"] is None


def test_numbers_to_read():
    assert [number(x) for x in (12, 1155, 22_700_000, float("nan"))] == ["12", "1.2k", "22.7M", "–"]
    assert [seconds(x) for x in (0, 0.042, 31.6, 600, 4000)] == ["0 s", "42 ms", "32 s", "10 min", "1.1 h"]
