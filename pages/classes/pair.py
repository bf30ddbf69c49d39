"""The two classes that are set against each other: chosen here, A being the other pages' class where none was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cam_core.analysis.contrast import opposing_class
from cam_core.metrics.ground_truth import Region, mask_region, sample_regions
from cam_core.models.classifier import Prediction
from cam_core.targets import Difference
from cam_core.training.digits import gallery_masks
from pages.shared import links, scene, style
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.targets.words import leading_class


@dataclass(frozen=True)
class Pair:
    """Class A and class B, with the network's belief in each."""

    a: Prediction
    b: Prediction

    @property
    def difference(self) -> Difference:
        """The target A − B: by how much A is ahead of B."""
        return Difference(self.a.index, self.b.index)

    @property
    def facts(self) -> Facts:
        """The two as what leaves the app names them."""
        written = self.difference.text
        return {"class": f"{self.a.label} − {self.b.label}", "class_index": "", "target": written}


def regions(seen: Scene) -> list[Region]:
    """Where the objects of the photo are in the network's input; none where that is not known."""
    size, photo = seen.classifier.preprocessing.input_size, seen.whole_photo
    if photo.source == "digits":
        digit = photo.title.removeprefix("Digit ")
        return [mask_region(gallery_masks()[digit], seen.box_in_whole, size, [digit])]
    return sample_regions(photo.sample, seen.box_in_whole, size) if photo.sample else []


def pick(seen: Scene, known: Sequence[Region]) -> Pair:
    """The widgets: both classes, and a button that swaps them.

    Args:
        known: the regions of the photo's objects: B opens on another one than A's.
    """
    by_index = {str(prediction.index): prediction for prediction in seen.predictions}
    lines = {index: f"{entry.label} · {style.percent(entry.probability)}" for index, entry in by_index.items()}
    scope = scene.class_scope(seen.question.model, seen.photo)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="class-pair"):
        a = links.choice(
            "class-a",
            "A: why this class …",
            lines,
            default=str(leading_class(seen.question.target)),
            scope=scope,
            width=270,
            help="All classes, most probable first. Type to search. It opens on the class that other pages explain.",
        )
        b = links.choice(
            "class-b",
            "B: … and not that one?",
            lines,
            default=str(opposing_class(seen.predictions, int(a), known)),
            scope=scope,
            width=270,
            help="It opens on the photo’s other animal where the gallery knows of two, or else on the class that is "
            "most probable beside A.",
        )
        st.button("Swap", icon=":material/swap_horiz:", on_click=_swap, args=(scope, a, b), key="swap-classes")
    return Pair(by_index[a], by_index[b])


def _swap(scope: str, a: str, b: str) -> None:
    st.session_state[links.widget_key("class-a", scope)] = b
    st.session_state[links.widget_key("class-b", scope)] = a
