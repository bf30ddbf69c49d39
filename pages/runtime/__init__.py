"""Who computes, and what is kept.

module   | gives
-------- | ------------------------------------------------------------------------------------------------------------
compute  | one store of results for all visitors, the models they share, jobs of one's own; cache keys
devices  | who computes on a device, alone or with half of its processors
served   | the network of one's own that the app is served around: `python -m pages --model my_module:build`
limits   | how far a visitor may go, on a laptop and in a room
presence | which browser and which tab a run of a page is for, as Streamlit knows it
turns    | whose turn it is at a device: the shortest work first, and nobody waits for ever. No Streamlit inside
jobs     | background work: start, watch, cancel. No Streamlit inside
polling  | what moves on a page while jobs run, in one fragment
store    | what was computed last, and for whom it is kept. No Streamlit inside
visits   | browsers, their tabs and what they leave; the end of a visit. No Streamlit inside
keeper   | ends visits, watches the devices, writes the log's line on how it goes. No Streamlit inside
"""
