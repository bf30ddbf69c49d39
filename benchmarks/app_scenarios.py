"""The things that a visitor does in the benchmark of the app: each with the same call of the core, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from benchmarks import app_page as at
from benchmarks.app_core import FIRST_METHODS, Core, Job
from benchmarks.app_page import Link, Visitor
from cam_core import METHODS, SAMPLES
from cam_core.images import sample

PHOTOS: Final = tuple(entry.key for entry in SAMPLES[:3])
NEW_PHOTOS: Final = tuple(entry.key for entry in SAMPLES[3:])
TITLES: Final = [METHODS[method].title for method in FIRST_METHODS]
ONE: Final = {"methods": TITLES[0]}
BOTH: Final = {"methods": TITLES}
QUICK_METHOD: Final = "hires-cam"
BAR: Final = 4  # which one is clicked
FEW_PASSES: Final = 16
FEW_STEPS: Final = 14
IDLE: Final = 10.0  # seconds of looking at polls
SEEDS_APART: Final = 10  # the control of a seed has the seeds after it too


@dataclass(frozen=True)
class Sizes:
    """How much is computed. An empty layer is the network's default."""

    layer: str = ""
    opti_steps: int = 100
    samples: int = 2
    passes: int = 256
    coarse: int = 28
    fine: int = 224


QUICK: Final = Sizes(layer="blocks.2", opti_steps=10, samples=1, passes=64, coarse=28, fine=56)


@dataclass(frozen=True)
class Case:
    """The questions of one visitor: a photo and another one, with a seed of their own."""

    photo: str
    other: str
    seed: int

    def link(self, more: Link) -> dict[str, Any]:
        return {"sample": self.photo, "seed": str(self.seed), **more}


@dataclass(frozen=True)
class Wanted:
    """The most that it may take: as a multiple of the core, in seconds, and in seconds beside another's Score-CAM."""

    ratio: float | None = None
    seconds: float | None = None
    beside: float | None = None


Act = Callable[[Visitor, Case], None]


@dataclass(frozen=True)
class Scenario:
    """One thing that a visitor does.

    Attributes:
        path, link: the page, and what its address says besides photo and seed.
        act: does it, once the page stands; where there is nothing to do, opening the page is what is timed.
        core: the same in the core.
        wanted: by what is timed: "" is all of it.
        new_photo: the photo shall be one that nobody has looked at.
        cold: on a server that nobody has used.
    """

    name: str
    act: Act
    core: Callable[[Core], Job]
    path: str = "/"
    link: Link = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    layer: str = ""
    opens: bool = False
    new_photo: bool = False
    cold: bool = False


def scenarios(sizes: Sizes) -> list[Scenario]:
    """All of them; the long ones last."""
    at_layer: Link = {"layer": sizes.layer} if sizes.layer else {}
    heavy = partial(added, sizes=sizes, link=at_layer)
    instant, soon = Wanted(seconds=0.3, beside=0.6), {"": Wanted(seconds=1.5)}
    return [
        Scenario("first sight, cold", look, Core.cold_sight, link=BOTH, opens=True, cold=True),
        Scenario("first sight, warm", look, Core.first_sight, link=BOTH, wanted=soon, opens=True, new_photo=True),
        Scenario("another photo", choose_photo, Core.first_sight, link=BOTH, new_photo=True),
        replace(added(QUICK_METHOD, {"": instant}), name="another method"),
        Scenario("slider, Compare", slide_opacity, partial(Core.overlays, opacity=0.55), "/", BOTH, {"": instant}),
        Scenario(
            "slider, Deletion",
            slide_fraction,
            partial(Core.frames, steps=FEW_STEPS, fraction=0.21),
            "/deletion",
            {**BOTH, "steps": str(FEW_STEPS)},
            {"": instant},
        ),
        Scenario(
            "bar click",
            click_bar,
            partial(Core.channel_map, budget=FEW_PASSES, place=BAR),
            "/channels",
            {"budget": str(FEW_PASSES)},
            {"": instant},
        ),
        Scenario(
            f"Owen {sizes.passes}",
            partial(spend, passes=sizes.passes),
            partial(Core.shapley, budget=sizes.passes),
            "/channels",
            {"budget": str(FEW_PASSES)},
        ),
        heavy("opti-cam", {"": Wanted(ratio=1.3)}, {"steps": sizes.opti_steps}),
        heavy("score-cam", {"": Wanted(ratio=1.2)}),
        grown(sizes.coarse),
        heavy("ss-cam", {"": Wanted(ratio=1.2)}, {"samples": sizes.samples}),
        grown(sizes.fine),
    ]


