// A script that keeps its thread busy and does nothing.

routerAdd("POST", "/load/loop", (e) => {
  const end = Date.now() + 500
  while (Date.now() < end) {
    // as a loop by mistake, but one that ends
  }
  return e.noContent(204)
})
