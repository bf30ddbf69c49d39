"""The parts that pages share. A page reads widgets, calls the core and draws; everything two pages need is here, once.

    seen = scene.current()                                    # photo, model, layer, class: as the sidebar has them
    methods = pickers.methods(["grad-cam", "lift-cam"])       # widgets from the registries, bound to the link
    requests = pickers.parameters(methods)
    outcomes = compute.explanations(seen.question, seen.photo.image, requests)   # results, or the jobs behind them
    look = pickers.look()
    with tiles.grid("mine"): ...                              # heatmaps; tiles for what is running, failed, cancelled

Work of any other kind (a curve, a benchmark, a training) goes through `compute.outcomes("group", [compute.Task(…)])`:
the task's `work(job)` computes in a thread, holding the device by `compute.computing`, reports with `job.progress`, and
shows what it has so far with `job.publish`. Put a slider and the picture that it changes into one `st.fragment`.

module   | gives
-------- | ------------------------------------------------------------------------------------------------------------
scene    | `current()`: the scene, the first thing a page asks for; its photo, frame, prediction and shared classifier
sidebar  | draws the sidebar and makes the scene (called by `app.py` alone)
photo    | gallery, upload, camera
models   | the networks that can be chosen: catalogue, bundled ones, the visitor's own
compute  | one store of results and one fair lock per device for all visitors, jobs of one's own; cache keys
jobs     | background work: start, watch, cancel. No Streamlit inside
pickers  | methods, their parameters, and how heatmaps are to look
tiles    | heatmaps with colour bar, facts and notices; what stands in their place while there is none
links    | choices that stand in the page's address, so that a link reopens the view
messages | what happened, why, and the next click: errors, progress, empty states
style    | the style sheet, and the small pieces of HTML that Streamlit has no element for

Parts that one page alone needs stand in that page's package.
"""
