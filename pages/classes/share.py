"""Classes, to be taken along: two classes' maps and what tells them apart by Python, from a shell, as one zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from cam_core import METHODS
from cam_core.analysis.channel_contrast import ChannelContrast, contrast_csv
from cam_core.analysis.contrast import Contrast
from pages.classes.pair import Pair
from pages.runtime.compute import Request
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.sharing.script import Name, explained, script
from pages.shared.sharing.section import section
from pages.shared.targets.words import written

_IMPORTS = [("cam_core", "explain"), ("cam_core.analysis.contrast", "class_contrast")]


def share(
    seen: Scene,
    pair: Pair,
    requests: Sequence[Request],
    contrasts: Sequence[Contrast],
    report: ChannelContrast | None,
    facts: Facts,
) -> None:
    """The last part of the page.

    Args:
        contrasts: of the methods whose maps are there by now.
        report: of the channels, where it is there.
    """
    maps = {f"{each.method}-a": each.a for each in contrasts} | {f"{each.method}-b": each.b for each in contrasts}
    between = {f"{each.method}-contrast": each.between for each in contrasts if each.between is not None}
    frame = seen.frame()  # here: files are made outside of the page's run
    section(
        seen,
        "classes",
        facts,
        script=python(seen, pair, requests),
        explanations=maps | between,
        files=lambda: _files(frame, contrasts, report),
    )


def python(seen: Scene, pair: Pair, requests: Sequence[Request]) -> str:
    """The script: `contrasts`, by method."""
    lines = [
        f"a, b = {pair.a.index}, {pair.b.index}  # {pair.a.label}, {pair.b.label}",
        f"difference = {written(pair.difference)!r}",
        "contrasts = {",
    ]
    for request in requests:
        between = [Name("difference")] if METHODS[request.method].class_specific else []
        lines += [
            f'    "{request.method}": class_contrast(',
            *(f"        {explained(seen, request, target=name)}," for name in (Name("a"), Name("b"), *between)),
            "    ),",
        ]
    lines += ["}", "for method, contrast in contrasts.items():", "    print(method, contrast.correlation)"]
    return script("Classes", seen, _IMPORTS, lines)


def _files(frame: Image.Image, contrasts: Sequence[Contrast], report: ChannelContrast | None) -> Mapping[str, bytes]:
    from cam_core.figures import contrast_figure, encode_figure  # late: see `downloads.figures`

    figure = {"figure.pdf": encode_figure(contrast_figure(frame, contrasts), "pdf")}
    return figure | ({"channels.csv": contrast_csv(report)} if report else {})
