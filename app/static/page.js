// Buttons that copy a link: the server knows the fields, the browser its own address. The clipboard needs a secure
// context and, in a frame, a permission; where it is refused an old-style copy is tried, and at last the link is shown
// to copy by hand.
let copied
addEventListener("click", async (event) => {
  const button = event.target instanceof Element && event.target.closest("button[data-query]")
  if (!button) return
  const said = button.parentElement.querySelector("[role=status]")
  const shown = button.parentElement.querySelector("input")
  const link = location.origin + location.pathname + "?" + button.dataset.query
  const source = (link + "&embed=true").replaceAll("&", "&amp;").replaceAll('"', "&quot;")
  const frame = `<iframe src="${source}" title="Rightsize" width="480" height="480" loading="lazy"></iframe>`
  const text = "card" in button.dataset ? frame : link
  let done = true
  try {
    await navigator.clipboard.writeText(text)
  } catch (refused) {
    shown.hidden = false
    shown.value = text
    shown.select()
    done = document.execCommand("copy")
    shown.hidden = done
    if (done) button.focus()
  }
  said.textContent = done ? "Copied" : `Press ${/Mac/.test(navigator.platform) ? "Cmd" : "Ctrl"}+C to copy`
  button.dataset.link = text
  clearTimeout(copied)
  copied = setTimeout(() => { if (done) said.textContent = "" }, 4000)
})

// The answer that came with the page (app/unfurl.py) makes way for the dashboard's own once its boxes are drawn, for
// which it waits half a second after the words, and for what went wrong.
addEventListener("DOMContentLoaded", () => {
  const first = document.getElementById("first-answer")
  if (!first) return
  const drawn = ".st-key-verdict h2, .st-key-verdict h5, [data-testid=stAlert], [data-testid=stException], [role=dialog]"
  let leaving
  new MutationObserver((_, observer) => {
    if (!document.querySelector(drawn)) return
    const leave = () => { first.remove(); observer.disconnect() }
    if (!document.querySelector("[data-testid=stSkeleton]")) leave()
    leaving ??= setTimeout(leave, 500)
  }).observe(document, { childList: true, subtree: true })
})
