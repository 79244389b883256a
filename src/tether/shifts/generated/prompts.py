"""What a language model is asked: an instruction, an attribute, the text (METHODS section 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tether.errors import RequestError, nearest

SLOT = "{text}"
# Styles and eras are METHODS 5.3's; the attributes of people are ways of writing, never claims about people.
ATTRIBUTES: Mapping[str, str] = {
    "formal": "in a formal register, as in an official letter",
    "casual": "in a casual register, as to a friend",
    "social_media": "as a post on social media",
    "child": "in the words of a child of about ten",
    "news": "in the manner of a news report",
    "legal": "in the manner of a legal document",
    "1990s": "as someone would have written it in the 1990s",
    "1950s": "as someone would have written it in the 1950s",
    "victorian": "as someone would have written it in the nineteenth century",
    "teenager": "as a teenager might write it",
    "older": "as a retired person might write it",
    "non_native": "as someone might write it who learnt English as a second language",
    "british": "in British English",
    "american": "in American English",
}
DEFAULT = ("formal", "casual", "social_media", "child", "news", "legal", "1990s")
_INSTRUCTION = (
    "Rewrite the text below {attribute}. Keep the meaning, the opinion and every fact: names, numbers and "
    "negations stay. Write the rewritten text and nothing else.\n\nText: {text}\nRewritten text:"
)


@dataclass(frozen=True)
class Prompt:
    """A template with a place for the text.

    Attributes:
        name: of the attribute.
        template: holds {text} once.
    """

    name: str
    template: str

    @property
    def id(self) -> str:
        """Changes with the wording; a key of the cache."""
        return f"{self.name}-{hashlib.blake2b(self.template.encode(), digest_size=6).hexdigest()}"

    def of(self, text: str) -> str:
        """What the model is asked about this text."""
        return self.template.replace(SLOT, text)


def prompts_of(attributes: Sequence[str], own: Mapping[str, str] | None) -> tuple[Prompt, ...]:
    """The prompts of these attributes, packaged ones or the user's.

    Args:
        attributes: names.
        own: name -> the words that stand for the attribute ("as a pirate would say it"), or a whole template
            with {text} in it. Each is used; it need not be named in `attributes`.

    Raises:
        RequestError: an unknown attribute, one named twice, none at all, or a template with two places.

    Example:
        >>> [p.name for p in prompts_of(["news"], {"pirate": "as a pirate would say it"})]
        ['news', 'pirate']
    """
    own = own or {}
    for name in attributes:
        if name not in ATTRIBUTES and name not in own:
            hint = nearest(name, [*ATTRIBUTES, *own])
            raise RequestError(
                f"shift.attributes: {name!r} is none of them; {hint}. Put your own in `prompts`."
            )
    names = list(dict.fromkeys([*attributes, *own]))
    if not names or len(set(attributes)) < len(attributes):
        raise RequestError(
            f"shift.attributes: expected one or more, each once, got {list(attributes)}; name them once"
        )
    return tuple(Prompt(name, _template(name, own.get(name, ATTRIBUTES.get(name, "")))) for name in names)


def _template(name: str, words: str) -> str:
    if words.count(SLOT) > 1 or not words.strip():
        raise RequestError(
            f"shift.prompts.{name}: expected words for the attribute, or a template with {SLOT} once, got "
            f"{words!r}; mend it"
        )
    return words if SLOT in words else _INSTRUCTION.replace("{attribute}", words.strip())
