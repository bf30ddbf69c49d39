"""How methods and metrics are declared: parameters in signatures, entries as data, and who lists them."""
