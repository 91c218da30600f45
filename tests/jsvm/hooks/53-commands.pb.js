// A command of the command line, and the end of the application.

$app.rootCmd.addCommand(new Command({
  use: "jsvm-greet",
  short: "Greets",
  run: (cmd, args) => {
    require(`${__hooks}/utils.js`).mark($app, "command", [args, cmd.name()])
  },
}))

onBootstrapClear((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "clears", "cleared")
  e.next()
})
