"""Networks of the visitor's own, by name or uploaded: the dialog behind "My network …", and what it keeps.

They lie in the visitor's folder, so that they are there after a reload, and go with the visit.
"""
