// A button that Streamlit calls the same in every list is called by its list too, for those who hear the page.
(() => {
  if (window.camscopeNames) return;
  window.camscopeNames = true;

  const LIST = "[data-testid=stMultiSelect]";
  const name = () => {
    for (const button of document.querySelectorAll(LIST + ' [aria-label="Clear all"]')) {
      const label = button.closest(LIST).querySelector("[data-testid=stWidgetLabel]");
      if (label) button.setAttribute("aria-label", "Clear all: " + label.textContent.trim());
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  name();
})();
