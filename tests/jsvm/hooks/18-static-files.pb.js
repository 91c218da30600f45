// Files of a folder as routes.

routerAdd("GET", "/jsvm/static/{path...}", $apis.static(`${__hooks}/views`, false))
routerAdd("GET", "/jsvm/static-fs/{path...}", $apis.static($os.dirFS(`${__hooks}/views`), true))
routerAdd("GET", "/jsvm/one-file", (e) => e.fileFS($os.dirFS(`${__hooks}/views`), "page.html"))
