"""Loss and accuracy of a training run, as it goes."""

from __future__ import annotations

from collections.abc import Sequence

from cam_core.charts.chart import Chart, Part, axis_title, beside, margins, rounded, scatter, vertical_line
from cam_core.palette import MEASURED, NEUTRAL, SECOND


def learning_chart(
    losses: Sequence[float],
    train_accuracy: Sequence[float],
    accuracy: Sequence[float],
    *,
    epochs: int,
    mark: int | None = None,
    height: int = 260,
) -> Chart:
    """Two panels over the epochs: training loss; accuracy on the training and on the held-out images.

    Args:
        losses, train_accuracy, accuracy: one value per epoch that is done; accuracies as shares.
        epochs: the number that there will be: the axis does not move while the curves grow.
        mark: an epoch to draw a line at.
        height: pixels.
    """
    data = [
        _line("", losses, "loss", "epoch %{x}: %{y:.3f}", showlegend=False),
        _line("2", train_accuracy, "training images", "epoch %{x}, training: %{y:.1%}", second=True),
        _line("2", accuracy, "held-out images", "epoch %{x}, held out: %{y:.1%}"),
    ]
    layout = {
        "height": height,
        **margins(26),
        "dragmode": False,
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": -0.22, "yanchor": "top"},
        **beside(0.12, ("training loss", "accuracy"), _epochs(epochs), _quantities()),
    }
    if mark is not None:
        layout["shapes"] = [vertical_line(mark, number, color=NEUTRAL, width=1, dash="dash") for number in ("", "2")]
    return {"data": data, "layout": layout}


def _line(
    panel: str, values: Sequence[float], name: str, hover: str, *, second: bool = False, showlegend: bool = True
) -> Part:
    return scatter(
        x=list(range(1, len(values) + 1)),
        y=rounded(values, decimals=3),
        name=name,
        mode="lines+markers",
        line={"color": SECOND if second else MEASURED, "width": 2, "dash": "dot" if second else "solid"},
        marker={"size": 6, "symbol": "diamond" if second else "circle"},
        hovertemplate=f"{hover}<extra></extra>",
        showlegend=showlegend,
        xaxis=f"x{panel}",
        yaxis=f"y{panel}",
    )


def _epochs(epochs: int) -> Part:
    return {**axis_title("epoch", 4), "range": [0.5, epochs + 0.5], "dtick": _tick(epochs), "zeroline": False}


def _quantities() -> tuple[Part, Part]:
    common = {"zeroline": False, "nticks": 5, "automargin": True}
    return {**common, "rangemode": "tozero"}, {**common, "tickformat": ".0%", "range": [0, 1.02]}


def _tick(epochs: int) -> int:
    """Epochs between two labels, so that there are at most eight."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if epochs <= 8 * step or step == 1000)
