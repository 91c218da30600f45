// `$template`.
(function (host, api) {
    "use strict";

    const native = host.template;
    const { go } = host;

    class Renderer {
        #texts;
        #functions;
        constructor(texts, functions) {
            this.#texts = texts;
            this.#functions = functions;
        }
        render(data) {
            const texts = go(this.#texts);
            return go(() => native.render(texts, data, this.#functions));
        }
    }

    class Registry {
        #functions = Object.create(null);
        addFuncs(functions) {
            Object.assign(this.#functions, functions);
            return this;
        }
        loadString(text) {
            return new Renderer(() => [["", String(text)]], this.#functions);
        }
        loadFiles(...paths) {
            const list = paths.flat().map(String);
            return new Renderer(() => list.map((path) => [api.$filepath.base(path), native.load(path)]), this.#functions);
        }
        loadFS(folder, ...paths) {
            return this.loadFiles(paths.flat().map((path) => api.$filepath.join(folder.folderPath, path)));
        }
    }

    const shared = new Registry();
    api.$template = {
        addFuncs: (functions) => {
            shared.addFuncs(functions);
            return api.$template;
        },
        loadString: (text) => shared.loadString(text),
        loadFiles: (...paths) => shared.loadFiles(...paths),
        loadFS: (folder, ...paths) => shared.loadFS(folder, ...paths),
        /** A registry with functions of its own. */
        registry: () => new Registry(),
    };
})
