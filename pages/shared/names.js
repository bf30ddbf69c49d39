// For those who hear the page: a button that Streamlit calls the same in every list is called by its list too, and of
// buttons for one choice of several it is said which is chosen.
(() => {
  if (window.camscopeNames) return;
  window.camscopeNames = true;

  const LIST = "[data-testid=stMultiSelect]";
  const CHOICES = [[".st-key-gallery button", "[data-testid=stBaseButton-primary]"], [".st-key-classes button", ":has(strong)"]];
  const name = () => {
    for (const button of document.querySelectorAll(LIST + ' [aria-label="Clear all"]')) {
      const label = button.closest(LIST).querySelector("[data-testid=stWidgetLabel]");
      if (label) button.setAttribute("aria-label", "Clear all: " + label.textContent.trim());
    }
    for (const [buttons, chosen] of CHOICES) {
      for (const button of document.querySelectorAll(buttons)) button.setAttribute("aria-pressed", button.matches(chosen));
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-testid"] });
  name();
})();
