"""What is explained, in words, and as part of a file's name."""

from __future__ import annotations

import pytest
from torch import Tensor

from cam_core.targets import Custom, Difference, Negative, Probability, Similarity, Sum, TargetScore, Value
from pages.shared.targets.words import in_a_file_name, leading_class, names_classes_alone, title, words, written

LABELS = ["ant", "bee", "cat"]
ALIKE = Similarity((1.0, 2.0, 3.0), "Dog and cat")


def margin(logits: Tensor) -> Tensor:
    return logits[:, 0]


MARGIN = Custom(margin)


@pytest.mark.parametrize(
    ("target", "name", "pro", "contra"),
    [
        (1, "bee", "speaks for bee", "speaks against bee"),
        (Probability(2), "the probability of cat", "raises the probability of cat", "lowers the probability of cat"),
        (Difference(0, 2), "the lead of ant over cat", "speaks for ant and not cat", "speaks for cat and not ant"),
        (Negative(0), "the case against ant", "speaks against ant", "speaks for ant"),
        (Sum(2, 0, 1), "cat or ant or bee", "speaks for cat or ant or bee", "speaks against cat or ant or bee"),
        (Value(), "a high value", "raises the value", "lowers the value"),
        (Value(negative=True), "a low value", "lowers the value", "raises the value"),
        (
            ALIKE,
            "the similarity to Dog and cat",
            "raises the similarity to Dog and cat",
            "lowers the similarity to Dog and cat",
        ),
        (MARGIN, "margin", "raises margin", "lowers margin"),
    ],
)
def test_a_target_in_words(target: int | TargetScore, name: str, pro: str, contra: str) -> None:
    said = words(target, LABELS)
    assert (said.name, " ".join(said.pro), " ".join(said.contra)) == (name, pro, contra)


@pytest.mark.parametrize(
    ("target", "leading", "text", "file", "called"),
    [
        (1, 1, "1", "1", "bee"),
        (Probability(2), 2, "p(2)", "p-2", "probability of cat"),
        (Difference(0, 2), 0, "0 - 2", "0-minus-2", "ant − cat"),
        (Negative(0), 0, "-0", "minus-0", "not ant"),
        (Sum(2, 0), 2, "2 | 0", "2-or-0", "cat + ant"),
        (Value(), 1, "value", "value", "value"),
        (Value(negative=True), 0, "-value", "minus-value", "−value"),
        (ALIKE, None, "similarity to Dog and cat", "similarity-to-Dog-and-cat", "similarity to Dog and cat"),
        (MARGIN, None, f"{__name__}:margin", f"{__name__.replace('.', '')}-margin", "margin"),
    ],
)
def test_a_target_in_links_files_and_titles(
    target: int | TargetScore, leading: int | None, text: str, file: str, called: str
) -> None:
    assert (leading_class(target), written(target), in_a_file_name(written(target))) == (leading, text, file)
    assert title(target, LABELS) == called
    assert names_classes_alone(target) == (leading is not None)
