"""Tools for those who work on CAMscope."""
