// The storage of files: `$app.newFilesystem()`, and files from elsewhere.
(function (host, api) {
    "use strict";

    const native = host.files;
    const { Reader, go } = host;

    class Filesystem {
        #root;
        constructor(root) {
            this.#root = root;
        }
        upload(content, key) {
            go(() => native.put.call(this.#root, host.bytes(content), key));
        }
        uploadFile(file, key) {
            go(() => native.putFile.call(this.#root, file, key));
        }
        uploadMultipart(file, key) {
            this.uploadFile(file, key);
        }
        exists(key) {
            return go(() => native.exists.call(this.#root, key));
        }
        attributes(key) {
            const known = go(() => native.attributes.call(this.#root, key));
            return { size: known.size, contentType: known.contentType, modTime: new Date(known.modified), metadata: { "original-filename": known.originalName } };
        }
        getReader(key) {
            if (!this.exists(key)) throw host.failure.host("blob: key not found: " + key);
            return new Reader(() => go(() => native.get.call(this.#root, key)));
        }
        getFile(key) {
            return this.getReader(key);
        }
        getReuploadableFile(key) {
            const name = this.attributes(key).metadata["original-filename"] || key.slice(key.lastIndexOf("/") + 1);
            return api.$filesystem.fileFromBytes(native.get.call(this.#root, key), name);
        }
        copy(from, to) {
            go(() => native.copy.call(this.#root, from, to));
        }
        delete(key) {
            go(() => native.delete.call(this.#root, key));
        }
        deletePrefix(prefix) {
            go(() => native.deletePrefix.call(this.#root, prefix));
            return [];
        }
        list(prefix) {
            return go(() => native.list.call(this.#root, prefix)).map((known) => ({ key: known.key, size: known.size, modTime: new Date(known.modified), isDir: false }));
        }
        isEmptyDir(prefix) {
            return this.list(prefix).length === 0;
        }
        serve(response, request, key, name) {
            const known = this.attributes(key);
            response.header().set("Content-Type", known.contentType);
            response.header().set("Content-Disposition", "inline; filename=" + JSON.stringify(String(name)));
            response.write(native.get.call(this.#root, key));
        }
        createThumb(original, thumb, size) {
            go(() => native.createThumb.call(this.#root, original, thumb, size));
        }
        setContext() {}
        close() {}
    }

    const filesystem = new Filesystem(undefined);
    host.filesystem = (root) => new Filesystem(root);
    host.app.object.newFilesystem = () => filesystem;

    Object.assign(api.$filesystem, {
        fileFromPath: (path) => go(() => native.fromPath(path)),
        fileFromURL(url, seconds) {
            const answer = api.$http.send({ url, timeout: seconds || 120 });
            if (answer.statusCode < 200 || answer.statusCode > 399) {
                throw host.failure.host(`failed to download url ${url} (${answer.statusCode})`);
            }
            const path = String(url).split(/[?#]/)[0].replace(/\/+$/, "");
            return api.$filesystem.fileFromBytes(answer.body, path.slice(path.lastIndexOf("/") + 1));
        },
        local(folder) {
            const local = new Filesystem(String(folder));
            // Whether it may is known at once.
            go(() => native.exists.call(String(folder), "-"));
            return local;
        },
        s3: () => {
            throw host.failure.host("$filesystem.s3 is not supported: the server's own storage is $app.newFilesystem()");
        },
    });
})
