"""Tables of results, to be read: who leads, on which images, with what left out; and as they stand in a paper."""
