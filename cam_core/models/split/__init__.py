"""A network cut in two after a layer: tracing, cutting, preparing each half, and the view that methods see."""
