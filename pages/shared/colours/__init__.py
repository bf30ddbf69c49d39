"""The choice of a colour map, and how others see it."""
