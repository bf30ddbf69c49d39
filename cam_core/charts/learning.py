"""Loss and accuracy of a training run, as it goes."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cam_core.palette import FOR, NEUTRAL, SECOND


def learning_chart(
    losses: Sequence[float],
    train_accuracy: Sequence[float],
    accuracy: Sequence[float],
    *,
    epochs: int,
    mark: int | None = None,
    height: int = 260,
) -> go.Figure:
    """Two panels over the epochs: training loss; accuracy on the training and on the held-out images.

    Args:
        losses, train_accuracy, accuracy: one value per epoch that is done; accuracies as shares.
        epochs: the number that there will be: the axis does not move while the curves grow.
        mark: an epoch to draw a line at.
        height: pixels.
    """
    figure = make_subplots(1, 2, horizontal_spacing=0.12, subplot_titles=("training loss", "accuracy"))
    done = list(range(1, len(losses) + 1))
    series = (
        (1, losses, "loss", 0, "epoch %{x}: %{y:.3f}<extra></extra>"),
        (2, train_accuracy, "training images", 1, "epoch %{x}, training: %{y:.1%}<extra></extra>"),
        (2, accuracy, "held-out images", 0, "epoch %{x}, held out: %{y:.1%}<extra></extra>"),
    )
    for column, values, name, number, hover in series:
        figure.add_trace(
            go.Scatter(
                x=done,
                y=list(values),
                name=name,
                mode="lines+markers",
                line={"color": SECOND if number else FOR, "width": 2, "dash": "dot" if number else "solid"},
                marker={"size": 6, "symbol": "diamond" if number else "circle"},
                hovertemplate=hover,
                showlegend=column == 2,
            ),
            row=1,
            col=column,
        )
    if mark is not None:
        figure.add_vline(x=mark, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 26, "b": 0},
        dragmode=False,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.22, "yanchor": "top"},
    )
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(
        title_text="epoch", title_standoff=4, range=[0.5, epochs + 0.5], dtick=_tick(epochs), zeroline=False
    )
    figure.update_yaxes(zeroline=False, nticks=5, automargin=True)
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02], row=1, col=2)
    return figure


def _tick(epochs: int) -> int:
    """Epochs between two labels, so that there are at most eight."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if epochs <= 8 * step or step == 1000)
