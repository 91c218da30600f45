// Realtime: hooks around connections and messages, and own messages.

onRealtimeConnectRequest((e) => {
  e.client.set("greeting", "set at connect")
  e.next()
})

onRealtimeSubscribeRequest((e) => {
  if (e.subscriptions.includes("forbidden")) throw new ForbiddenError("not this topic")
  e.subscriptions = e.subscriptions.concat("added_by_hook")
  e.next()
})

onRealtimeMessageSend((e) => {
  if (e.message.name === "own_topic") {
    const data = JSON.parse(toString(e.message.data))
    data.seen = e.client.get("greeting")
    e.message.data = JSON.stringify(data)
  }
  e.next()
})

routerAdd("POST", "/jsvm/realtime/send", (e) => {
  const message = new SubscriptionMessage({ name: e.request.url.query().get("topic"), data: JSON.stringify({ text: "from a script" }) })
  const clients = $app.subscriptionsBroker().clients()
  let sent = 0
  for (const id in clients) {
    if (clients[id].hasSubscription(message.name)) {
      clients[id].send(message)
      sent++
    }
  }
  return e.json(200, { sent: sent, total: $app.subscriptionsBroker().totalClients() >= sent })
})

routerAdd("GET", "/jsvm/realtime/clients", (e) => {
  const seen = []
  for (const chunk of $app.subscriptionsBroker().chunkedClients(10)) {
    for (const client of chunk) seen.push({ id: client.id().length, topics: Object.keys(client.subscriptions()).sort(), auth: client.get("auth")?.id ?? null })
  }
  return e.json(200, seen)
})
