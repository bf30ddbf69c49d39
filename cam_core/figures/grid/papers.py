"""Who wrote the papers that methods come from, and where they appeared, as their publishers say: for BibTeX.

A method names its paper in the registry, by its first author, year and identifier; what is known for sure of a paper
beyond that stands here, and what is not is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

_CVPR: Final = "Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)"
_CVPR_WORKSHOPS: Final = f"{_CVPR} Workshops"
_ICCV: Final = "Proceedings of the IEEE/CVF International Conference on Computer Vision (ICCV)"
_WACV: Final = "Proceedings of the IEEE Winter Conference on Applications of Computer Vision (WACV)"


@dataclass(frozen=True)
class Paper:
    """A paper as its publisher describes it.

    Attributes:
        authors: all of them, surname first: "Jung, Hyungsik".
        kind: of its entry; of one that appeared on arXiv alone "misc".
        fields: of its entry, beside authors, year and what the registry says of it; a title where that has none, or
            where the paper was published under another one.
    """

    authors: tuple[str, ...]
    kind: Literal["inproceedings", "article", "incollection", "misc"] = "misc"
    fields: Mapping[str, str] = field(default_factory=dict)


def _paper(
    authors: str, kind: Literal["inproceedings", "article", "incollection", "misc"] = "misc", **fields: str
) -> Paper:
    return Paper(tuple(authors.split("; ")), kind, MappingProxyType(fields))


PAPERS: Final[Mapping[str, Paper]] = MappingProxyType(
    {
        "1512.04150": _paper(
            "Zhou, Bolei; Khosla, Aditya; Lapedriza, Agata; Oliva, Aude; Torralba, Antonio",
            "inproceedings",
            booktitle="Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
            pages="2921--2929",
        ),
        "1610.02391": _paper(
            "Selvaraju, Ramprasaath R.; Cogswell, Michael; Das, Abhishek; Vedantam, Ramakrishna; Parikh, Devi; "
            "Batra, Dhruv",
            "inproceedings",
            booktitle="Proceedings of the IEEE International Conference on Computer Vision (ICCV)",
            pages="618--626",
            doi="10.1109/ICCV.2017.74",
        ),
        "1710.11063": _paper(
            "Chattopadhyay, Aditya; Sarkar, Anirban; Howlader, Prantik; Balasubramanian, Vineeth N.",
            "inproceedings",
            title="Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep Convolutional Networks",
            booktitle=_WACV,
            pages="839--847",
        ),
        "1908.01224": _paper("Omeiza, Daniel; Speakman, Skyler; Cintas, Celia; Weldermariam, Komminist"),
        "1910.01279": _paper(
            "Wang, Haofan; Wang, Zifan; Du, Mengnan; Yang, Fan; Zhang, Zijian; Ding, Sirui; Mardziel, Piotr; Hu, Xia",
            "inproceedings",
            booktitle=_CVPR_WORKSHOPS,
            doi="10.1109/CVPRW50498.2020.00020",
        ),
        "2006.14255": _paper("Wang, Haofan; Naidu, Rakshit; Michael, Joy; Kundu, Soumya Snigdha"),
        "2008.00299": _paper(
            "Muhammad, Mohammed Bany; Yeasin, Mohammed",
            "inproceedings",
            booktitle="Proceedings of the International Joint Conference on Neural Networks (IJCNN)",
            doi="10.1109/IJCNN48605.2020.9206626",
        ),
        "2008.02312": _paper(
            "Fu, Ruigang; Hu, Qingyong; Dong, Xiaohu; Guo, Yulan; Gao, Yinghui; Li, Biao",
            "inproceedings",
            booktitle="Proceedings of the British Machine Vision Conference (BMVC)",
        ),
        "2010.03023": _paper(
            "Naidu, Rakshit; Ghosh, Ankita; Maurya, Yash; Nayak K, Shamanth R.; Kundu, Soumya Snigdha"
        ),
        "2011.08891": _paper("Draelos, Rachel Lea; Carin, Lawrence"),
        "2102.05228": _paper("Jung, Hyungsik; Oh, Youngrock", "inproceedings", booktitle=_ICCV, pages="1336--1344"),
        "2104.10252": _paper(
            "Poppi, Samuele; Cornia, Marcella; Baraldi, Lorenzo; Cucchiara, Rita",
            "inproceedings",
            booktitle=_CVPR_WORKSHOPS,
            pages="2299--2304",
        ),
        "2105.00937": _paper(
            "Lee, Kwang Hee; Park, Chaewon; Oh, Junghyun; Kwak, Nojun", "inproceedings", booktitle=_ICCV
        ),
        "2208.03608": _paper(
            "Zheng, Quan; Wang, Ziwei; Zhou, Jie; Lu, Jiwen",
            "inproceedings",
            booktitle="Proceedings of the European Conference on Computer Vision (ECCV)",
            pages="459--474",
        ),
        "2301.07002": _paper(
            "Zhang, Hanwei; Torres, Felipe; Sicre, Ronan; Avrithis, Yannis; Ayache, Stephane",
            "article",
            journal="Computer Vision and Image Understanding",
            volume="248",
            pages="104101",
        ),
        "2501.06261": _paper("Cai, Huaiguang"),
        "2501.11309": _paper(
            "Zhang, Ziheng; Gu, Jianyang; Chowdhury, Arpita; Mai, Zheda; Carlyn, David; Berger-Wolf, Tanya; Su, Yu; "
            "Chao, Wei-Lun",
            "inproceedings",
            booktitle=_CVPR,
            pages="9611--9620",
        ),
        "2605.14641": _paper(
            "Domeniconi, Luca; Stramiglio, Alessandra; Lombardi, Michele; Salti, Samuele",
            "inproceedings",
            booktitle="Proceedings of the International Conference on Pattern Recognition (ICPR)",
        ),
        "10.1109/WACV45572.2020.9093360": _paper(
            "Desai, Saurabh; Ramaswamy, Harish G.", "inproceedings", booktitle=_WACV
        ),
        "10.1109/TIP.2021.3089943": _paper(
            "Jiang, Peng-Tao; Zhang, Chang-Bin; Hou, Qibin; Cheng, Ming-Ming; Wei, Yunchao",
            "article",
            journal="IEEE Transactions on Image Processing",
            volume="30",
            pages="5875--5888",
        ),
        "10.1287/mnsc.18.5.64": _paper(
            "Owen, Guillermo",
            "article",
            title="Multilinear Extensions of Games",
            journal="Management Science",
            volume="18",
            pages="64--79",
        ),
        "Shapley 1953": _paper(
            "Shapley, Lloyd S.",
            "incollection",
            title="A Value for n-Person Games",
            booktitle="Contributions to the Theory of Games II",
            pages="307--317",
            publisher="Princeton University Press",
        ),
        "Castro 2009": _paper(
            "Castro, Javier; Gómez, Daniel; Tejada, Juan",
            "article",
            title="Polynomial calculation of the Shapley value based on sampling",
            journal="Computers & Operations Research",
            volume="36",
            number="5",
            pages="1726--1730",
            doi="10.1016/j.cor.2008.04.004",
        ),
        "Bach 2015": _paper(
            "Bach, Sebastian; Binder, Alexander; Montavon, Grégoire; Klauschen, Frederick; Müller, Klaus-Robert; "
            "Samek, Wojciech",
            "article",
            title="On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation",
            journal="PLoS ONE",
            volume="10",
            number="7",
            pages="e0130140",
            doi="10.1371/journal.pone.0130140",
        ),
    }
)
"""Every paper by its arXiv id, else its DOI, else its first author and year, as the registry names it."""
