"""Widgets built from the registries: methods, their declared parameters, and how heatmaps are to look.

All are bound to the page's address. A page draws them where it likes: each function draws exactly one group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from types import MappingProxyType
from typing import Any, Final, get_args

import streamlit as st

from cam_core import METHODS
from cam_core.analysis.costs import Cost
from cam_core.declarations.parameters import DeclaredParameter
from cam_core.methods.registry import Family, Method
from cam_core.overlay import DIVERGING, SEQUENTIAL
from cam_core.shapley import BUDGET
from pages.runtime.compute import Request
from pages.shared import links, style, tables
from pages.shared.colours import choice

FIRST_METHODS = ("grad-cam", "lift-cam")
"""The methods that a page opens with."""

_FAMILIES: Final[Mapping[Family, str]] = {
    "Gradients": "How would the score change if a channel of the layer were a little stronger?",
    "Fair shares": "How much of the score is owed to each channel, or to each position?",
    "Masks": "What becomes of the score when parts of the photo, or of the layer, are taken away?",
    "Forward pass": "What does the prediction itself compute on its way?",
    "Controls": "What does a map look like that explains nothing?",
}


@dataclass(frozen=True)
class Look:
    """How heatmaps are drawn.

    Attributes:
        opacity: of the map over the photo, 0 to 1.
        signed: whether what speaks against the class is shown too.
        shared: whether all maps have one scale, in raw values.
        ranked: whether a point is drawn by its rank in its own map, in place of its value.
        sequential, diverging: colour maps for positive and for signed values.
    """

    opacity: float
    signed: bool
    shared: bool
    ranked: bool
    sequential: str
    diverging: str


def methods(
    default: Sequence[str],
    *,
    key: str = "methods",
    label: str = "Methods",
    offered: Sequence[Method] | None = None,
    help: str = "Random and Fake-CAM are controls: a method worth its name differs from them.",
    unfit: Mapping[str, str] = MappingProxyType({}),
    misplaced: Collection[str] = (),
    unasked: Collection[str] = (),
    costs: Callable[[], Mapping[str, Cost]] = dict,
    beside: Callable[[], None] | None = None,
) -> list[Method]:
    """Several methods in the order in which they were chosen, of all in the registry or of those `offered`.

    What was chosen and cannot work at this layer comes back where it can.

    Args:
        unfit: why methods cannot work here, by key: they are left out.
        misplaced: those of them that work at another layer, which a line below says; the others need another network,
            which the help says, and a line below of those that were chosen.
        unasked: those of them that explain a class here and not what is to be explained, which a line below says.
        costs: what methods will cost here, by key; asked for when somebody looks at the list of them.
        beside: draws what else can be set beside them, in the line of that list.
    """
    known = {method.title: method for method in by_family(METHODS.values() if offered is None else offered)}
    by_title = {title: method for title, method in known.items() if method.key not in unfit}
    _take_up(key, known, by_title, default)
    place = {key: "target" if key in unasked else "layer" if key in misplaced else "network" for key in unfit}
    layer, target, network = (
        {title: unfit[method.key] for title, method in known.items() if place.get(method.key) == kind}
        for kind in ("layer", "target", "network")
    )
    dropped = {title: why for title, why in network.items() if title in st.session_state[_aside(key)]}
    chosen_here = st.session_state.pop(_written(key), False)
    with st.container():  # one below the other, also in a row of widgets
        titles = st.multiselect(
            label,
            list(by_title),
            # Streamlit warns of a default beside a value that was set here. On all other runs it is what a link leaves
            # out.
            default=None if chosen_here else [METHODS[method].title for method in default if method not in unfit],
            **links.kept(key),
            placeholder="Choose at least one method",
            select_all=False,  # it would take those that compute for minutes as well
            help=help + (f"\n\nNot with this network:\n{_reasons(network)}" if network else ""),
        )
        for said, absent in (
            ("Not with this network", dropped),
            ("Not at this layer", layer),
            ("Not for what is explained", target),
        ):
            if absent:
                line = escape(f"{said}: {', '.join(absent)}")
                why = (f"<b>{escape(title)}</b>: {escape(style.sentence(reason))}" for title, reason in absent.items())
                st.html(f'<div class="cam-quiet">{tables.opening_list(line, why)}</div>')
        nowhere = {
            method: f"**Not for this {place[method]}:** {style.plain(style.sentence(why))} "
            for method, why in unfit.items()
        }
        with st.container(horizontal=True, gap="small", key=f"more-{key}"):
            catalogue(list(known.values()), nowhere, costs, key)
            if beside:
                beside()
    return [by_title[title] for title in titles]


def _take_up(key: str, known: Mapping[str, Method], fit: Collection[str], default: Sequence[str]) -> None:
    """What was chosen before, or else what the link says: that which does not work here is set aside."""
    if key in st.session_state and not links.came_back():
        _set_aside(key, list(known), fit)
        return
    linked = st.query_params.get_all(key)
    for title in linked:
        if title not in known:
            links.note_unknown("method", title, "The others are shown.")
    first = linked or [METHODS[method].title for method in default]
    st.session_state[_aside(key)] = [title for title in first if title in known and title not in fit]


def by_family(offered: Iterable[Method]) -> list[Method]:
    """Methods of one kind side by side, in the order of `Family`."""
    families = get_args(Family)
    return sorted(offered, key=lambda method: families.index(method.family))


def catalogue(
    offered: Sequence[Method], unfit: Mapping[str, str], costs: Callable[[], Mapping[str, Cost]], key: str
) -> None:
    """All methods by family, with what they do and cost: to read, and to choose from. Made when it is opened.

    Args:
        unfit: what is said of those that cannot be chosen, in Markdown, by key.
    """
    with st.popover("All methods, what they do and cost", icon=":material/list:", type="tertiary",
                    key=f"all-{key}", on_change="rerun") as opened:  # fmt: skip
        if not opened.open:
            return
        cost = costs()
        quick = [method.title for method in offered if not (method.expensive or method.control or method.key in unfit)]
        st.button(
            f"Choose the {len(quick)} quick ones",
            on_click=partial(_choose, key, quick),
            key=f"quick-{key}",
            help="All that need no more than a few passes of the network; controls and slow methods are left out.",
        )
        for family in dict.fromkeys(method.family for method in offered):
            st.markdown(f"**{family}**  \n:small[{_FAMILIES[family]}]")
            for method in offered:
                if method.family == family:
                    _entry(method, unfit.get(method.key, ""), cost.get(method.key), key)


def _entry(method: Method, unfit: str, cost: Cost | None, key: str) -> None:
    """A method in the catalogue: what it costs and does, and a box that chooses it."""
    box = f"pick-{key}-{method.key}"
    st.session_state[box] = method.title in st.session_state[key]
    price = f" · {style.cost(cost.passes, cost.seconds)}" if cost and not unfit else ""
    with st.container(key=f"entry-{key}-{method.key}", gap=None):
        st.checkbox(f"{method.title}{price}", key=box, disabled=bool(unfit), on_change=partial(_toggle, method, key))
        st.caption(f"{unfit}{style.plain(method.plain)} {style.cited(method.paper)}")


def _toggle(method: Method, key: str) -> None:
    rest = [title for title in st.session_state[key] if title != method.title]
    _choose(key, rest if len(rest) < len(st.session_state[key]) else [*rest, method.title])


def _set_aside(key: str, known: Sequence[str], fit: Collection[str]) -> None:
    """What was chosen and does not work here waits aside; what waited and works here is chosen again."""
    before = [*st.session_state[key], *st.session_state.get(_aside(key), ())]
    chosen = [title for title in dict.fromkeys(before) if title in fit]
    st.session_state[_aside(key)] = [title for title in dict.fromkeys(before) if title in known and title not in fit]
    if chosen != st.session_state[key]:
        _choose(key, chosen)


def _choose(key: str, titles: Sequence[str]) -> None:
    st.session_state[key] = titles
    st.session_state[_written(key)] = True


def _aside(key: str) -> str:
    return f"{key}|aside"


def _written(key: str) -> str:
    return f"{key}|written"


def _reasons(absent: Mapping[str, str]) -> str:
    return "\n".join(f"- **{title}**: {style.plain(style.sentence(why))}" for title, why in absent.items())


def choose_methods(titles: Sequence[str], key: str = "methods") -> None:
    """What `methods` has from now on; before it is drawn."""
    _choose(key, titles)


def remove_method(method: str, key: str = "methods") -> None:
    """Take a method out of what `methods` has; for a button's callback."""
    _choose(key, [title for title in st.session_state[key] if title != METHODS[method].title])


