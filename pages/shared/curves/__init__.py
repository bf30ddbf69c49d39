"""Deletion and insertion curves, wherever they are asked for."""
