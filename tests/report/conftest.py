"""One set of run folders for all tests of the report."""

from dataclasses import replace

import pytest
from run_folder import METHODS, write_run

from tether.report.comparison import compare_runs
from tether.report.runs import read_runs


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory):
    """Eight run folders; tests that change one copy it first."""
    root = tmp_path_factory.mktemp("runs")
    return [write_run(root / f"{m}-{s}", m, s) for m in METHODS for s in (0, 1)]


@pytest.fixture(scope="session")
def runs(run_folders):
    return read_runs(run_folders)


@pytest.fixture(scope="session")
def ordinary(runs):
    """Models trained without an intervention, eight more runs of them: enough for the line."""
    return [
        replace(r, method=f"{r.method}-{k}", config={"method": {"name": r.method}})
        for r in runs
        if r.method in ("linear_probe", "finetune")
        for k in range(2)
    ]


@pytest.fixture(scope="session")
def comparison(runs):
    return compare_runs(runs)
