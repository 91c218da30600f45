// `$security`.
(function (host, api) {
    "use strict";

    const native = host.security;

    api.$security = {
        md5: (text) => native.md5(text),
        sha256: (text) => native.sha256(text),
        sha512: (text) => native.sha512(text),
        hs256: (text, key) => native.hs256(text, key),
        hs512: (text, key) => native.hs512(text, key),
        equal: (one, other) => native.equal(one, other),
        randomString: (length) => native.random(length),
        randomStringWithAlphabet: (length, alphabet) => native.random(length, String(alphabet)),
        randomStringByRegex: (pattern) => native.randomByRegex(pattern),
        pseudorandomString: (length) => native.random(length),
        pseudorandomStringWithAlphabet: (length, alphabet) => native.random(length, String(alphabet)),
        parseUnverifiedJWT: (token) => native.parseUnverifiedJWT(token),
        parseJWT: (token, key) => native.parseJWT(token, key),
        createJWT: (claims, key, seconds) => native.createJWT(claims, key, seconds || 0),
        encrypt: (content, key) => native.encrypt(host.bytes(content), key),
        decrypt: (hidden, key) => native.decrypt(hidden, key),
    };
})
