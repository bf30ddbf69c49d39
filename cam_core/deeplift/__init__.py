"""DeepLIFT (Rescale): what each activation contributed to a change in logit, through any tail.

`attribution` runs the tail on reference and activations, `dispatch` says which rule each torch function gets, and
`rules` holds the rules themselves.
"""

from cam_core.deeplift.attribution import Contributions, contributions

__all__ = ["Contributions", "contributions"]
