"""DeepLIFT (Rescale) and LRP (ε-rule): what each activation contributed to a logit, through any tail.

`attribution` runs the tail on reference and activations, `dispatch` says which rule each torch function gets, and
`rules` holds the rules themselves. `relevance` takes the same walk once, with LRP's slopes.
"""

from cam_core.deeplift.attribution import Contributions, contributions
from cam_core.deeplift.dispatch import RuleMode, check_rules
from cam_core.deeplift.relevance import RelevanceMode, relevance

__all__ = ["Contributions", "RelevanceMode", "RuleMode", "check_rules", "contributions", "relevance"]
