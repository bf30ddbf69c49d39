"""Grids of images × methods (or layers, classes, networks) for publication.

module       | gives
------------ | ---------------------------------------------------------------------------------------------------------
spec         | `FigureSpec`: what is shown and how, as plain data, read from JSON and written to it
reading      | records of JSON as dataclasses, refused in words
venues       | widths, fonts and font sizes that venues ask for
explained    | `explain_grid` computes the maps and curves of a spec
titles       | the words in a figure
layout       | the places of everything, in millimetres
charts       | curves and bars of coefficients at the end of a row
drawing      | `grid_figure` draws, `grid_file` encodes
meaning      | what the values of the maps speak for, in words
doubts       | what an author should know before the figure goes to print
papers       | who wrote the papers of the methods, and where they appeared
bibliography | BibTeX entries of methods
escaping     | text for LaTeX
latex        | the snippet that includes the figure, with its caption
"""
