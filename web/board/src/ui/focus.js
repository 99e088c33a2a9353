// Focus is never lost: when the focused element leaves the document, its nearest ancestor that can have the focus gets it.

/** Begins to watch. */
export function keepFocus() {
  let last = null;
  let ancestors = [];
  document.addEventListener('focusin', ({ target }) => {
    last = target;
    ancestors = [];
    for (let element = target.parentElement; element; element = element.parentElement) ancestors.push(element);
  });
  new MutationObserver(() => {
    if (!last || last.isConnected || document.activeElement !== document.body) return;
    const next = ancestors.find((element) => element.isConnected && element.hasAttribute('tabindex')) ?? document.getElementById('main');
    last = null;
    next?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
}
