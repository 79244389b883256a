"""Take the report's pictures for the documentation from a folder of runs.

    python docs/screenshots.py runs/compare-sentiment
    python docs/screenshots.py runs/compare-digits --top docs/images/report.png   # the README's one

It writes docs/images/report-*.webp and needs a Chromium on the path (or $CHROMIUM) and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the browser's driver is the one that the tests use

from chromium import Chromium  # noqa: E402
from tether.report.comparison import compare_runs  # noqa: E402
from tether.report.page import write_page  # noqa: E402
from tether.report.runs import find_runs, read_runs  # noqa: E402

DESKTOP, PHONE = 1100, 390  # points
TOP = 1160  # points of the page's first screen
SCREENS = 1.6  # heights of a phone's screen that its picture shows


def take(page: Path, folder: Path) -> list[Path]:
    """Every picture of the documentation, from a written page into a folder."""
    address = page.resolve().as_uri()
    taken = []
    with Chromium() as browser:
        light = browser.open(address, DESKTOP)
        end = light.box("#cost" if light.run("!!document.querySelector('#cost')") else "#accuracy")["y"]
        whole = {"x": 0, "y": 0, "width": DESKTOP, "height": end}
        light.screenshot(taken_as(taken, folder / "report-desktop.webp"), whole)
        dark = browser.open(address, DESKTOP, dark=True)
        for name in ("cost", "accuracy", "shifts", "calibration", "mistakes", "disagreements"):
            if dark.run(f"!!document.querySelector('#{name}')"):
                tab = dark if name in ("cost", "accuracy") else light
                box = tab.box(f"section[aria-labelledby={name}]") | {"x": 0, "width": DESKTOP}
                box["height"] = min(box["height"], 1200)
                tab.screenshot(taken_as(taken, folder / f"report-{name}.webp"), box)
        phone = browser.open(address, PHONE, 844, phone=True)
        screen = {"x": 0, "y": 0, "width": PHONE, "height": int(844 * SCREENS)}
        phone.screenshot(taken_as(taken, folder / "report-phone.webp"), screen)
        for tab in (light, dark, phone):
            if tab.errors:
                raise SystemExit(f"the page has errors: {tab.errors}")
    return taken


def take_top(page: Path, path: Path) -> list[Path]:
    """The page's first screen alone: verdict and table."""
    with Chromium() as browser:
        tab = browser.open(page.resolve().as_uri(), DESKTOP)
        tab.screenshot(path, {"x": 0, "y": 0, "width": DESKTOP, "height": TOP})
    return [path]


def taken_as(taken: list[Path], path: Path) -> Path:
    """The path, noted among those written."""
    taken.append(path)
    return path


def main() -> None:
    """Build the page in a temporary folder, so that the runs' folder stays as it is."""
    parser = argparse.ArgumentParser(description="Take the report's pictures for the documentation.")
    parser.add_argument("folder", type=Path, help="a folder that holds runs, as tether compare writes it")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--title", help="heading of the page; the folder's name by default")
    parser.add_argument("--command", default="", help="the command that made the runs, shown on the page")
    parser.add_argument("--top", type=Path, help="only the first screen, into this file")
    given = parser.parse_args()
    runs = read_runs(find_runs(given.folder))
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        title = given.title or given.folder.resolve().name
        page = write_page(compare_runs(runs), runs, Path(scratch) / "report.html", title, given.command)
        for path in take(page, given.out) if given.top is None else take_top(page, given.top):
            print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
