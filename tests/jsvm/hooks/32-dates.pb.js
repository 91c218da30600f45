// DateTime and time zones.

routerAdd("GET", "/jsvm/dates", (e) => {
  const date = new DateTime("2024-02-28 12:30:45.678Z")
  const day = 24 * 60 * 60 * 1000000000
  return e.json(200, {
    string: date.string(),
    text: String(date),
    json: date,
    unix: date.unix(),
    milli: date.time().unixMilli(),
    parts: [date.time().year(), date.time().month(), date.time().day(), date.time().hour(), date.time().minute(), date.time().second(), date.time().weekday(), date.time().yearDay()],
    added: date.add(2 * day).string(),
    addDate: date.addDate(0, 0, 2).string(),
    unchanged: date.string(),
    sub: [date.sub(new DateTime("2024-02-27 12:30:45.678Z")) == day, date.sub(new DateTime("2024-02-27 12:30:45.678Z")).hours()],
    order: [date.before(new DateTime()), date.after(new DateTime()), date.equal(new DateTime("2024-02-28 12:30:45.678Z")), date.compare(new DateTime("2030-01-01"))],
    zero: [new DateTime("garbage").isZero(), new DateTime("garbage").string(), date.isZero()],
    now: Math.abs(new DateTime().unix() - Date.now() / 1000) < 5,
    short: new DateTime("2024-02-28").string(),
    offset: new DateTime("2024-02-28T12:30:45+02:00").string(),
    zone: [new DateTime("2024-07-01 00:00:00", "Europe/Amsterdam").string(), new DateTime("2024-01-01 00:00:00", "Europe/Amsterdam").string(), new DateTime("2024-01-01 00:00:00", "No/Where").string()],
    timezone: [new Timezone("America/New_York").string(), new Timezone("bad/zone").string()],
    format: date.time().format("2006/01/02 15:04"),
    js: new Date(date.string()).getTime() === date.time().unixMilli(),
  })
})
