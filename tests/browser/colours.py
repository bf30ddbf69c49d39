"""What a browser paints, as numbers: letters and rings before what is behind them, and how well they stand out."""

from __future__ import annotations

_PAINTER = """
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    const paint = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1) }
    const now = () => [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
    const behind = part => {
        const chain = []
        for (; part; part = part.parentElement) chain.unshift(getComputedStyle(part).backgroundColor)
        paint('white')
        chain.forEach(paint)
        return now()
    }
"""

LETTERS = f"""tag => {{
    {_PAINTER}
    const ground = behind(tag)
    const letters = [...tag.querySelectorAll('span')].find(span => span.textContent && !span.children.length) ?? tag
    paint(getComputedStyle(letters).color)
    return [ground, now()]
}}"""
"""An element → what its first letters are painted on, and their colour: sRGB, 0 to 255."""

RING = f"""() => {{
    {_PAINTER}
    const part = document.activeElement, style = getComputedStyle(part)
    const ground = behind(part.parentElement)
    paint(style.outlineColor)
    const name = part.getAttribute('aria-label') ?? part.textContent
    const shown = style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)
    return {{ tag: part.localName, role: part.role, name, shown, colours: [ground, now()] }}
}}"""
"""() → the element that has the focus: its ring's width in pixels, what is behind the ring, and the ring's colour."""


def contrast(one: list[int], other: list[int]) -> float:
    """Of two sRGB colours, as WCAG 2.2 defines it."""

    def luminance(colour: list[int]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
