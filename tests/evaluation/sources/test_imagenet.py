"""ImageNet's labels and boxes, in the forms that ImageNet and Kaggle give them, and the form that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from cam_core.evaluation.sources import Entry, open_source, survey
from cam_core.evaluation.sources.classes import Classes
from cam_core.evaluation.sources.imagenet import read_synsets
from cam_core.evaluation.sources.places import Place
from cam_core.models.zoo.labels import imagenet_labels, imagenet_wnids
from cam_core.types import MetricError
from tests.evaluation.sources.files import LABELS, write

IMAGE = "ILSVRC2012_val_00000001"
XML = """<annotation><folder>val</folder><filename>{name}</filename>
<size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>n01751748</name><bndbox><xmin>111</xmin><ymin>108</ymin><xmax>441</xmax><ymax>193</ymax></bndbox></object>
<object><name>{second}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
</annotation>"""
SEA_SNAKE = 65


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write(tmp_path / "val", f"{IMAGE}.JPEG", "ILSVRC2012_val_00000002.JPEG")


def entries(images: Path, annotations: Path, **more: Path) -> tuple[Entry, ...]:
    return open_source(images, imagenet_labels(), annotations, **more).entries


def test_wnids_are_in_the_order_of_the_labels() -> None:
    wnids, labels = imagenet_wnids(), imagenet_labels()
    assert len(set(wnids)) == 1000 and list(wnids) == sorted(wnids)
    # By hand, from the lists of ImageNet.
    known = {"n01440764": 0, "n01751748": 65, "n02012849": 134, "n02099601": 207, "n03126707": 517, "n15075141": 999}
    assert {wnid: wnids.index(wnid) for wnid in known} == known
    info = ImageNetInfo()
    named = [label.lower() in info.label_name_to_description(wnid).lower() for wnid, label in zip(wnids, labels)]  # noqa: B905
    assert sum(named) > 950, "but for spelling, each label is one of its wnid's names"


def test_a_folder_per_wnid_is_labelled(tmp_path: Path) -> None:
    write(tmp_path, "train/n02012849/a.JPEG", "train/n03126707/b.JPEG", "train/n00007846/c.JPEG")
    source = open_source(tmp_path, imagenet_labels())
    assert [entry.label for entry in source.entries] == [None, 134, 517]
    assert source.entries[0].problem == "'n00007846' is no class of the network"


def test_annotations_in_xml(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Annotations" / "CLS-LOC" / "val"
    folder.mkdir(parents=True)
    (folder / f"{IMAGE}.xml").write_text(XML.format(name=IMAGE, second="n01751748"))
    (folder / "ILSVRC2012_val_00000009.xml").write_text("of no image that is asked for, and not read")
    first, second = entries(images, tmp_path / "Annotations")
    assert first.label == SEA_SNAKE
    assert first.truth == {
        "size": [500, 375],
        "regions": [{"classes": ["sea snake"], "boxes": [[111, 108, 441, 193], [1, 2, 30, 40]]}],
    }
    assert (second.label, second.problem) == (None, "no annotation of ILSVRC2012_val_00000002")


def test_an_image_of_two_classes_has_no_label(images: Path, tmp_path: Path) -> None:
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / f"{IMAGE}.xml").write_text(XML.format(name=IMAGE, second="n01440764"))
    first, _ = entries(images, tmp_path / "xml")
    assert (first.label, first.problem) == (None, "2 classes are annotated")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "is no annotation of ImageNet"),
        ("<annotation><object/></annotation>", "no size/width"),
        (XML.replace("<xmin>111</xmin>", "").format(name="", second=""), "no bndbox/xmin"),
        (XML.replace("111", "left").format(name="", second="x"), "is no annotation of ImageNet"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + XML, "it declares entities"),
    ],
)
def test_xml_of_another_kind_is_refused(images: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / f"{IMAGE}.xml").write_text(text)
    with pytest.raises(MetricError, match=message):
        entries(images, tmp_path / "xml")


def test_the_table_of_kaggle(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "LOC_val_solution.csv"
    table.write_text(
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00000002,n03995372 85 1 499 272 \n"
        f"{IMAGE},n01751748 111 108 441 193 n01751748 5 5 5 9 \n"
    )
    first, second = entries(images, table)
    assert first.label == SEA_SNAKE and first.truth is not None
    assert first.truth["regions"] == [{"classes": ["sea snake"], "boxes": [[111, 108, 441, 193]]}], (
        "no box without area"
    )
    assert first.truth["size"] is None, "the table does not say"
    assert second.label == imagenet_labels().index("power drill")


@pytest.mark.parametrize("prediction", ["", "n03995372 85 1 499", "n03995372 a b c d", "7 85 1 499 272"])
def test_a_broken_table_of_kaggle_is_refused(images: Path, tmp_path: Path, prediction: str) -> None:
    table = tmp_path / "LOC_val_solution.csv"
    table.write_text(f"ImageId,PredictionString\n{IMAGE},{prediction}\n")
    with pytest.raises(MetricError, match=r"line 2 of LOC_val_solution.csv is no image with wnids and boxes"):
        entries(images, table)


def test_the_numbers_of_the_development_kit_are_refused_with_the_reason(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    table.write_text("490\n361\n")
    with pytest.raises(MetricError, match="in an order that is not the network's: its class 1 is no tench"):
        entries(images, table)


def test_other_annotations_are_refused(images: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("name,class\na,b\n")
    with pytest.raises(MetricError, match="neither a folder of XML files nor a table ImageId, PredictionString"):
        entries(images, other)
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MetricError, match="no text in UTF-8"):
        entries(images, other)
    other.write_text("ImageId,PredictionString\nILSVRC2012_val_00000077,n03995372 85 1 499 272\n")
    with pytest.raises(MetricError, match=f"has none of these images, such as {IMAGE}"):
        entries(images, other)
    (images / "list.csv").write_text(f"path\n{IMAGE}.JPEG\n")
    with pytest.raises(MetricError, match=r"list.csv has its labels in itself"):
        open_source(images / "list.csv", LABELS, other)
    with pytest.raises(MetricError, match="cannot read"):
        entries(images, tmp_path / "none.csv")


def test_names_of_wnids_lead_to_the_classes_of_a_smaller_network(tmp_path: Path) -> None:
    path = tmp_path / "LOC_synset_mapping.txt"
    path.write_text("n02134084 ice bear, polar bear, Ursus Maritimus\nn02206856 bee\nn02012849 crane\nn00000001 ox\n\n")
    synsets = read_synsets(Place.of(path))
    classes = Classes(LABELS, synsets)
    assert (classes.index("n02134084"), classes.index("n02206856")) == (4, 1)
    with pytest.raises(MetricError, match="'n02012849' is the name of 2 classes"):
        classes.index("n02012849")
    with pytest.raises(MetricError, match="'n00000001' is no class of the network"):
        classes.index("n00000001")
    write(tmp_path, "n02206856/a.png")
    assert open_source(tmp_path, LABELS, synsets=path).entries[0].label == 1
    path.write_text("1 kit fox\n")
    with pytest.raises(MetricError, match=r"line 1 of LOC_synset_mapping.txt is no 'n01440764 tench, Tinca tinca'"):
        read_synsets(Place.of(path))


def test_a_survey_has_all_boxes_before_there_is_a_network(images: Path, tmp_path: Path) -> None:
    """Labels of a network that has none of the classes would leave none of them."""
    solution = tmp_path / "LOC_val_solution.csv"
    solution.write_text(f"ImageId,PredictionString\n{IMAGE},n03995372 85 1 499 272 \n")
    known = [entry.truth for entry in open_source(images, LABELS, solution).entries]
    surveyed = survey(images, solution)
    assert known == [None, None]
    assert [entry.truth is not None for entry in surveyed.entries] == [True, False]
    (images / "list.csv").write_text(f'path,index,boxes\n{IMAGE}.JPEG,21000,"[[1, 2, 3, 4]]"\n')
    (listed,) = survey(images / "list.csv").entries
    assert listed.truth is not None


def test_a_table_with_an_endless_field_is_refused(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text("ImageId,PredictionString\n" + "a" * 200_000)
    with pytest.raises(MetricError, match=r"LOC_val_solution.csv cannot be read as a table: field larger"):
        entries(images, path)
