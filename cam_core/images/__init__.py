"""Images on their way in: read a file whatever it is, frame it as the network sees it, offer the sample photos."""

from cam_core.images.archives import ArchiveError, ArchiveLimits, Unpacked, unpack_images
from cam_core.images.files import EXTENSIONS, FORMATS, as_rgb, check_size, image_digest, load_image, upright_size
from cam_core.images.gallery import ASSETS, SAMPLES, Sample, read_samples, sample
from cam_core.images.preprocessing import FITS, IMAGENET_MEAN, IMAGENET_STD, Fit, Preprocessing

__all__ = [
    "ASSETS",
    "EXTENSIONS",
    "FITS",
    "FORMATS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "SAMPLES",
    "ArchiveError",
    "ArchiveLimits",
    "Fit",
    "Preprocessing",
    "Sample",
    "Unpacked",
    "as_rgb",
    "check_size",
    "image_digest",
    "load_image",
    "read_samples",
    "sample",
    "unpack_images",
    "upright_size",
]
