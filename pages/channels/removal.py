"""Take channels away and look: the score that the network then gives, beside the one that phi predicts."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Final

import streamlit as st

from cam_core.analysis.channels import ChannelReport
from cam_core.analysis.removal import RemovalReport, Side, removal_order, removal_report
from cam_core.charts import removal_chart
from cam_core.shapley import ChannelEstimate, Removal, remove_channels
from pages.runtime import compute, devices
from pages.runtime.compute import Question, Task
from pages.runtime.jobs import Job
from pages.shared import charts, links, messages, style
from pages.shared.scene import Scene

_MOST = 30  # channels that can be taken away
_SIDES: Final[dict[str, Side]] = {"Largest first": "either", "Only for": "for", "Only against": "against"}


def removal(seen: Scene, estimate: ChannelEstimate, report: ChannelReport) -> None:
    """A heading, a slider, a chart."""
    st.header("Take channels away")
    order = removal_order(report, _side(), _MOST)
    if not order:
        st.html(style.quiet("No channel is of that kind."))
        return
    key = compute.digest("removal", seen.question, tuple(order))
    task = Task(key, partial(_remove, seen, order), "Removal")
    outcome: Removal | Job = compute.outcomes("removal", [task])[0]
    if isinstance(outcome, Removal):
        _look(removal_report(outcome, estimate, seen.classifier.labels), report.measure.quantity)
        return
    lost = "No channel was removed."
    messages.pending(outcome, "Removing channels", lost, messages.again(outcome), key="removal")


def _side() -> Side:
    label = st.segmented_control(
        "Which channels go",
        list(_SIDES),
        default=next(iter(_SIDES)),
        required=True,
        **links.kept("removed-kind"),
        help="Those with the longest bars, or only those that speak for, or against, the class; largest first.",
    )
    return _SIDES[label]


def _remove(seen: Scene, order: list[int], job: Job) -> Removal:
    question: Question = seen.question
    clf = compute.classifier(question.model)
    with devices.computing(str(clf.device), job) as progress:
        return remove_channels(
            clf,
            seen.photo.image,
            layer=question.layer,
            target=question.target,
            order=order,
            precision=question.precision,
            progress=progress,
        )


@st.fragment
def _look(report: RemovalReport, quantity: str) -> None:
    most = len(report.logit) - 1
    count = st.slider("Channels removed", 0, most, min(5, most), **links.kept(f"removed-{most}"), width=420)
    st.html(f'<div class="cam-tile">{_sentence(report, count, quantity)}</div>')
    charts.show(
        removal_chart(report.logit.tolist(), report.predicted.tolist(), count, quantity=quantity),
        key="removal",
        alt=f"The {quantity} while up to {most} channels are removed, and what φ predicts",
    )
    st.html(
        style.quiet(
            f"Predicted: the {quantity} less the φ of what was removed. φ averages over all company that a channel can "
            "have; here the company is all channels but those removed before, so the lines part where channels "
            "interact."
        )
    )


def _sentence(report: RemovalReport, count: int, quantity: str) -> str:
    now = "The network still says" if report.kept[count] else "The network now says"
    value, expected = (style.decimals(float(values[count]), 2) for values in (report.logit, report.predicted))
    believed = "" if report.probability is None else f" · probability {style.percent(float(report.probability[count]))}"
    return (
        f"Without {count} channel{'' if count == 1 else 's'}: {quantity} <b>{value}</b>, predicted <b>{expected}</b>"
        f"{believed}. {now} <b>{escape(report.best[count])}</b>."
    )
