from __future__ import annotations

import pytest

from tether.errors import RequestError
from tether.shifts import Shift, all_shifts, check_roles, default_names, get, role_of
from tether.shifts.registry import _ROLES


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
        "brightness",
        "contrast",
        "pixelate",
        "jpeg_compression",
    )
    assert default_names("val", "image") == ("speckle_noise", "gaussian_blur", "saturate")
    assert default_names("train", "image") == ("augmix", "geometry", "tone")
    assert default_names("test", "text") == ("typos", "keyboard", "ocr", "dialect")
    assert default_names("val", "text") == ("contractions", "spelling")
    assert default_names("train", "text") == (
        "word_dropout",
        "word_swap",
        "punctuation",
        "elongation",
        "synonyms",
    )


def test_shifts_that_are_never_default_have_a_role_all_the_same():
    roles = {name: role_of(get(name)) for name in ("case", "glossary", "demographic", "era", "dialect_aint")}
    assert roles == {
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
    assert sorted(families) == sorted({s.family for s in all_shifts()})  # also: none twice
    assert all(role_of(s) is not None for s in all_shifts())


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