def parameters(chosen: Sequence[Method]) -> list[Request]:
    """A request for every method, with widgets for the parameters that they declare."""
    adjustable = [method for method in chosen if method.parameters]
    values: dict[str, tuple[tuple[str, Any], ...]] = {}
    if adjustable:
        with st.expander("Parameters", icon=":material/tune:"):
            for method in adjustable:
                st.markdown(f"**{method.title}**")
                with st.container(horizontal=True, key=f"parameters-{method.key}"):
                    chosen_here: dict[str, Any] = {}
                    for declared in method.parameters:
                        chosen_here[declared.name] = parameter(method, declared, chosen_here)
                    values[method.key] = tuple(chosen_here.items())
    return [Request(method.key, values.get(method.key, ())) for method in chosen]


def parameter(method: Method, declared: DeclaredParameter, before: Mapping[str, Any]) -> Any:
    """One widget of the declared kind, range and default; the value in the declared type.

    Args:
        before: values of the method's parameters before this one: what an empty box stands for may depend on them.
    """
    label = declared.label
    common: dict[str, Any] = {
        **links.kept(f"{method.key}.{declared.name}"),
        "help": declared.help,
    }
    if declared.kind == "choice":
        index = declared.choices.index(str(declared.default))
        value: Any = st.selectbox(label, declared.choices, index=index, width=200, **common)
    elif declared.kind == "bool":
        value = st.toggle(label, value=bool(declared.default), **common)
    else:
        number = int if declared.kind == "int" else float
        automatic = declared.zero is not None and not declared.default
        value = st.number_input(
            label,
            min_value=None if declared.low is None else number(declared.low),
            max_value=None if declared.high is None else number(declared.high),
            value=None if automatic else number(declared.default),
            placeholder=declared.zero(before) if declared.zero else None,
            step=1 if number is int else _step(float(declared.default)),
            format=None if number is int else "%g",
            width=160,
            **common,
        )
    return declared.validate(0 if value is None else value)


