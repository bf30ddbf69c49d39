"""What is explained of the network's output: the widgets that choose it, and the words that say it."""
