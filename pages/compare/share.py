"""Compare, to be taken along: the maps by Python, from a shell, as one zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from cam_core import Explanation
from pages.runtime.compute import Request
from pages.shared import provenance
from pages.shared.scene import Scene
from pages.shared.sharing.script import TARGET, command, explained, script
from pages.shared.sharing.section import section


def share(seen: Scene, requests: Sequence[Request], made: Sequence[Explanation]) -> None:
    """The last part of the page.

    Args:
        made: the maps that are there by now.
    """
    frame = seen.frame()  # here: files are made outside of the page's run
    section(
        seen,
        "",
        provenance.facts(seen, provenance.of_maps(made)),
        script=python(seen, requests),
        command=command(seen, "explain", requests),
        explanations={explanation.method: explanation for explanation in made},
        files=lambda: _figure(frame, made),
    )


def python(seen: Scene, requests: Sequence[Request]) -> str:
    """The script: `explanations`, in the order of the page."""
    maps = [f"    {explained(seen, request, target=TARGET)}," for request in requests]
    lines = [
        "explanations = [",
        *maps,
        "]",
        "for explanation in explanations:",
        "    print(explanation.method, explanation.label, explanation.map.shape, explanation.map.max())",
    ]
    return script("Compare", seen, [("cam_core", "explain")], lines)


def _figure(frame: Image.Image, made: Sequence[Explanation]) -> Mapping[str, bytes]:
    from cam_core.figures import Row, encode_figure, heatmap_figure  # late: see `downloads.figures`

    return {"figure.pdf": encode_figure(heatmap_figure([Row(frame, made)]), "pdf")} if made else {}
