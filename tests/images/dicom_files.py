"""DICOM files for tests: no file of anybody is needed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest


def dicom(pixels: np.ndarray, syntax: str = "ExplicitVRLittleEndian", **entries: Any) -> bytes:
    """A file of one picture (H, W) or (H, W, 3); `entries` override what it says."""
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = pydicom.Dataset()
    file.file_meta, file.preamble = meta, bytes(128)
    file.PatientName = "Nobody^At^All"
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == "ExplicitVRBigEndian" else "<"
    file.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    for name, value in entries.items():
        setattr(file, name, value)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()
