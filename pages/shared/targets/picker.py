"""The picker of what to explain: the class's score, or what else can be asked about it and other classes.

It stands below the class's own picker. A function is a choice where whoever serves the app has named one: it is
imported, and so run, on the server, and no browser names any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import streamlit as st

from cam_core.targets import Custom, Difference, Negative, Probability, Similarity, Sum, TargetScore, Value
from cam_core.types import TargetError
from pages.runtime import served
from pages.shared import links, style

LOGIT: Final = "logit"

_KINDS: Final[Mapping[str, str]] = {
    LOGIT: "Its score (logit)",
    "probability": "Its probability",
    "difference": "It, and not another class",
    "set": "It together with other classes",
    "negative": "What speaks against it",
    "value": "What the network returns",
    "similarity": "What makes it similar to another photo",
    "function": "A function of whoever serves this",
}
"""What can be asked, as the link has it and as it is read."""

_OF_TWO_SIDES: Final = (LOGIT, "probability", "value")
_OF_CLASSES: Final = (LOGIT, "probability", "difference", "set", "negative", "similarity")

_HELP: Final[Mapping[str, str]] = {
    LOGIT: "The network’s answer for the class before it becomes a probability.",
    "probability": "After softmax: what raises this class, or lowers all others.",
    "difference": "The class’s score less another’s: what tells the two apart.",
    "set": "The sum of the scores of several classes: what speaks for any of them.",
    "negative": "The score with its sign turned: bright is what the class loses by.",
    "similarity": "The cosine of what the network returns for both, all its scores together: no class is asked about.",
    "function": "One number made of all scores, as the function says that the app was started with.",
    "value": "The number itself, for a network that returns a measurement. The sides are half of it, and half of its "
    "negative.",
}


def choose(
    index: int,
    classes: Mapping[str, str],
    *,
    scope: str,
    two_sided: bool,
    similarity: Callable[[], Similarity | None],
) -> int | TargetScore:
    """What is explained: the class, or a score that is made of it.

    Args:
        index: the class that was chosen.
        classes: class index → as it is read in pickers, most probable first.
        scope: what the other classes depend on: see `links.choice`.
        two_sided: whether the network returns one number, whose sides the classes are.
        similarity: asks for another photo; gives None as long as there is none.
    """
    kinds = [kind for kind in (_OF_TWO_SIDES if two_sided else _OF_CLASSES) if kind != "set" or len(classes) > 2]
    kinds += ["function"] if served.target() else []
    kind = links.choice(
        "target",
        "What to explain",
        {kind: _KINDS[kind] for kind in kinds},
        default=LOGIT,
        scope=" ".join(kinds),
        help="  \n".join(f"**{_KINDS[kind]}**: {_HELP[kind]}" for kind in kinds),
    )
    others = {other: line for other, line in classes.items() if other != str(index)}
    if kind == "difference":
        return Difference(index, _rival(others, scope))
    if kind == "set":
        return _together(index, _partners(others, scope))
    if kind == "similarity":
        return similarity() or index
    if kind == "function":
        return _function(len(classes)) or index
    one: dict[str, TargetScore] = {
        "probability": Probability(index),
        "negative": Negative(index),
        "value": Value(negative=index == 0),
    }
    return one.get(kind, index)


def _function(classes: int) -> Custom | None:
    """That of whoever serves the app, if it can be asked about so many classes."""
    function = served.target()
    assert function is not None, "it is offered where there is one"
    try:
        function.check(classes)
    except TargetError as error:
        st.html(style.notice_line(f"{style.sentence(str(error))} The class is explained instead."))
        return None
    return function


def _rival(others: Mapping[str, str], scope: str) -> int:
    key, first = links.widget_key("rival", scope), next(iter(others))
    if key in st.session_state and st.session_state[key] not in others:  # it has become the class itself
        st.session_state[key] = first
    return int(
        links.choice(
            "rival",
            "And not",
            others,
            default=first,
            scope=scope,
            help="The class that is subtracted. Type to search.",
        )
    )


def _partners(others: Mapping[str, str], scope: str) -> list[int]:
    chosen = links.choices(
        "partner",
        "Together with",
        others,
        default=list(others)[:1],
        scope=scope,
        placeholder="Choose at least one class",
        help="The classes whose scores are added. Type to search.",
    )
    if not chosen:
        st.html(style.quiet("Choose one more class at least. Until then the class is explained alone."))
    return [int(other) for other in chosen]


def _together(index: int, partners: Sequence[int]) -> int | TargetScore:
    return Sum(index, *partners) if partners else index
