"""The snippet for LaTeX and the BibTeX entries; compiled where LaTeX is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cam_core.figures import bibliography, grid_doubts, grid_file, latex_snippet
from cam_core.figures.grid.bibliography import Work, works_of
from cam_core.figures.grid.escaping import escaped
from cam_core.figures.grid.papers import PAPERS
from cam_core.methods import METHODS
from cam_core.version import versions
from tests.figures.grid.grids import explanation, grid, grid_of, zoomed


def test_every_method_but_controls_has_a_work_and_keys_tell_works_apart() -> None:
    works = {work for method in METHODS for work in works_of(method)}
    assert [method for method in METHODS if not works_of(method)] == ["random"]
    assert len({work.key for work in works}) == len(works)


def test_an_entry_is_whole() -> None:
    assert bibliography(["grad-cam"]) == (
        "@inproceedings{selvaraju2017gradcam,\n"
        "  author = {Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna and "
        "Parikh, Devi and Batra, Dhruv},\n"
        "  title = {{Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization}},\n"
        "  year = {2017},\n"
        "  eprint = {1610.02391},\n"
        "  archiveprefix = {arXiv},\n"
        "  doi = {10.1109/ICCV.2017.74},\n"
        "  booktitle = {Proceedings of the IEEE International Conference on Computer Vision (ICCV)},\n"
        "  pages = {618--626}\n"
        "}\n"
    )


@pytest.mark.parametrize("method", [key for key, entry in METHODS.items() if works_of(key)])
def test_every_paper_has_authors_with_first_names_a_title_a_year_and_a_place(method: str) -> None:
    for work in works_of(method):
        fields, required = (
            work.fields,
            {"inproceedings": "booktitle", "article": "journal", "incollection": "booktitle"},
        )
        authors = fields["author"].split(" and ")
        assert all(re.fullmatch(r"[^,]+, \w[^,]+", author) for author in authors), authors
        assert "others" not in authors and authors[0].startswith(f"{work.surname},")
        assert len(authors) == len(work.authors.split(" & ")) or "et al" in work.authors
        assert fields["title"] and re.fullmatch("(19|20)[0-9]{2}", fields["year"])
        kind = work.entry[1:].partition("{")[0]
        assert fields[required[kind]] if kind in required else fields["eprint"]


def test_a_paper_is_known_only_if_a_method_comes_from_it() -> None:
    papers = [work.paper for method in METHODS for work in works_of(method)]
    assert all(paper in papers for paper in PAPERS.values())


def test_a_paper_that_only_a_registry_knows_is_cited_as_far_as_it_goes() -> None:
    assert Work("Doe & Roe", "2030", "A map", "ICCV", arxiv="3001.00001").entry == (
        "@misc{doe2030,\n  author = {Doe and Roe},\n  title = {{A map}},\n  howpublished = {ICCV},\n"
        "  year = {2030},\n  eprint = {3001.00001},\n  archiveprefix = {arXiv}\n}\n"
    )


def test_a_work_that_several_methods_name_stands_once_with_its_title() -> None:
    entries = bibliography(["lime-cam", "lift-cam", "lrp-cam"])
    assert re.findall("^@([a-z]+)", entries, re.MULTILINE) == ["inproceedings", "article"]
    assert "author = {Jung, Hyungsik and Oh, Youngrock},\n  title = {{Towards Better" in entries
    assert "Bach, Sebastian and" in entries


def test_the_caption_says_network_layer_class_methods_seed_and_versions() -> None:
    rows = [[explanation(), explanation("score-cam", params={"batch_size": 8, "baseline": 0.5})]]
    text = latex_snippet(grid(rows), "cams_1.pdf")
    assert text.startswith("\\begin{figure*}[t]") and text.endswith("\\end{figure*}\n")
    assert "\\includegraphics[width=174.62mm]{cams_1.pdf}" in text and "\\label{fig:cams_1}" in text
    assert "of tiny, layer \\texttt{layer4}" in text
    assert (
        "Grad-CAM~\\cite{selvaraju2017gradcam}; Score-CAM~\\cite{wang2020scorecam} (batch\\_size 8, baseline 0.5)"
        in text
    )
    assert "photo 0 (German shepherd, $p = 0.973$)" in text
    assert "Seed 0, float32" in text and f"camscope {versions()['camscope']}" in text
    assert latex_snippet(grid(rows, venue="eccv"), "a.pdf").startswith("\\begin{figure}[t]")


def test_the_caption_names_layers_networks_and_classes_where_they_differ() -> None:
    rows = [[explanation(), explanation(layer="a_b", model="other", trained=False, target=1, label="50 % cat")]]
    text = latex_snippet(grid(rows), "a.pdf")
    assert "of tiny at \\texttt{layer4}" in text and "of other (untrained) at \\texttt{a\\_b}" in text
    assert "(German shepherd, $p = 0.973$; 50 \\% cat, $p = 0.973$)" in text


def test_the_caption_names_the_methods_that_know_no_class() -> None:
    both = latex_snippet(grid([[explanation(), explanation("eigen-cam")]]), "a.pdf")
    assert "what speaks for the class (not Eigen-CAM: the same map for every class), each map" in both
    assert "(not" not in latex_snippet(grid([[explanation()]]), "a.pdf")
    blind = latex_snippet(grid([[explanation("eigen-cam")]]), "a.pdf")
    assert "the same for every class" in blind and "speaks for" not in blind


def test_the_caption_says_which_row_is_for_and_which_against() -> None:
    against = {"target": "-3", "label": "not German shepherd", "score": -11.1, "probability": None}
    alone = latex_snippet(grid([[explanation(**against)] * 2]), "a.pdf")
    assert "Colours over the photo: what speaks against German shepherd, each map" in alone
    assert "(not German shepherd, $-$11.1~logits)" in alone
    mixed = grid([[explanation(**against)] * 2, [explanation()] * 2])
    told = "in ``photo 0'' what speaks against German shepherd; in ``photo 1'' what speaks for the class"
    assert told in latex_snippet(mixed, "a.pdf")
    assert [doubt for doubt in grid_doubts(mixed) if "do not show the same" in doubt]
    assert not [doubt for doubt in grid_doubts(grid_of(2, 2)) if "do not show the same" in doubt]
    columns = latex_snippet(grid([[explanation(**against), explanation()]]), "a.pdf")
    assert "what speaks against German shepherd, or what speaks for the class, as each panel names it" in columns


def test_the_caption_says_that_a_part_is_enlarged() -> None:
    assert "enlarged" not in latex_snippet(grid_of(2, 2), "a.pdf")
    text = latex_snippet(zoomed(grid_of(1, 2), (0.1, 0.1, 0.25)), "a.pdf")
    assert "In ``photo 0'' a corner of each panel shows the part in the thin white frame enlarged." in text


def test_signs_of_latex_are_printed_as_they_are() -> None:
    assert escaped("a_b & 5 % {x} \\y") == "a\\_b \\& 5 \\% \\{x\\} \\textbackslash{}y"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_the_snippet_compiles(tmp_path: Path) -> None:
    made = grid_of(2, 3)
    (tmp_path / "grid.pdf").write_bytes(grid_file(made, "pdf"))
    (tmp_path / "refs.bib").write_text(bibliography(METHODS))
    snippet = latex_snippet(made, "grid.pdf")
    (tmp_path / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\\usepackage{graphicx}\\begin{document}\n"
        f"{snippet}\\nocite{{*}}\\bibliographystyle{{plain}}\\bibliography{{refs}}\\end{{document}}\n"
    )
    for command in (["pdflatex", "-interaction=nonstopmode", "paper"], ["bibtex", "paper"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert not re.search(r"^!", done.stdout, re.MULTILINE)
