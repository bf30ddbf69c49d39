"""Deletion, to be taken along: the curves by Python, from a shell, as one zip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cam_core.analysis.curves import CurveReport, curves_csv
from pages.deletion.curves import Settings, Source
from pages.runtime.compute import Request
from pages.shared.elsewhere.map_file import IMPORTS, NOT_IN_COMMAND, Theirs
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.sharing.script import TARGET, command, computing, explained, script, written_call
from pages.shared.sharing.section import section

_IMPORTS = [
    ("cam_core", "explain"),
    ("cam_core.analysis.curves", "curve_report"),
    ("cam_core.metrics.curves.points", "add_point"),
    ("cam_core.metrics.curves.points", "curve_points"),
    ("cam_core.metrics.curves.spread", "random_control"),
]


def share(
    seen: Scene,
    settings: Settings,
    requests: Sequence[Request],
    sources: Sequence[Source],
    theirs: Theirs | None,
    report: Callable[[], CurveReport],
    facts: Facts,
) -> None:
    """The last part of the page.

    Args:
        sources: the maps that are there by now.
        theirs: that of them which is from a file.
        report: of the curves as they are when it is asked for.
    """
    kinds = [word for kind in settings.kinds for word in ("--kind", kind)]
    how = [word for name, value in settings.params.items() for word in (f"--{name}", str(value))]
    section(
        seen,
        "deletion",
        facts,
        script=python(seen, settings, requests, theirs),
        command=command(seen, "curve", requests, [*kinds, *how]) if requests else "",
        said=NOT_IN_COMMAND if theirs else "",
        explanations={
            theirs.stem if theirs and source.name == theirs.name else source.name: source.explanation
            for source in sources
        },
        files=lambda: {**_files(report()), **(theirs.files if theirs else {})},
    )


def python(seen: Scene, settings: Settings, requests: Sequence[Request], theirs: Theirs | None) -> str:
    """The script: `curves` and `report`."""
    question = seen.question
    control = written_call({"seed": question.seed, "precision": computing(question).get("precision")})
    how = written_call({"kinds": settings.kinds, "target": TARGET, **settings.params, **computing(question)})
    followed = f", score={settings.score!r}" if settings.score else ""
    maps = [f'    "{request.method}": {explained(seen, request, target=TARGET)},' for request in requests]
    maps += [f"    {theirs.name!r}: {theirs.line},"] if theirs else []
    lines = [
        "maps = {",
        *maps,
        "}",
        f"control = random_control(clf, photo, {question.layer!r}, target, {control})",
        "curves = {}",
        f"for point in curve_points(clf, photo, {{**maps, **control}}, {how}):",
        "    add_point(curves, point)",
        f"report = curve_report(curves, maps, control{followed})",
        "for panel in report.panels:",
        "    for line in panel.lines:",
        "        print(panel.kind, line.title, line.area)",
    ]
    return script("Deletion", seen, [*_IMPORTS, *(IMPORTS if theirs else [])], lines)


def _files(report: CurveReport) -> Mapping[str, bytes]:
    from cam_core.figures import curve_figure, encode_figure  # late: see `downloads.figures`

    return {"curves.csv": curves_csv(report), "figure.pdf": encode_figure(curve_figure(report), "pdf")}
