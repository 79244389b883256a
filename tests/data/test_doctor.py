import io

from rich.console import Console

from tether.data import DataConfig, examine, load_data
from tether.data.doctor import lines, show

SPLITS = ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2 + ["ood_test"] * 2
COLUMNS = {
    "text": [f"t{i}" for i in range(10)],
    "label": ["a", "a", "a", "b", "a", "b", "a", "b", "a", "b"],
    "split": SPLITS,
    "domain": ["home"] * 8 + ["away"] * 2,
}


def findings(table, **columns):
    keys = {"source": "table", "text": "text", "label": "label", "split": "split", "domain": "domain"}
    path = table(**COLUMNS | columns)
    return examine(load_data(DataConfig.model_validate(keys | {"path": str(path)})))


def test_clean_data(table):
    found = findings(table)
    assert found.counts["train"] == {"a": 3, "b": 1}
    assert found.counts["ood_test/away"] == {"a": 1, "b": 1}
    assert found.imbalance == 3
    assert not found.leakage
    assert lines(found) == ["leakage: none found"]


def test_exact_duplicates_across_uses_are_leakage(table):
    texts = [*COLUMNS["text"][:6], "t0", "t4", "t1", "t6"]
    found = findings(table, text=texts)
    # t0 and t1 are training rows, t4 a validation row; t6 appears nowhere else any more.
    assert found.duplicates == {
        ("train", "id_test"): 1,
        ("train", "ood_test/away"): 1,
        ("id_val", "id_test"): 1,
    }
    assert found.leakage


def test_duplicates_within_one_use_are_not(table):
    assert not findings(table, text=["t0", *COLUMNS["text"][:1], *COLUMNS["text"][2:]]).leakage


def test_a_training_domain_is_not_out_of_distribution(table):
    found = findings(table, domain=["home"] * 10)
    assert found.shared_domains == ("ood_test/home",)
    assert found.leakage


def test_show_prints_counts_and_verdict(table):
    out = io.StringIO()
    show(findings(table), Console(file=out, width=100))
    assert "ood_test/away" in out.getvalue()
    assert "leakage: none found" in out.getvalue()
