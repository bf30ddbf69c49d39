// A sidebar that lies over the page, as on a phone, closes when what was chosen in it is to be seen behind it.
(() => {
  if (window.camscopeNarrow) return;
  window.camscopeNarrow = true;

  const OVERLAID = 768; // pixels: in windows no wider Streamlit lays the sidebar over the page
  const ROOM = 240; // pixels beside the sidebar in which a page can be seen
  const close = () => document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
  const beside = () => innerWidth - document.querySelector("[data-testid=stSidebar]").getBoundingClientRect().right;

  addEventListener("click", (event) => {
    if (innerWidth > OVERLAID) return;
    const page = event.target.closest?.("[data-testid=stSidebarNavLink]");
    const photo = event.target.closest?.(".st-key-gallery button");
    if (page || (photo && beside() < ROOM)) setTimeout(close); // after Streamlit has taken the click
  });
})();
