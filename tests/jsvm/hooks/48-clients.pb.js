// Realtime clients one by one.

onRealtimeSubscribeRequest((e) => {
  e.client.set("seen", { by: "the hook" })
  e.client.set("gone", 1)
  e.client.unset("gone")
  e.next()
  $app.store().set("subscribed", [e.client.id().length, Object.keys(e.client.subscriptions()).sort(), e.client.get("seen").by, e.client.get("gone")])
})

onRealtimeMessageSend((e) => {
  if (e.message.name === "dropped") return
  if (e.message.name === "bytes") e.message.data = toBytes('{"by":"bytes"}')
  e.next()
})

routerAdd("GET", "/jsvm/clients/{id}/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const broker = $app.subscriptionsBroker()
  const id = e.request.pathValue("id")
  const client = broker.clientById(id)
  switch (e.request.pathValue("what")) {
    case "state":
      broker.register(client)
      return e.json(200, { subscribed: $app.store().get("subscribed"), same: client.id() === id, prefix: Object.keys(client.subscriptions("notes?")), options: client.subscriptions(), has: [client.hasSubscription("plain"), client.hasSubscription("plai")], discarded: client.isDiscarded(), name: client.get("auth")?.get("name") ?? null, total: broker.totalClients(), missing: utils.thrown(() => broker.clientById("missing")), empty: client.get("nothing") === null || client.get("nothing") === undefined })
    case "subscribe": {
      client.subscribe("by_script", "other")
      const both = ["by_script", "other"].map((name) => client.hasSubscription(name))
      client.unsubscribe("other")
      const one = client.hasSubscription("other")
      return e.json(200, { both, one })
    }
    case "send": {
      client.send(new SubscriptionMessage({ name: "dropped", data: "{}" }))
      client.send(new SubscriptionMessage({ name: "bytes", data: "{}" }))
      return e.noContent(204)
    }
    case "clear": {
      client.unsubscribe()
      return e.json(200, Object.keys(client.subscriptions()))
    }
    case "discard": {
      client.discard()
      const discarded = client.isDiscarded()
      broker.unregister(id)
      return e.json(200, { discarded, left: utils.thrown(() => broker.clientById(id)) !== "" })
    }
  }
})
