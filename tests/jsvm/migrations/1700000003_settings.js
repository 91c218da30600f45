// Settings and an account.

migrate((app) => {
  const settings = app.settings()
  settings.meta.appName = "Migrated"
  settings.meta.appURL = "https://example.com"
  settings.batch.enabled = true
  app.save(settings)

  const user = new Record(app.findCollectionByNameOrId("users"))
  user.set("email", "migrated@example.com")
  user.set("name", "migrated")
  user.setPassword("12345678")
  app.save(user)
})
