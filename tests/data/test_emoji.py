import io
import json
from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tether.data import DataConfig, emoji, examine, load_data, prepare
from tether.data.emoji_draw import SIZE, Style, draw, read_style, svg
from tether.data.emoji_labels import CLASSES, Emoji, identity, labelled, points
from tether.errors import RequestError

SUBGROUPS = {"1": "animal-mammal", "2": "transport-air", "3": "flag", "4": "face-hat", "5": "cat-face"}


def test_classes_are_joined_from_subgroups():
    entries = [
        {"label": "dog", "hexcode": "1F415", "subgroup": 1},
        {"label": "regional indicator A", "hexcode": "1F1E6"},  # in no subgroup
        {"label": "airplane", "hexcode": "2708-FE0F", "subgroup": 2},
        {"label": "white flag", "hexcode": "1F3F3-FE0F", "subgroup": 3},
        {"label": "partying face", "hexcode": "1F973", "subgroup": 4},
        {
            "label": "grinning cat",
            "hexcode": "1F63A",
            "subgroup": 5,
        },  # neither a face of a person nor an animal
    ]
    assert labelled(entries, SUBGROUPS) == [
        Emoji("dog", "1f415", "1f415", "mammal"),
        Emoji("airplane", "2708", "2708", "air or water vehicle"),
        Emoji("partying face", "1f973", "1f973", "face"),
    ]


def test_seventeen_classes_share_no_subgroup():
    subgroups = [name for names in CLASSES.values() for name in names]
    assert len(CLASSES) == 17
    assert len(set(subgroups)) == len(subgroups)


@pytest.mark.parametrize(
    "same",
    [
        ("1F9D1-200D-1F52C", "1F468-200D-1F52C", "1F469-1F3FD-200D-1F52C"),  # scientists
        (
            "1F6B6",
            "1F6B6-200D-2642-FE0F",
            "1F6B6-1F3FB-200D-2640-FE0F-200D-27A1-FE0F",
            "1F6B6-200D-27A1-FE0F",
        ),
        ("1F9D1-200D-1F9B0", "1F469-200D-1F9B0"),  # red hair
        ("2600", "2600-FE0F"),
        ("1F44D", "1F44D-1F3FF"),
    ],
)
def test_one_identity(same):
    assert len({identity(code) for code in same}) == 1


def test_other_identities():
    different = [
        "1F468",
        "1F469",
        "1F9D1",
        "1F9D1-200D-1F52C",
        "1F9D1-200D-1F680",
        "1F415",
        "1F415-200D-1F9BA",
        "2640",
    ]
    assert len({identity(code) for code in different}) == len(different)
    assert points("1F6B6-200D-2642-FE0F") == "1f6b6-200d-2642"


def flock(variants=2):
    """60 identities in three classes, some with two emoji; every third is unknown to the validation style."""
    names = ("mammal", "face", "tool")
    return [
        Emoji(f"{i} {v}", f"{i:x}-{v}", f"{i:x}", names[i % 3])
        for i in range(60)
        for v in range(1 + i % variants)
    ]


def test_identities_are_divided_within_each_class():
    known = {e.points for e in flock() if int(e.identity, 16) % 5}
    purpose = emoji.divide(flock(), known)
    assert Counter(purpose.values()) == {"test": 20, "val": 7, "train": 33}
    per_class = Counter((purpose[e.identity], e.label) for e in flock(1))
    assert all(6 <= per_class["test", label] <= 7 for label in ("mammal", "face", "tool"))
    assert all(2 <= per_class["val", label] <= 3 for label in ("mammal", "face", "tool"))
    assert all(int(i, 16) % 5 for i, p in purpose.items() if p == "val")
    assert purpose == emoji.divide(flock(), known)


def test_the_tests_do_not_depend_on_what_the_validation_style_draws():
    one, other = emoji.divide(flock(), {e.points for e in flock()}), emoji.divide(flock(), set())
    assert [i for i, p in one.items() if p == "test"] == [i for i, p in other.items() if p == "test"]


ICONS = {
    "prefix": "tiny",
    "width": 8,
    "height": 4,
    "icons": {"left": {"body": '<path fill="#f00" d="M0 0h4v4H0z"/>'}},
    "aliases": {"right": {"parent": "left", "hFlip": True}, "again": {"parent": "right", "hFlip": True}},
}


def pixels(style, code):
    pytest.importorskip("resvg_py")
    image = Image.open(io.BytesIO(draw(svg(style, code))))
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    return np.asarray(image).reshape(4, SIZE // 4, 2, SIZE // 2, 3).mean((1, 3)).round().tolist()


def test_an_icon_is_drawn_on_white_in_the_middle():
    """8 x 4 in a square: rows 2 and 3 of four hold it, left half red."""
    white, red = [255, 255, 255], [255, 0, 0]
    style = Style(ICONS, {"a": "left", "b": "right", "c": "again"})
    assert pixels(style, "a") == [[white, white], [red, white], [red, white], [white, white]]
    assert pixels(style, "b") == [[white, white], [white, red], [white, red], [white, white]]
    assert pixels(style, "c") == pixels(style, "a")


def test_a_style_without_its_own_characters_borrows_names(tmp_path):
    (tmp_path / "icons.json").write_text(json.dumps(ICONS))
    (tmp_path / "chars.json").write_text("{}")
    style = read_style(tmp_path, {"1f415": "left", "1f431": "cat"})
    assert [style.has(code) for code in ("1f415", "1f431", "1f600")] == [True, False, False]
    (tmp_path / "chars.json").write_text('{"2708-fe0f": "right"}')
    assert read_style(tmp_path, {"1f415": "left"}).names == {"2708": "right"}


def test_an_alias_of_an_unknown_kind_is_refused():
    style = Style(ICONS | {"aliases": {"turned": {"parent": "left", "rotate": 1}}}, {"a": "turned"})
    with pytest.raises(RequestError, match="rotate"):
        svg(style, "a")


@pytest.mark.integration
def test_emoji():
    bundle = load_data(DataConfig.model_validate("emoji"))
    assert {name: len(s) for name, s in bundle.sets().items()} == {
        "train": 551,
        "id_val": 103,
        "id_test": 335,
        "ood_val/noto-v1": 99,
        "ood_test/fluent-emoji-flat": 335,
        "ood_test/fluent-emoji-high-contrast": 335,
        "ood_test/openmoji": 335,
        "ood_test/twemoji": 335,
    }
    assert set(bundle.classes) == set(CLASSES)
    assert bundle.train.batch([0]).x.shape == (1, 3, 112, 112)
    assert not examine(bundle).leakage


@pytest.mark.integration
def test_no_identity_serves_two_purposes():
    columns = pq.read_table(
        prepare("emoji") / "table.parquet", columns=["identity", "split", "name", "domain"]
    )
    seen, names = defaultdict(set), defaultdict(list)
    for row in columns.to_pylist():
        seen[row["split"].removeprefix("id_").removeprefix("ood_")].add(row["identity"])
        names[row["domain"] if row["split"] == "ood_test" else row["split"]].append(row["name"])
    assert {k: len(v) for k, v in seen.items()} == {"train": 456, "val": 91, "test": 274}
    assert len(set().union(*seen.values())) == 456 + 91 + 274  # so no two of them meet
    assert all(names[style] == names["id_test"] for style in emoji.TESTS)  # the same things in every style
