"""A button that copies the decision link: this page's address with every field written out; or its card, as HTML."""

from __future__ import annotations

import streamlit as st

_HTML = """
<div class="row">
  <button type="button" class="copy"></button>
  <span role="status" aria-live="polite" class="said"></span>
  <input class="shown" readonly hidden aria-label="Link to copy" />
</div>
"""
_CSS = """
.row { display: flex; gap: .5rem; align-items: center; justify-content: flex-end; flex-wrap: wrap; }
.copy {
  font: inherit; cursor: pointer; padding: .35rem .9rem; white-space: nowrap;
  color: var(--st-background-color); background: var(--st-primary-color);
  border: 1px solid var(--st-primary-color); border-radius: var(--st-button-radius, .5rem);
}
.copy:hover { filter: brightness(1.1); }
.copy:focus-visible { outline: 3px solid var(--st-text-color); outline-offset: 2px; }
.said { font-size: .85rem; color: var(--st-text-color); }
.shown { flex: 1 1 100%; font: inherit; padding: .3rem; }
"""
# The server knows the fields, the browser its own address. The clipboard needs a secure context and, in a frame, a
# permission; where it is refused an old-style copy is tried, and at last the link is shown to copy by hand.
_JS = """
export default function (component) {
  const { data, parentElement } = component
  const button = parentElement.querySelector(".copy")
  const said = parentElement.querySelector(".said")
  const shown = parentElement.querySelector(".shown")
  button.textContent = data.label
  const link = () => {
    const address = window.location.origin + window.location.pathname + "?" + data.query
    if (!data.card) return address
    const source = (address + "&embed=true").replaceAll("&", "&amp;").replaceAll('"', "&quot;")
    return `<iframe src="${source}" title="Rightsize" width="480" height="480" loading="lazy"></iframe>`
  }
  const oldCopy = (text) => {
    shown.hidden = false
    shown.value = text
    shown.select()
    const done = document.execCommand("copy")
    if (done) shown.hidden = true
    return done
  }
  button.onclick = async () => {
    const text = link()
    let done = false
    try {
      await navigator.clipboard.writeText(text)
      done = true
    } catch (refused) {
      done = oldCopy(text)
    }
    said.textContent = done ? "Copied" : "Press Ctrl+C to copy"
    button.dataset.link = text
    setTimeout(() => { if (done) said.textContent = "" }, 4000)
  }
}
"""
_component = st.components.v2.component("copy_link", html=_HTML, css=_CSS, js=_JS)


def copy_link(query: str, *, label: str = "Copy link", key: str = "copy_link", card: bool = False) -> None:
    """Draw the button. `query` is the encoded query string, without the question mark; `card` copies a frame of it."""
    _component(data={"query": query, "label": label, "card": card}, key=key)