def _step(default: float) -> float:
    """A tenth of the default, as a power of ten or a half: what one click on "+" should change."""
    return float(f"{abs(default) / 10:.0e}") if default else 0.1


def budget(key: str, help: str, *, most: int) -> int:
    """Tail passes that an estimate of Shapley values may take; the choice stands in the address under the key."""
    return int(
        st.number_input(
            "Budget (tail passes)",
            min_value=4,
            max_value=most,
            value=BUDGET,
            step=64,
            **links.kept(key),
            width=170,
            help=help,
        )
    )


def seed() -> int:
    """Of everything random."""
    return int(
        st.number_input(
            "Seed", min_value=0, max_value=2**31 - 1, value=0, **links.kept("seed"), help="Of everything random."
        )
    )


def precision() -> str:
    """Of the numbers that are computed with."""
    chosen: str = st.segmented_control(
        "Precision",
        ["float32", "bfloat16"],
        default="float32",
        required=True,
        **links.kept("precision"),
        help="bfloat16 is faster on most hardware, and deviates: about two digits are right.",
    )
    return chosen


def look() -> Look:
    """How heatmaps are to look, in one row."""
    with st.container(horizontal=True, vertical_alignment="top", key="look"):
        opacity_of_maps = opacity()
        values = st.segmented_control(
            "Values",
            ["Positive", "Signed"],
            default="Positive",
            required=True,
            **links.kept("values"),
            help="Positive: what speaks for the class. Signed: also what speaks against it, on a scale centred at 0, "
            "for methods that tell the two apart.",
        )
        scale = st.segmented_control(
            "Scale",
            ["Own", "Shared", "Percentile"],
            default="Own",
            required=True,
            **links.kept("scale"),
            help="Own: every map from its lowest to its highest value. Shared: one range for all, in raw values; "
            "methods measure in different units, so some will look empty. Percentile: each point by its rank in its "
            "own map, so that in every map the same share of the picture is bright, whatever the unit.",
        )
        signed = values == "Signed"
        colour_map = colours(signed)
    choice.reason_against(colour_map)
    return Look(
        opacity_of_maps,
        signed,
        scale == "Shared",
        scale == "Percentile",
        sequential=SEQUENTIAL[0] if signed else colour_map,
        diverging=colour_map if signed else DIVERGING[0],
    )


def opacity() -> float:
    """Of the maps over the photo, 0 to 1."""
    return st.slider("Opacity", 0.0, 1.0, 0.5, 0.05, format="percent", **links.kept("opacity"), width=180)


def colours(signed: bool) -> str:
    """The colour map of signed, or of positive values."""
    names, key = choice.offered(signed), "diverging" if signed else "colours"
    with st.container(horizontal=True, vertical_alignment="bottom", gap=None, width="content"):
        chosen: str = st.selectbox("Colours", names, **links.kept(key), width=130)
        choice.previews(names, key)
    return chosen
