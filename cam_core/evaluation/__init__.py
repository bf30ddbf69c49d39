"""Folder evaluation: every image by every metric; the work to be done, its finished parts, tables of results."""
