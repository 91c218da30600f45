// JSON work: about 8 kB are parsed, transformed and written again.

routerAdd("POST", "/load/json", (e) => {
  const orders = JSON.parse(toString(e.request.body)).orders
  const totals = {}
  const lines = orders
    .filter((order) => order.items.length > 0)
    .map((order) => {
      const total = order.items.reduce((sum, item) => sum + item.price * item.amount, 0)
      totals[order.customer] = (totals[order.customer] || 0) + total
      return { ...order, total: Math.round(total * 100) / 100, label: `${order.customer} #${order.id}`.toUpperCase() }
    })
    .sort((a, b) => b.total - a.total)
  return e.json(200, { lines: lines, totals: totals, count: lines.length })
})

// The same route without work, to subtract.
routerAdd("POST", "/load/empty", (e) => e.noContent(204))
