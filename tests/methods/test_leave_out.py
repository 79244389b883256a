"""Parts left out of a method's value: what goes with them, what stays, what is refused."""

from __future__ import annotations

import pytest

from tether import methods
from tether.config import load_config
from tether.cost import teachers_asked
from tether.errors import RequestError
from tether.finish import keep
from tether.methods import Method
from tether.methods.leave_out import check_part, families, left_out, without_shifts


def less(name: str, *parts: str, **options: object) -> Method:
    method = methods.build(name, options)
    return left_out(method, parts, teachers_asked(method))


def active(method: Method) -> set[str]:
    return {t.name for t in method.terms if t.weight != 0}


def test_who_asks_whom_is_found_by_running_each_term_once() -> None:
    asked = teachers_asked(methods.build("rdft", {}))
    assert asked == {
        "ce": frozenset(),
        "kd_task": frozenset({"task"}),
        "robust": frozenset({"initial"}),
        "feature": frozenset({"initial"}),
        "rar": frozenset({"initial"}),
    }
    three = teachers_asked(methods.build("three_head", {}))
    assert three["kd_unclean"] == {"robust"}
    assert three["ce_unclean"] == set()


def test_a_term_that_cannot_run_there_counts_as_asking_everyone() -> None:
    method = methods.build("rdft", {"teacher_head": "mlm"})
    asked = teachers_asked(method)
    (unknown,) = set(asked) - {"ce", "kd_task", "feature", "rar"}
    assert asked[unknown] == {"initial", "task"}


def test_a_term_goes_and_a_teacher_that_only_it_asked() -> None:
    method = less("rdft", "term.kd_task")
    assert active(method) == {"ce", "robust", "feature", "rar"}
    assert set(method.teachers) == {"initial"}
    assert set(less("rdft", "term.feature").teachers) == {"initial", "task"}


def test_a_teacher_takes_along_the_terms_that_ask_it() -> None:
    method = less("rdft", "teacher.initial")
    assert active(method) == {"ce", "kd_task"}
    assert set(method.teachers) == {"task"}
    alone = less("rdft", "teacher.initial", "teacher.task")
    assert active(alone) == {"ce"}
    assert not alone.teachers


def test_an_attack_keeps_the_teacher_that_it_asks() -> None:
    attack = {"name": "adv_divergence", "mode": "anchor"}
    method = less("rdft", "term.robust", "term.feature", "term.rar", shifts=[attack])
    assert "initial" in method.teachers


def test_finish_controller_and_rule_go() -> None:
    method = less("rdft", "finish", "controller", controller="id_floor", controller_reference="lora")
    assert method.finish is keep
    assert method.controller is None
    assert method.reference is None
    assert less("three_head", "predict").predict.name == "main"
    assert less("soup", "blend").ingredients == {}
    assert less("ema", "average").average is None


def test_shifts_go_by_name_or_family_and_the_others_keep_their_chances() -> None:
    shifts = [
        {"name": "augmix", "weight": 2},
        {"name": "geometry", "weight": 1},
        {"name": "tone", "weight": 1},
    ]
    method = methods.build("aug_ce", {"shifts": shifts})
    assert families(method) == ("augmix", "geometry", "tone")
    view = without_shifts(method, ["shift.tone"]).views["shifted"]
    assert [s.name for s in view.shifts] == ["augmix", "geometry"]
    assert view.weights == pytest.approx((2 / 3, 1 / 3))
    with pytest.raises(RequestError, match="no shift to draw from"):
        without_shifts(method, [f"shift.{f}" for f in families(method)])
    with pytest.raises(RequestError, match="tone"):
        without_shifts(method, ["shift.tonne"])


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (("term.featur",), "feature"),
        (("teacher.robust",), "no teacher"),
        (("term.ce", "term.kd_task", "teacher.initial"), "nothing to train"),
    ],
)
def test_what_is_not_there_is_refused(parts: tuple[str, ...], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        less("rdft", *parts)


def test_the_config_key_is_checked_and_leaves_other_fingerprints_alone() -> None:
    plain = load_config("digits", ["method=rdft"])
    assert "without" not in plain.flat()
    # As it was before the key existed.
    assert plain.fingerprint() == load_config("digits", ["method=rdft", "without=[]"]).fingerprint()
    less_ = load_config("digits", ["method=rdft", "without=[finish, term.rar]"])
    assert less_.fingerprint() != plain.fingerprint()
    assert less_.run_name() == "rdft_without-finish_without-term.rar_s0"
    assert load_config(less_.flat()) == less_
    assert check_part("teacher.x") == "teacher.x"
    for wrong in ("terms.x", "term.", "finish.x", "everything"):
        with pytest.raises(RequestError, match=r"without: expected term\.NAME"):
            load_config("digits", [f"without=[{wrong}]"])
