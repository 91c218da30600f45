// What scripts use beside records: topics, modules, storage, schedules, sign-in, small helpers.
(function (host, api) {
    "use strict";

    api.pubsub = {
        publish: (topic, payload) => host.pubsub.publish(topic, payload),
        subscribe(topic, handler) {
            const name = String(topic);
            if (name.startsWith("@")) {
                throw new TypeError("topics that begin with @ are the server's own");
            }
            const number = host.register.topic(name, handler);
            return () => host.pubsub.end(number);
        },
    };

    const modules = host.modules.list();
    for (const object of Object.keys(modules)) {
        const functions = {};
        for (const name of modules[object]) {
            functions[name] = (...values) => host.modules.call(object, name, values);
        }
        api[object] = functions;
    }
    api.location.distance = (lat1, lng1, lat2, lng2) => host.modules.distance(lat1, lng1, lat2, lng2);

    api.storage = {
        set: (key, value, ttlSeconds) => host.storage.set(key, value, ttlSeconds),
        get: (key) => host.storage.get(key),
        delete: (key) => host.storage.delete(key),
        keys: (prefix) => host.storage.keys(prefix),
    };

    let schedules = 0;
    api.cron = {
        // Seconds, or a cron expression; gives a function that ends it.
        schedule(when, work) {
            const text = String(when).trim();
            if (typeof when === "number" || /^\d+(\.\d+)?$/.test(text)) {
                const number = host.cron.every(Number(when), work);
                return () => host.pubsub.end(number);
            }
            const id = host.log.script() + "-schedule-" + ++schedules;
            host.register.cron(id, text, work);
            return () => host.register.uncron(id);
        },
        setTimeout: (milliseconds, work) => setTimeout(work, milliseconds),
    };

    api.auth = {
        verifyToken: (token) => host.auth.verifyToken(token),
        getUser: (id) => host.auth.getUser(id),
    };

    api.utils = {
        jsonEncode: (value) => JSON.stringify(value),
        jsonDecode: (text) => host.utils.jsonDecode(text),
        msgpackEncode: (value) => host.utils.msgpackEncode(value),
        msgpackDecode: (bytes) => host.utils.msgpackDecode(bytes),
        generateId: () => host.utils.generateId(),
        hashPassword: (text) => host.utils.hashPassword(text),
        random: (...bounds) => host.utils.random(...bounds),
        uuid: () => host.utils.uuid(),
    };
    api.sleep = (milliseconds) => host.utils.sleep(milliseconds);
    api.timestamp = () => host.utils.timestamp();

    const decoder = new TextDecoder();
    // Over the checked client of `$http`, where there is one.
    const request = (method, url, data, options) => {
        const client = api.$http;
        if (!client || !client.send) {
            throw new TypeError("requests to other servers are not available");
        }
        const given = options || {};
        const headers = Object.assign({}, given.headers);
        let body = data === undefined ? given.body : data;
        if (body !== undefined && body !== null && typeof body !== "string") {
            body = JSON.stringify(body);
            if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
                headers["content-type"] = "application/json";
            }
        }
        const sent = { url: String(url), method, headers, timeout: given.timeout || 30 };
        if (body !== undefined && body !== null) {
            sent.body = body;
        }
        const answer = client.send(sent);
        return {
            status: answer.statusCode,
            headers: answer.headers,
            body: typeof answer.body === "string" ? answer.body : decoder.decode(new Uint8Array(answer.body || [])),
            json: answer.json,
        };
    };
    api.http = {
        get: (url, options) => request("GET", url, undefined, options),
        post: (url, data, options) => request("POST", url, data, options),
    };
})
