"""Folders of images judged by every metric: what is to be done, its finished parts, tables of results."""
