"""The parts that pages share. A page reads widgets, calls the core and draws; everything two pages need is here, once.

    seen = scene.current()                                    # photo, model, layer, class: as the sidebar has them
    methods = pickers.methods(["grad-cam", "lift-cam"])       # widgets from the registries, bound to the link
    requests = pickers.parameters(methods)
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)   # results, or the jobs behind them
    look = pickers.look()
    with tiles.grid("mine"): ...                              # heatmaps; tiles for what is running, failed, cancelled

Who computes, and what is kept, is in `pages.runtime`. Work of any other kind (a curve, a benchmark, a
training) goes through `compute.outcomes("group", [compute.Task(…)])`: the task's `work(job)` computes in a
thread, holding the device by `devices.computing`, reports with `job.progress`, and shows what it has so far
with `job.publish`. Put a slider and the picture that it changes into one `st.fragment`.

module   | gives
-------- | ------------------------------------------------------------------------------------------------------------
scene    | `current()`: the scene, the first thing a page asks for; its photo, frame, prediction and shared classifier
sidebar  | draws the sidebar and makes the scene (called by `app.py` alone)
photo    | gallery, upload, camera; many photos in a zip
models   | the networks that can be chosen: catalogue, bundled ones, the visitor's own
networks | "My network …": the dialog, and the networks that visitors bring
pickers  | methods, their parameters, and how heatmaps are to look
tiles    | heatmaps with colour bar, facts and notices; what stands in their place while there is none
links    | choices that stand in the page's address: a link reopens the view, Back the one before; `address.js` helps
messages | what happened, why, and the next click: errors, the state of a job, empty states
charts   | Plotly charts as every page shows them
downloads | buttons that give a file
pictures | pictures that arrive with the page itself
provenance | where a file comes from, written into the file
tables   | tables: Streamlit's own, and HTML where it has none that does
style    | numbers and small print as the pages write them; applies `app.css` with the palette's colours
preload  | what other pages will need, fetched while a visitor looks at the first

Parts that one page alone needs stand in that page's package.
"""
