"""Text for LaTeX."""

from __future__ import annotations

from typing import Final

_SIGNS: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\N{NO-BREAK SPACE}": "~", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "·": r"$\cdot$",
    "…": r"\ldots{}", "“": "``", "”": "''", "‘": "`", "’": "'", "–": "--", "—": "---", "α": r"$\alpha$",
    "β": r"$\beta$", "γ": r"$\gamma$", "ε": r"$\varepsilon$", "φ": r"$\varphi$", "σ": r"$\sigma$",
    "½": r"$\frac{1}{2}$",
}  # fmt: skip


def escaped(text: str) -> str:
    """The text as LaTeX prints it; letters of other scripts are left to the document's own fonts."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)
