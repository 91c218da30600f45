// `$os`, `$filepath` and `process`.
(function (host, api) {
    "use strict";

    const native = host.os;
    const { Reader, GoError } = host;

    /** Failures of natives as errors of the host. */
    const go = (call) => {
        try {
            return call();
        } catch (error) {
            throw error.name === "GoError" ? error : host.failure.host(error.message);
        }
    };

    /** What `stat` and `readDir` tell of a file. */
    class FileInfo {
        #known;
        constructor(known) {
            this.#known = known;
        }
        name() {
            return this.#known.name;
        }
        size() {
            return this.#known.size;
        }
        isDir() {
            return this.#known.isDir;
        }
        mode() {
            return this.#known.mode;
        }
        modTime() {
            return new Date(this.#known.modified);
        }
        type() {
            return this.#known.isDir ? 0x80000000 : 0;
        }
        info() {
            return this;
        }
    }

    /** A folder as scripts hand it on. */
    class Folder {
        constructor(path) {
            this.folderPath = String(path);
        }
        open(name) {
            return new Reader(() => go(() => native.readFile(api.$filepath.join(this.folderPath, name))));
        }
        close() {}
    }

    /** A folder that nothing leads out of. */
    class Root {
        #path;
        constructor(path) {
            this.#path = String(path);
            this.#in(".");
        }
        #in(name) {
            return go(() => native.within(this.#path, name));
        }
        name() {
            return this.#path;
        }
        open(name) {
            const path = this.#in(name);
            go(() => native.stat(path));
            return new Reader(() => go(() => native.readFile(path)));
        }
        openRoot(name) {
            return new Root(this.#in(name));
        }
        fs() {
            return new Folder(this.#path);
        }
        stat(name) {
            return api.$os.stat(this.#in(name));
        }
        readFile(name) {
            return api.$os.readFile(this.#in(name));
        }
        writeFile(name, content, mode) {
            api.$os.writeFile(this.#in(name), content, mode);
        }
        mkdir(name, mode) {
            api.$os.mkdir(this.#in(name), mode);
        }
        mkdirAll(name, mode) {
            api.$os.mkdirAll(this.#in(name), mode);
        }
        rename(from, to) {
            api.$os.rename(this.#in(from), this.#in(to));
        }
        remove(name) {
            api.$os.remove(this.#in(name));
        }
        removeAll(name) {
            api.$os.removeAll(this.#in(name));
        }
        close() {}
    }

    class Command {
        #words;
        constructor(words) {
            this.#words = words;
            this.dir = "";
            this.env = [];
            this.stdin = null;
            this.processState = null;
        }
        get args() {
            return this.#words.slice();
        }
        get path() {
            return this.#words[0];
        }
        string() {
            return this.#words.join(" ");
        }
        #run() {
            const pairs = (this.env || []).map((pair) => {
                const at = pair.indexOf("=");
                return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
            });
            const [code, out, errors] = go(() => native.command(this.#words, this.dir, pairs, host.bytes(this.stdin)));
            this.processState = { exitCode: () => code, success: () => code === 0 };
            return [code, out, errors];
        }
        #checked(code) {
            if (code !== 0) throw host.failure.host("exit status " + code);
        }
        output() {
            const [code, out] = this.#run();
            this.#checked(code);
            return out;
        }
        combinedOutput() {
            const [code, out, errors] = this.#run();
            this.#checked(code);
            const all = new Uint8Array(out.length + errors.length);
            all.set(out);
            all.set(errors, out.length);
            return all;
        }
        run() {
            this.#checked(this.#run()[0]);
        }
    }

    const cmd = (...words) => new Command(words.flat().map(String));

    api.$os = {
        get args() {
            return native.args();
        },
        cmd,
        exec: cmd,
        exit: (code) => native.exit(code || 0),
        getenv: (name) => go(() => native.getenv(name)),
        dirFS: (path) => new Folder(path),
        stat: (path) => new FileInfo(go(() => native.stat(path))),
        readFile: (path) => go(() => native.readFile(path)),
        writeFile: (path, content, mode) => go(() => native.writeFile(path, host.bytes(content), mode || 0)),
        readDir: (path) => go(() => native.readDir(path)).map((known) => new FileInfo(known)),
        tempDir: () => go(() => native.tempDir()),
        truncate: (path, size) => go(() => native.truncate(path, size)),
        getwd: () => go(() => native.getwd()),
        mkdir: (path, mode) => go(() => native.mkdir(path, false, mode || 0)),
        mkdirAll: (path, mode) => go(() => native.mkdir(path, true, mode || 0)),
        rename: (from, to) => go(() => native.rename(from, to)),
        remove: (path) => go(() => native.remove(path, false)),
        removeAll: (path) => go(() => native.remove(path, true)),
        openRoot: (path) => new Root(path),
        openInRoot: (path, name) => new Root(path).open(name),
    };

    api.process = {
        get env() {
            return native.environ();
        },
        get argv() {
            return native.args();
        },
    };

    const clean = (path) => {
        if (path === "") return ".";
        const rooted = path.startsWith("/");
        const parts = [];
        for (const part of path.split("/")) {
            if (part === "" || part === ".") continue;
            if (part !== "..") parts.push(part);
            else if (parts.length > 0 && parts[parts.length - 1] !== "..") parts.pop();
            else if (!rooted) parts.push("..");
        }
        const joined = (rooted ? "/" : "") + parts.join("/");
        return joined === "" ? "." : joined;
    };

    /** A pattern of a path's part as a regular expression; throws for what is none. */
    const pattern = (text) => {
        let out = "";
        for (let i = 0; i < text.length; i++) {
            const c = text[i];
            if (c === "*") out += "[^/]*";
            else if (c === "?") out += "[^/]";
            else if (c === "[") {
                const end = text.indexOf("]", i + 2);
                if (end < 0) throw host.failure.host("syntax error in pattern");
                const inner = text.slice(i + 1, end).replace(/\\/g, "\\\\");
                out += "[" + inner + "]";
                i = end;
            } else if (c === "\\") {
                i += 1;
                if (i >= text.length) throw host.failure.host("syntax error in pattern");
                out += text[i].replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
            } else out += c.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
        }
        return new RegExp("^" + out + "$");
    };

    const base = (path) => {
        if (path === "") return ".";
        const bare = path.replace(/\/+$/, "");
        return bare === "" ? "/" : bare.slice(bare.lastIndexOf("/") + 1);
    };

    const walk = (root, visit) => {
        const step = (path, info) => {
            let skipped = null;
            try {
                visit(path, info, null);
            } catch (error) {
                if (error !== SKIP) throw error;
                skipped = error;
            }
            if (!info.isDir() || skipped) return;
            for (const entry of api.$os.readDir(path)) step($filepath.join(path, entry.name()), entry);
        };
        step(root, api.$os.stat(root));
    };
    const SKIP = new GoError("skip this directory");

    const $filepath = {
        base,
        clean,
        dir: (path) => clean(path.slice(0, path.lastIndexOf("/") + 1)),
        ext: (path) => {
            const name = path.slice(path.lastIndexOf("/") + 1);
            const at = name.lastIndexOf(".");
            return at < 0 ? "" : name.slice(at);
        },
        fromSlash: (path) => path,
        toSlash: (path) => path,
        isAbs: (path) => path.startsWith("/"),
        join: (...parts) => {
            const given = parts.flat().map(String).filter((part) => part !== "");
            return given.length === 0 ? "" : clean(given.join("/"));
        },
        match: (text, name) => pattern(text).test(name),
        rel: (from, to) => {
            const [one, other] = [clean(from), clean(to)];
            if (one === other) return ".";
            if (one.startsWith("/") !== other.startsWith("/")) throw host.failure.host(`Rel: can't make ${to} relative to ${from}`);
            const parts = (path) => path.split("/").filter((part) => part !== "" && part !== ".");
            const [a, b] = [parts(one), parts(other)];
            let same = 0;
            while (same < a.length && same < b.length && a[same] === b[same]) same += 1;
            if (a.slice(same).includes("..")) throw host.failure.host(`Rel: can't make ${to} relative to ${from}`);
            return [...a.slice(same).map(() => ".."), ...b.slice(same)].join("/");
        },
        split: (path) => [path.slice(0, path.lastIndexOf("/") + 1), path.slice(path.lastIndexOf("/") + 1)],
        splitList: (list) => (list === "" ? [] : list.split(":")),
        glob: (text) => {
            const rooted = text.startsWith("/");
            let found = [rooted ? "/" : ""];
            for (const part of text.split("/").filter((part) => part !== "")) {
                const plain = !/[*?[\\]/.test(part);
                const next = [];
                for (const folder of found) {
                    if (plain) {
                        const path = $filepath.join(folder, part);
                        try {
                            api.$os.stat(path);
                            next.push(path);
                        } catch (error) {
                            if (error.message.includes("--hooksAllowOs")) throw error;
                        }
                        continue;
                    }
                    const matches = pattern(part);
                    let entries = [];
                    try {
                        entries = api.$os.readDir(folder === "" ? "." : folder);
                    } catch (error) {
                        if (error.message.includes("--hooksAllowOs")) throw error;
                    }
                    for (const entry of entries) if (matches.test(entry.name())) next.push($filepath.join(folder, entry.name()));
                }
                found = next;
            }
            return found;
        },
        walk,
        walkDir: walk,
    };
    api.$filepath = $filepath;
    host.go = go;
})