def added(
    method: str,
    wanted: Mapping[str, Wanted],
    params: Mapping[str, Any] | None = None,
    *,
    sizes: Sizes = Sizes(),
    link: Link | None = None,
) -> Scenario:
    """A method is chosen beside one that is there."""
    params = params or {}
    return Scenario(
        METHODS[method].title,
        partial(choose_method, method=method),
        partial(Core.one_method, method=method, **params),
        link={**ONE, **(link or {}), **{f"{method}.{name}": str(value) for name, value in params.items()}},
        wanted=wanted,
        layer=sizes.layer if link else "",
    )


def grown(steps: int) -> Scenario:
    """Curves are drawn anew at another number of steps."""
    return Scenario(
        f"curves, {steps} steps",
        partial(choose_steps, steps=steps),
        partial(Core.curves, steps=steps),
        "/deletion",
        {**BOTH, "steps": str(FEW_STEPS)},
        {"": Wanted(ratio=1.6), "first point": Wanted(seconds=0.5)},
    )


def look(visitor: Visitor, case: Case) -> None:
    """Open the page, until both heatmaps stand."""
    visitor.open({"": at.pictures(at.HEATMAP, len(FIRST_METHODS))})


def choose_photo(visitor: Visitor, case: Case) -> None:
    """Choose another photo of the gallery."""
    photo = at.pictures(at.PHOTO.format(title=sample(case.other).title), 1)
    maps = at.other_pictures(at.HEATMAP, len(FIRST_METHODS))
    visitor.click(at.GALLERY.format(key=case.other), {"": at.both(photo, maps)})


def choose_method(visitor: Visitor, case: Case, method: str) -> None:
    """Choose one method more."""
    title = METHODS[method].title
    visitor.choose(at.METHODS_BOX, title, {"": at.pictures(at.HEATMAP_OF.format(method=title), 1)})


def slide_opacity(visitor: Visitor, case: Case) -> None:
    """Move the opacity by one step."""
    visitor.slide(at.OPACITY_SLIDER, {"": at.other_pictures(at.HEATMAP, len(FIRST_METHODS))})


def slide_fraction(visitor: Visitor, case: Case) -> None:
    """Move the share of changed pixels by one step."""
    visitor.slide(at.CHANGED_SLIDER, {"": at.every(at.FRAME, " 21 % of its pixels")})


def click_bar(visitor: Visitor, case: Case) -> None:
    """Click a channel’s bar."""
    visitor.click_bar(BAR, {"": at.other_pictures(at.CHANNEL_MAP, 1)})


def spend(visitor: Visitor, case: Case, passes: int) -> None:
    """Ask for an estimate of so many passes."""
    facts = at.other_text(at.CHANNEL_FACTS, f"{passes} tail passes")
    visitor.type(at.BUDGET_BOX, str(passes), {"": at.both(facts, at.present(f"{at.BARS} .point"))})


def choose_steps(visitor: Visitor, case: Case, steps: int) -> None:
    """Ask for curves of so many steps."""
    areas = at.other_text(at.AREAS, "Random", without="…≈")
    whole = at.both(at.whole_curves(at.CURVES, steps + 1), areas)
    visitor.choose(at.STEPS_BOX, str(steps), {"first point": at.new_points(at.CURVES), "": whole})
