"""What the pages share. A page reads widgets, calls the core and draws; everything two pages need is here, once.

module     | gives
---------- | -----------------------------------------------------------------------------------------------------------
scene      | `scene()`: photo, model, layer, class, precision, seed as the sidebar has them; the first thing a page asks
sidebar    | draws the sidebar and makes the scene (called by `app.py` alone)
compute    | `explanations(scene, requests)`: results from the shared store, or the jobs that compute them
jobs       | background work: start, watch, cancel; the fair lock of the device. No Streamlit inside
pickers    | methods, parameters and display options as widgets built from the registries, bound to the link
tiles      | heatmap tiles: picture, colour bar, facts, notices; waiting, failed and cancelled tiles
links      | choices that stand in the page's address, so that a link reopens the view
messages   | what happened, why, and the next click: errors and empty states
style      | the style sheet, and the small pieces of HTML that Streamlit has no element for
"""
