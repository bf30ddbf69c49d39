"""Channels, to be taken along: the estimate by Python, from a shell, as one zip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cam_core import Explanation
from cam_core.analysis.channels import ChannelReport, channel_csv
from pages.channels.estimate import Settings
from pages.runtime.compute import Request
from pages.shared.provenance import Facts
from pages.shared.scene import Scene
from pages.shared.sharing.script import TARGET, command, computing, explained, script, written_call
from pages.shared.sharing.section import section

_IMPORTS = [
    ("cam_core", "explain"),
    ("cam_core.analysis.channels", "channel_report"),
    ("cam_core.analysis.channels", "coefficients_of"),
    ("cam_core.shapley", "stream_channel_shap"),
]


def share(
    seen: Scene,
    settings: Settings,
    requests: Sequence[Request],
    made: Sequence[Explanation],
    report: ChannelReport,
    facts: Facts,
) -> None:
    """The last part of the page.

    Args:
        made: the maps of the methods beside SHAP that are there by now.
    """
    how = ["--estimator", settings.estimator, "--budget", str(settings.budget)]
    section(
        seen,
        "channels",
        facts,
        script=python(seen, settings, requests),
        command=command(seen, "channels", requests, how, layer=False),
        explanations={explanation.method: explanation for explanation in made},
        files=lambda: _files(report),
    )


def python(seen: Scene, settings: Settings, requests: Sequence[Request]) -> str:
    """The script: `report`."""
    estimating = {
        "layer": seen.question.layer,
        "target": TARGET,
        "estimator": settings.estimator,
        "budget": settings.budget,
        **computing(seen.question),
    }
    lines = [
        f"*_, estimate = stream_channel_shap(clf, photo, {written_call(estimating)})",
        "beside = [",
        *(f"    {explained(seen, request, target=TARGET)}," for request in requests),
        "]",
        "report = channel_report(estimate, coefficients_of(beside))",
        "for channel in report.order[:20]:",
        "    print(channel, report.phi[channel], report.stderr[channel])",
    ]
    return script("Channels", seen, _IMPORTS, lines)


def _files(report: ChannelReport) -> Mapping[str, bytes]:
    from cam_core.figures import channel_figure, encode_figure  # late: see `downloads.figures`

    return {"channels.csv": channel_csv(report), "figure.pdf": encode_figure(channel_figure(report), "pdf")}
