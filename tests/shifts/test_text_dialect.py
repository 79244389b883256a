"""Each dialect feature on sentences made by hand, with its polarity; and sentences it must leave alone."""

from __future__ import annotations

import pytest

from tether.shifts import get
from tether.shifts.text import dialect
from tether.shifts.text.rewrite import rewrite
from tether.shifts.text.words import is_negation

CHANGED = {
    "dialect_zero_copula": [
        ("She is late.", "She late."),
        ("They're going home.", "They going home."),
        ("We are at the store.", "We at the store."),
        ("He is a doctor, I think.", "He a doctor, I think."),
        ("You are so funny!", "You so funny!"),
        ("I know that he's working.", "I know that he working."),
        ("He’s here.", "He here."),
        ("SHE IS LATE", "SHE LATE"),
        ("We're really happy about it.", "We really happy about it."),
        ("and they are very smart people", "and they very smart people"),
    ],
    "dialect_habitual_be": [
        ("He is always late.", "He always be late."),
        ("They're usually working.", "They usually be working."),
        ("She is often in the garden.", "She often be in the garden."),
        ("We are working every day.", "We be working every day."),
        ("It's always cold.", "It always be cold."),
        ("I'm constantly talking.", "I constantly be talking."),
        ("You are always on my mind.", "You always be on my mind."),
        ("They are fighting all the time.", "They be fighting all the time."),
        ("She's regularly going there.", "She regularly be going there."),
        ("we are always busy", "we always be busy"),
    ],
    "dialect_negative_concord": [
        ("I don't want any trouble.", "I don't want no trouble."),
        ("She didn't say anything.", "She didn't say nothing."),
        ("We never go anywhere.", "We never go nowhere."),
        ("He does not know anybody here.", "He does not know nobody here."),
        ("They haven't seen anyone.", "They haven't seen nobody."),
        ("I can't take it any more.", "I can't take it no more."),
        ("It doesn't have any of the charm.", "It doesn't have none of the charm."),
        ("You won't find anything or any answer.", "You won't find nothing or any answer."),
        ("I wouldn't tell ANYBODY.", "I wouldn't tell NOBODY."),
        ("It was not worth any money.", "It was not worth no money."),
    ],
    "dialect_aint": [
        ("It isn't funny.", "It ain't funny."),
        ("They are not home.", "They ain't home."),
        ("I'm not sure.", "I ain't sure."),
        ("She hasn't called.", "She ain't called."),
        ("We have not seen it.", "We ain't seen it."),
        ("Isn't it great?", "Ain't it great?"),
        ("He's not the best.", "He ain't the best."),
        ("You aren’t ready.", "You ain’t ready."),
        ("THEY ARE NOT HOME", "THEY AIN'T HOME"),
        ("I am not going.", "I ain't going."),
    ],
    "dialect_verb_s_drop": [
        ("She works here.", "She work here."),
        ("He watches films.", "He watch films."),
        ("It makes no sense.", "It make no sense."),
        ("He doesn't know.", "He don't know."),
        ("She has a car.", "She have a car."),
        ("He always tries, and she goes.", "He always try, and she go."),
        ("I think it looks good.", "I think it look good."),
        ("She dies at the end.", "She die at the end."),
        ("HE SAYS SO", "HE SAY SO"),
        ("What it lacks in plot it has in heart.", "What it lack in plot it has in heart."),
    ],
    "dialect_done": [
        ("I have already seen it.", "I done already seen it."),
        ("She has lost her keys.", "She done lost her keys."),
        ("They've already left.", "They done already left."),
        ("We have finished.", "We done finished."),
        ("You have already told me.", "You done already told me."),
        ("He has broken it.", "He done broken it."),
        ("I've told you.", "I done told you."),
        ("and they have already started", "and they done already started"),
        ("We’ve eaten.", "We done eaten."),
        ("She has sold the house.", "She done sold the house."),
    ],
    "dialect_possessive_s_drop": [
        ("My mother's house is old.", "My mother house is old."),
        ("That is his brother's car.", "That is his brother car."),
        ("Mary's book is here.", "Mary book is here."),
        ("The heart of the film's mystery.", "The heart of the film mystery."),
        ("The director's vision is clear.", "The director vision is clear."),
        ("I like the dog's name.", "I like the dog name."),
        ("I read about my old friend's success.", "I read about my old friend success."),
        ("Our team’s game was great.", "Our team game was great."),
        ("This movie's plot drags.", "This movie plot drags."),
        ("She took her sister's phone.", "She took her sister phone."),
    ],
}
ALONE = {
    "dialect_zero_copula": [
        "I am late and it is late.",
        "That is where they are.",
        "She is loved by all; he's finished it.",
        "Is he late? Are you a doctor?",
        "The man with you is late.",
        "He is not here.",
        "She was late.",
        "They are to blame.",
    ],
    "dialect_habitual_be": [
        "He is late.",
        "She always works.",
        "He's always wanted it.",
        "Is he always late?",
    ],
    "dialect_negative_concord": [
        "I want anything.",
        "It is not only for anybody.",
        "I don't know if anyone came.",
        "I don't care. Any film will do.",
        "It isn't any better.",
        "Not just any film.",
        "He never called, but anyone could.",
        "Whether or not any of it works.",
    ],
    "dialect_aint": [
        "I do not know.",
        "It was not good.",
        "He hasn't a clue.",
        "I have not the time.",
        "Why not?",
    ],
    "dialect_verb_s_drop": [
        "They work; I was; he is; she always did.",
        "Does he miss this? It gave it wings.",
        "He perhaps knew; she sometimes cried.",
        "The film works.",
        "He must focus, she will pass.",
    ],
    "dialect_done": [
        "I have seen it.",
        "You have a car.",
        "I have not eaten.",
        "Have you eaten?",
        "It has already been told.",
        "She would have lost.",
    ],
    "dialect_possessive_s_drop": [
        "The film's a mess.",
        "The movie's great.",
        "It's time, that's my house, who's there?",
        "The man's working hard.",
        "Let's plan.",
        "My brother's home.",
        "The United Nations Children's Fund",
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new"), [(n, *pair) for n, pairs in CHANGED.items() for pair in pairs]
)
def test_feature(name, old, new):
    find, _ = dialect.FEATURES[name]
    assert rewrite(old, find(old)) == new
    negative = [any(map(is_negation, text.split())) for text in (old, new)]
    assert negative[0] == negative[1]


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in ALONE.items() for t in texts])
def test_in_doubt_a_feature_leaves_the_text_alone(name, text):
    find, _ = dialect.FEATURES[name]
    assert rewrite(text, find(text)) == text


def test_dialect_is_all_of_its_features():
    assert set(CHANGED) == set(ALONE) == set(dialect.FEATURES)
    for name, pairs in CHANGED.items():
        assert get(name).family == get("dialect").family == "dialect"
        own, _ = dialect.FEATURES[name]
        for old, _ in pairs:
            assert set(own(old)) <= set(dialect.find(old))
    for _, summary in dialect.FEATURES.values():
        assert ":" in summary


def test_the_rules_never_change_the_polarity_of_one_sentence_together():
    text = "He doesn't know anybody, she is late, and they haven't seen anything in my mother's house."
    new = rewrite(text, dialect.find(text))
    assert new == "He don't know nobody, she late, and they ain't seen nothing in my mother house."
