"""Compare, to be taken along: the maps by Python, from a shell, as one zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from cam_core import Explanation
from pages.runtime.compute import Request
from pages.shared import provenance
from pages.shared.elsewhere.map_file import IMPORTS, NOT_IN_COMMAND, Theirs
from pages.shared.scene import Scene
from pages.shared.sharing.script import TARGET, command, explained, script
from pages.shared.sharing.section import section


def share(seen: Scene, requests: Sequence[Request], made: Sequence[Explanation], theirs: Theirs | None) -> None:
    """The last part of the page.

    Args:
        made: the methods' maps that are there by now.
        theirs: a map from a file beside them.
    """
    maps = {explanation.method: explanation for explanation in made}
    maps |= {theirs.stem: theirs.explanation} if theirs else {}
    frame = seen.frame()  # here: files are made outside of the page's run
    section(
        seen,
        "",
        provenance.facts(seen, provenance.of_maps(maps.values())),
        script=python(seen, requests, theirs),
        command=command(seen, "explain", requests) if requests else "",
        said=NOT_IN_COMMAND if theirs else "",
        explanations=maps,
        files=lambda: {**_figure(frame, list(maps.values())), **(theirs.files if theirs else {})},
    )


def python(seen: Scene, requests: Sequence[Request], theirs: Theirs | None) -> str:
    """The script: `explanations`, in the order of the page."""
    calls = [explained(seen, request, target=TARGET) for request in requests]
    maps = [f"    {call}," for call in [*calls, *([theirs.line] if theirs else [])]]
    lines = [
        "explanations = [",
        *maps,
        "]",
        "for explanation in explanations:",
        "    print(explanation.method, explanation.label, explanation.map.shape, explanation.map.max())",
    ]
    return script("Compare", seen, [("cam_core", "explain"), *(IMPORTS if theirs else [])], lines)


def _figure(frame: Image.Image, made: Sequence[Explanation]) -> Mapping[str, bytes]:
    from cam_core.figures import Row, encode_figure, heatmap_figure  # late: see `downloads.figures`

    return {"figure.pdf": encode_figure(heatmap_figure([Row(frame, made)]), "pdf")} if made else {}
