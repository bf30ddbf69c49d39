"""Who computes, and what is kept.

module  | gives
------- | -------------------------------------------------------------------------------------------------------------
compute | one store of results for all visitors, the models they share, jobs of one's own; cache keys
turns   | whose turn it is at a device: the shortest work first, and nobody waits for ever. No Streamlit inside
jobs    | background work: start, watch, cancel. No Streamlit inside
polling | what moves on a page while jobs run, in one fragment
"""
