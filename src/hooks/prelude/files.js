// Files: `$filesystem` and what it gives.
(function (host, api) {
    "use strict";

    const native = host.file;
    const { Reader } = host;

    /** Opens the content of a file, as Go's file readers do. */
    class FileReader {
        #load;
        constructor(load) {
            this.#load = load;
        }
        open() {
            return new Reader(this.#load);
        }
    }

    class File {
        get name() {
            return native.property.call(this, "name");
        }
        get originalName() {
            return native.property.call(this, "originalName");
        }
        /** As the header of an uploaded file names it. */
        get filename() {
            return this.originalName;
        }
        get size() {
            return native.property.call(this, "size");
        }
        get reader() {
            return new FileReader(() => native.read.call(this));
        }
        toJSON() {
            return { name: this.name, originalName: this.originalName, size: this.size };
        }
    }

    host.filePrototype = File.prototype;
    host.FileReader = FileReader;
    host.isFile = (value) => value instanceof File;

    api.$filesystem = {
        fileFromBytes: (content, name) => native.fromBytes(host.bytes(content), name),
        fileFromMultipart: (file) => file,
    };
})
