// Buttons that copy a link: the server knows the fields, the browser its own address. The clipboard needs a secure
// context and, in a frame, a permission; where it is refused an old-style copy is tried, and at last the link is shown
// to copy by hand.
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
  }
  said.textContent = done ? "Copied" : "Press Ctrl+C to copy"
  button.dataset.link = text
  setTimeout(() => { if (done) said.textContent = "" }, 4000)
})

// The answer that came with the page (app/unfurl.py) makes way for the dashboard once that is drawn.
new MutationObserver((_, observer) => {
  if (!document.querySelector(".st-key-verdict") || document.querySelector("[data-testid=stSkeleton]")) return
  document.getElementById("first-answer")?.remove()
  observer.disconnect()
}).observe(document, { childList: true, subtree: true })
