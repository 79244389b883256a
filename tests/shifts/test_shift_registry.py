from __future__ import annotations

import pytest

from tether.errors import RequestError
from tether.shifts import Draws, Shift, all_shifts, catalogue, check_roles, default_names, get, role_of
from tether.shifts.roles import _ROLES


def test_names_are_found_once_and_misspelling_helps():
    assert [get(s.name) for s in all_shifts()] == list(all_shifts())
    with pytest.raises(RequestError, match="did you mean 'gaussian_noise'"):
        get("gausian_noise")


def test_roles_of_the_packaged_shifts():
    assert default_names("test", "image") == (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "fog",
        "frost_proc",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
    )
    assert default_names("val", "image") == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert default_names("train", "image") == ("augmix", "geometry", "tone")
    assert default_names("test", "text") == ("typos", "keyboard", "ocr", "dialect")
    assert default_names("val", "text") == ("contractions", "spelling")
    assert default_names("train", "text") == (
        "word_dropout",
        "word_swap",
        "punctuation",
        "elongation",
    )


def test_shifts_that_are_never_default_have_a_role_all_the_same():
    asked = ("synonyms", "case", "glossary", "demographic", "era", "dialect_aint")
    roles = {name: role_of(get(name)) for name in asked}
    assert roles == {
        "synonyms": "train",
        "case": "train",
        "glossary": "train",
        "demographic": "test",
        "era": "test",
        "dialect_aint": "test",
    }
    defaults = {n for role in ("train", "val", "test") for n in default_names(role, "text")}
    assert not defaults & set(roles)


def test_every_family_has_one_role():
    families = [f for group in _ROLES.values() for f in group]
    assert sorted(families) == sorted({s.family for s in catalogue()})  # also: none twice
    assert all(role_of(s) is not None for s in catalogue())


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_default_split_is_clean(modality):
    check_roles(*(default_names(role, modality) for role in ("train", "val", "test")))


def test_a_family_in_two_roles_is_refused_by_name():
    with pytest.raises(
        RequestError, match=r"'noise' is in train \(shot_noise\) and in test \(gaussian_noise\)"
    ):
        check_roles(["augmix", "shot_noise"], [], ["gaussian_noise", "contrast"])
    with pytest.raises(RequestError, match="'blur' is in val"):
        check_roles([], ["defocus_blur"], ["defocus_blur"])
    with pytest.raises(RequestError, match=r"in train .* and in val"):
        check_roles(["typos"], ["ocr"], [])
    check_roles(["shot_noise"], [], ["gaussian_noise"], allow_seen=True)
    with pytest.raises(RequestError, match="name of a shift"):
        check_roles(["nonsense"], [], [], allow_seen=True)


def test_own_families_count_too():
    mine = [Shift(n, "haze", "image", "mine", lambda b, s, d: b) for n in ("thin", "thick")]
    with pytest.raises(RequestError, match="'haze'"):
        check_roles([mine[0]], [], [mine[1]])
    assert role_of(mine[0]) is None


def test_a_spec_protects_words_and_gives_a_glossary_its_table(texts):
    calm = get({"name": "elongation", "protect": ["wonderful", "Boring"]})
    out = calm(texts, 5, Draws(0)).x
    assert all(
        w in t for t, old in zip(out, texts.x, strict=True) for w in ("wonderful", "Boring") if w in old
    )
    assert out != texts.x
    legal = get({"name": "glossary", "words": {"service": "provision"}, "weight": 2})
    assert "provision" in legal(texts, 5, Draws(0)).x[0]
    assert legal.name == get("glossary").name
    with pytest.raises(RequestError, match="shift of texts"):
        get({"name": "contrast", "protect": ["x"]})
    with pytest.raises(RequestError, match="list of words"):
        get({"name": "typos", "protect": "x"})
    with pytest.raises(RequestError, match="rule-based"):
        get({"name": "adv_substitution", "protect": ["x"]})
