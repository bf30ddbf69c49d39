// The address as a visitor's trail: every choice is an entry of the browser's history, and a button copies the address.
//
// Streamlit replaces the entry when a widget that is bound to the address changes, so Back would leave the page, and adds
// one for every parameter that the app itself writes, of which a choice can have several. Here the first change after a
// visitor's act begins an entry, and what follows from it goes into the same one.
(() => {
  if (window.camscopeAddress) return;
  window.camscopeAddress = true;

  const PAUSE = 1000; // milliseconds: acts on one control within this time, as on a slider's keys, are one choice
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  let begins = false; // whether the next change of the address begins an entry
  let control = null;
  let last = 0;

  const act = (event) => {
    if (event.target !== control || event.timeStamp - last > PAUSE) begins = true;
    control = event.target;
    last = event.timeStamp;
  };
  for (const kind of ["pointerdown", "keydown", "drop"]) addEventListener(kind, act, true);
  addEventListener("popstate", () => { begins = false; control = null; }, true);

  const write = (state, unused, url) => {
    const to = new URL(url ?? "", location.href);
    const entry = begins ? push : replace;
    if (to.href !== location.href) begins = false;
    entry(state, unused, url);
  };
  history.pushState = write;
  history.replaceState = write;

  const copied = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea"); // a page of a room's server has no clipboard but this way
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("no clipboard");
  };
  addEventListener("click", async (event) => {
    const button = event.target.closest?.(".cam-copy");
    if (!button) return;
    const words = button.querySelector("span");
    const before = words.dataset.words ??= words.textContent;
    try {
      await copied(location.href);
      words.textContent = "Link copied";
    } catch {
      words.textContent = "Copy it from the address bar";
    }
    setTimeout(() => { words.textContent = before; }, 2500);
  });
})();
