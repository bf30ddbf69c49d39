"""Take channels away and look: the logit that the network then gives, beside the one that phi predicts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from cam_core.analysis.channels import largest
from cam_core.charts import removal_chart
from cam_core.shapley import ChannelEstimate, Removal, remove_channels
from pages.runtime import compute
from pages.runtime.compute import Question, Task
from pages.runtime.jobs import Job
from pages.shared import messages, style
from pages.shared.scene import Scene

_MOST = 30  # channels that can be taken away
_ORDERS = ("Largest first", "Only for", "Only against")


def removal(seen: Scene, estimate: ChannelEstimate) -> None:
    """A heading, a slider, a chart."""
    st.header("Take channels away")
    order = _order(estimate)
    if not order:
        st.html(style.quiet("No channel is of that kind."))
        return
    key = compute.digest("removal", seen.question, tuple(order))
    task = Task(key, partial(_remove, seen, order), "Removal")
    found: Removal | Job = compute.outcomes("removal", [task])[0]
    if isinstance(found, Removal):
        _look(seen, estimate, found)
        return
    lost = "No channel was removed."
    draw = partial(messages.pending, found, "Removing channels", lost, messages.again(found), key="removal")
    messages.watch([found], draw, key=found.key)


def _order(estimate: ChannelEstimate) -> list[int]:
    chosen = st.segmented_control(
        "Which channels go",
        _ORDERS,
        default=_ORDERS[0],
        required=True,
        key="removed-kind",
        bind="query-params",
        persist_state="session",
        help="Those with the largest |φ|, or only those that speak for, or against, the class; largest first.",
    )
    phi = estimate.phi.numpy()
    sign = {_ORDERS[1]: phi > 0, _ORDERS[2]: phi < 0}.get(chosen, phi != 0)
    kept = [channel for channel in largest(phi, len(phi)) if sign[channel]]
    return kept[:_MOST]


def _remove(seen: Scene, order: list[int], job: Job) -> Removal:
    question: Question = seen.question
    clf = compute.classifier(question.model)
    with compute.computing(str(clf.device), job) as progress:
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
def _look(seen: Scene, estimate: ChannelEstimate, found: Removal) -> None:
    most = len(found.order)
    count = st.slider(
        "Channels removed", 0, most, min(5, most), key=f"removed-{most}", persist_state="session", width=420
    )
    predicted = found.predicted(estimate).tolist()
    st.html(f'<div class="cam-tile">{_sentence(seen, found, predicted, count)}</div>')
    st.plotly_chart(
        removal_chart(found.logit.tolist(), predicted, count),
        key="removal",
        config={"displayModeBar": False},
        alt=f"The logit while up to {most} channels are removed, and what φ predicts",
    )
    st.html(
        style.quiet(
            "Predicted: the logit less the φ of what was removed. φ averages over all company that a channel can have; "
            "here the company is all channels but those removed before, so the lines part where channels interact."
        )
    )


def _sentence(seen: Scene, found: Removal, predicted: Sequence[float], count: int) -> str:
    labels = seen.classifier.labels
    best = labels[int(found.best[count])]
    now = "The network still says" if int(found.best[count]) == seen.question.target else "The network now says"
    logit, expected = (style.decimals(float(values[count]), 2) for values in (found.logit, predicted))
    return (
        f"Without {count} channel{'' if count == 1 else 's'}: logit <b>{logit}</b>, predicted <b>{expected}</b> · "
        f"probability {style.percent(float(found.probability[count]))}. {now} <b>{escape(best)}</b>."
    )
