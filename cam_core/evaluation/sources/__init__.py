"""Where the images of an evaluation come from: a folder, a zip, a list in CSV or Parquet, with labels and boxes."""

from cam_core.evaluation.sources.entries import Entry, Reader, Source
from cam_core.evaluation.sources.opening import open_source, survey

__all__ = ["Entry", "Reader", "Source", "open_source", "survey"]
