"""Work as plain data, and where its workers live: in the calling thread, in processes, as Ray actors.

A task goes to a worker, which answers with events; an engine says where workers live, and tries a task elsewhere whose
worker died. The seam is `submit`, `events`, `cancel`, `close`.
"""
