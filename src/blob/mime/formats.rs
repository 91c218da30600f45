//! The known formats as a tree: a format's own kinds are tried only when it matches, in order; the last match wins.

mod containers;
mod texts;

use super::{Kind, binary, text};
use containers::{MP4, OLE, ZIPPED};
use texts::TEXTS;

/// How a format is recognised.
#[derive(Clone, Copy)]
enum Test {
    /// One of these at the start.
    Starts(&'static [&'static [u8]]),
    /// These bytes at an offset.
    At(usize, &'static [u8]),
    Is(fn(&[u8]) -> bool),
}

struct Node {
    kind: Kind,
    test: Test,
    children: &'static [Node],
}

impl Node {
    const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.kind.aliases = aliases;
        self
    }

    const fn with(mut self, children: &'static [Self]) -> Self {
        self.children = children;
        self
    }

    fn matches(&self, head: &[u8]) -> bool {
        match self.test {
            Test::Starts(signatures) => signatures.iter().any(|start| head.starts_with(start)),
            Test::At(offset, signature) => binary::has_at(head, offset, signature),
            Test::Is(test) => test(head),
        }
    }
}

const fn node(essence: &'static str, extension: &'static str, test: Test) -> Node {
    Node {
        kind: Kind {
            essence,
            aliases: &[],
            extension,
        },
        test,
        children: &[],
    }
}

static UNKNOWN: Kind = Kind {
    essence: "application/octet-stream",
    aliases: &[],
    extension: "",
};

/// The most exact format that matches.
pub(super) fn find(head: &[u8]) -> &'static Kind {
    let mut found = &UNKNOWN;
    let mut nodes = FORMATS;
    while let Some(node) = nodes.iter().find(|node| node.matches(head)) {
        found = &node.kind;
        nodes = node.children;
    }
    found
}

/// The format with a name or an other name.
pub(super) fn lookup(essence: &str) -> Option<&'static Kind> {
    fn within(nodes: &'static [Node], essence: &str) -> Option<&'static Kind> {
        nodes.iter().find_map(|node| {
            let mut names = std::iter::once(&node.kind.essence).chain(node.kind.aliases);
            match names.any(|name| name.eq_ignore_ascii_case(essence)) {
                true => Some(&node.kind),
                false => within(node.children, essence),
            }
        })
    }
    within(FORMATS, essence)
}

use Test::{At, Is, Starts};

static FORMATS: &[Node] = &[
    node("image/x-xpixmap", ".xpm", Starts(&[b"/* XPM */"])),
    node(
        "application/x-7z-compressed",
        ".7z",
        Starts(&[b"7z\xbc\xaf\x27\x1c"]),
    ),
    node("application/zip", ".zip", Is(binary::is_zip))
        .or(&["application/x-zip", "application/x-zip-compressed"])
        .with(ZIPPED),
    node("application/pdf", ".pdf", Is(binary::is_pdf)).or(&["application/x-pdf"]),
    node("application/vnd.fdf", ".fdf", Starts(&[b"%FDF"])),
    node(
        "application/x-ole-storage",
        "",
        Starts(&[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]),
    )
    .with(OLE),
    node("application/postscript", ".ps", Starts(&[b"%!PS-Adobe-"])),
    node("image/vnd.adobe.photoshop", ".psd", Starts(&[b"8BPS"]))
        .or(&["image/x-psd", "application/photoshop"]),
    node("application/pkcs7-signature", ".p7s", Is(binary::is_pkcs7)),
    node("application/ogg", ".ogg", Starts(&[b"OggS\0"]))
        .or(&["application/x-ogg"])
        .with(&[
            node("audio/ogg", ".oga", Is(binary::is_ogg_audio)),
            node("video/ogg", ".ogv", Is(binary::is_ogg_video)),
        ]),
    node("image/png", ".png", Starts(&[b"\x89PNG\r\n\x1a\n"])).with(&[node(
        "image/vnd.mozilla.apng",
        ".png",
        At(37, b"acTL"),
    )]),
    node("image/jpeg", ".jpg", Starts(&[b"\xff\xd8\xff"])),
    node(
        "image/jxl",
        ".jxl",
        Starts(&[b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"]),
    ),
    node(
        "image/jp2",
        ".jp2",
        Is(|head| binary::is_jpeg_2000(head, b"jp2 ")),
    ),
    node(
        "image/jpx",
        ".jpf",
        Is(|head| binary::is_jpeg_2000(head, b"jpx ")),
    ),
    node(
        "image/jpm",
        ".jpm",
        Is(|head| binary::is_jpeg_2000(head, b"jpm ")),
    )
    .or(&["video/jpm"]),
    node("image/jxs", ".jxs", Starts(&[b"\0\0\0\x0cJXS \r\n\x87\n"])),
    node("image/gif", ".gif", Starts(&[b"GIF87a", b"GIF89a"])),
    node(
        "image/webp",
        ".webp",
        Is(|head| binary::is_chunked(head, b"RIFF", b"WEBP")),
    ),
    node(
        "application/vnd.microsoft.portable-executable",
        ".exe",
        Starts(&[b"MZ"]),
    ),
    node("application/x-elf", "", Starts(&[b"\x7fELF"])).with(&[
        node(
            "application/x-object",
            "",
            Is(|head| binary::is_elf(head, 1)),
        ),
        node(
            "application/x-executable",
            "",
            Is(|head| binary::is_elf(head, 2)),
        ),
        node(
            "application/x-sharedlib",
            ".so",
            Is(|head| binary::is_elf(head, 3)),
        ),
        node(
            "application/x-coredump",
            "",
            Is(|head| binary::is_elf(head, 4)),
        ),
    ]),
    node("application/x-archive", ".a", Starts(&[b"!<arch>"]))
        .or(&["application/x-unix-archive"])
        .with(&[node(
            "application/vnd.debian.binary-package",
            ".deb",
            At(8, b"debian-binary"),
        )]),
    node("application/x-tar", ".tar", Is(binary::is_tar)),
    node("application/x-xar", ".xar", Starts(&[b"xar!"])),
    node("application/x-bzip2", ".bz2", Starts(&[b"BZh"])),
    node(
        "application/fits",
        ".fits",
        Starts(&[b"SIMPLE  =                    T"]),
    )
    .or(&["image/fits"]),
    node("image/tiff", ".tiff", Starts(&[b"II*\0", b"MM\0*"])),
    node("image/bmp", ".bmp", Is(binary::is_bmp)).or(&["image/x-bmp", "image/x-ms-bmp"]),
    node("application/vnd.lotus-1-2-3", ".123", Is(binary::is_lotus)),
    node(
        "image/x-icon",
        ".ico",
        Starts(&[b"\0\0\x01\0", b"\0\0\x02\0"]),
    ),
    node("audio/mpeg", ".mp3", Is(binary::is_mp3)).or(&["audio/x-mpeg", "audio/mp3"]),
    node("audio/flac", ".flac", Starts(&[b"fLaC\0\0\0\x22"])),
    node("audio/midi", ".midi", Starts(&[b"MThd"])).or(&[
        "audio/mid",
        "audio/sp-midi",
        "audio/x-mid",
        "audio/x-midi",
    ]),
    node("audio/musepack", ".mpc", Starts(&[b"MPCK"])),
    node("audio/amr", ".amr", Starts(&[b"#!AMR"])).or(&["audio/amr-nb"]),
    node(
        "audio/wav",
        ".wav",
        Is(|head| binary::is_chunked(head, b"RIFF", b"WAVE")),
    )
    .or(&["audio/x-wav", "audio/vnd.wave", "audio/wave"]),
    node(
        "audio/aiff",
        ".aiff",
        Is(|head| binary::is_chunked(head, b"FORM", b"AIFF")),
    )
    .or(&["audio/x-aiff"]),
    node("audio/basic", ".au", Starts(&[b".snd"])),
    node("video/mpeg", ".mpeg", Is(binary::is_mpeg)),
    node("video/quicktime", ".mov", Is(binary::is_quicktime)),
    node("video/mp4", ".mp4", Is(binary::is_mp4)).with(MP4),
    node(
        "video/webm",
        ".webm",
        Is(|head| binary::is_matroska(head, b"webm")),
    )
    .or(&["audio/webm"]),
    node("video/x-msvideo", ".avi", Is(binary::is_avi)).or(&["video/avi", "video/msvideo"]),
    node("video/x-flv", ".flv", Starts(&[b"FLV\x01"])),
    node(
        "video/x-matroska",
        ".mkv",
        Is(|head| binary::is_matroska(head, b"matroska")),
    ),
    node(
        "video/x-ms-asf",
        ".asf",
        Starts(&[b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"]),
    )
    .or(&["video/asf", "video/x-ms-wmv"]),
    node("audio/aac", ".aac", Starts(&[b"\xff\xf1", b"\xff\xf9"])),
    node("audio/x-unknown", ".voc", Starts(&[b"Creative Voice File"])),
    node(
        "application/vnd.apple.mpegurl",
        ".m3u",
        Starts(&[b"#EXTM3U\n", b"#EXTM3U\r\n"]),
    )
    .or(&["audio/mpegurl", "application/x-mpegurl"]),
    node(
        "application/vnd.rn-realmedia-vbr",
        ".rmvb",
        Starts(&[b".RMF"]),
    ),
    node("application/gzip", ".gz", Starts(&[b"\x1f\x8b"])).or(&[
        "application/x-gzip",
        "application/x-gunzip",
        "application/gzipped",
        "application/gzip-compressed",
        "application/x-gzip-compressed",
        "gzip/document",
    ]),
    node(
        "application/x-java-applet",
        ".class",
        Is(binary::is_java_class),
    ),
    node(
        "application/x-shockwave-flash",
        ".swf",
        Starts(&[b"CWS", b"FWS", b"ZWS"]),
    ),
    node(
        "application/x-chrome-extension",
        ".crx",
        Is(binary::is_chrome_extension),
    ),
    node("font/ttf", ".ttf", Is(binary::is_truetype)).or(&[
        "font/sfnt",
        "application/x-font-ttf",
        "application/font-sfnt",
    ]),
    node("font/woff", ".woff", Starts(&[b"wOFF"])),
    node("font/woff2", ".woff2", Starts(&[b"wOF2"])),
    node("font/otf", ".otf", Is(binary::is_opentype)),
    node(
        "font/collection",
        ".ttc",
        Starts(&[b"ttcf\0\x01\0\0", b"ttcf\0\x02\0\0"]),
    ),
    node(
        "application/vnd.ms-fontobject",
        ".eot",
        Is(binary::is_embedded_font),
    ),
    node("application/wasm", ".wasm", Starts(&[b"\0asm"])),
    node("application/dicom", ".dcm", At(128, b"DICM")),
    node(
        "application/x-rar-compressed",
        ".rar",
        Starts(&[b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\x01\0"]),
    )
    .or(&["application/x-rar"]),
    node("image/vnd.djvu", ".djvu", Is(binary::is_djvu)),
    node(
        "application/x-mobipocket-ebook",
        ".mobi",
        At(60, b"BOOKMOBI"),
    ),
    node("application/x-ms-reader", ".lit", Starts(&[b"ITOLITLS"])),
    node("image/bpg", ".bpg", Starts(&[b"BPG\xfb"])),
    node("application/cbor", ".cbor", Starts(&[b"\xd9\xd9\xf7"])),
    node(
        "application/vnd.sqlite3",
        ".sqlite",
        Starts(&[b"SQLite format 3\0"]),
    )
    .or(&["application/x-sqlite3"]),
    node(
        "application/vnd.nintendo.snes.rom",
        ".nes",
        Starts(&[b"NES\x1a"]),
    ),
    node(
        "application/x-ms-shortcut",
        ".lnk",
        Starts(&[b"L\0\0\0\x01\x14\x02\0"]),
    ),
    node("application/x-mach-binary", ".macho", Is(binary::is_mach)),
    node(
        "audio/qcelp",
        ".qcp",
        Is(|head| binary::is_chunked(head, b"RIFF", b"QLCM")),
    ),
    node("image/x-icns", ".icns", Starts(&[b"icns"])),
    node("image/vnd.radiance", ".hdr", Starts(&[b"#?RADIANCE\n"])),
    node("application/x-msaccess", ".mdb", At(4, b"Standard Jet DB")),
    node(
        "application/x-msaccess",
        ".accdb",
        At(4, b"Standard ACE DB"),
    ),
    node("application/zstd", ".zst", Is(binary::is_zstd)),
    node(
        "application/vnd.ms-cab-compressed",
        ".cab",
        Starts(&[b"MSCF\0\0\0\0"]),
    ),
    node(
        "application/x-rpm",
        ".rpm",
        Starts(&[b"\xed\xab\xee\xdb", b"drpm"]),
    ),
    node("application/x-xz", ".xz", Starts(&[b"\xfd7zXZ\0"])),
    node("application/lzip", ".lz", Starts(&[b"LZIP"])).or(&["application/x-lzip"]),
    node(
        "application/x-bittorrent",
        ".torrent",
        Starts(&[b"d8:announce"]),
    ),
    node(
        "application/x-cpio",
        ".cpio",
        Starts(&[b"\xc7\x71", b"070707", b"070701", b"070702"]),
    ),
    node("application/tzif", "", Starts(&[b"TZif"])),
    node("image/x-xcf", ".xcf", Starts(&[b"gimp xcf"])),
    node("image/x-gimp-pat", ".pat", At(20, b"GPAT")),
    node("image/x-gimp-gbr", ".gbr", At(20, b"GIMP")),
    node(
        "model/gltf-binary",
        ".glb",
        Starts(&[b"glTF\x01\0\0\0", b"glTF\x02\0\0\0"]),
    ),
    node("image/jxr", ".jxr", Starts(&[b"II\xbc\x01"])).or(&["image/vnd.ms-photo"]),
    node(
        "application/vnd.apache.parquet",
        ".parquet",
        Starts(&[b"PAR1"]),
    )
    .or(&["application/x-parquet"]),
    node(
        "application/onenote",
        ".one",
        Starts(&[b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"]),
    ),
    node(
        "application/vnd.ms-htmlhelp",
        ".chm",
        Starts(&[b"ITSF\x03\0\0\0\x60\0\0\0"]),
    ),
    node(
        "image/vnd.dxf",
        ".dxf",
        Starts(&[
            b"  0\nSECTION\n",
            b"  0\r\nSECTION\r\n",
            b"0\nSECTION\n",
            b"0\r\nSECTION\r\n",
        ]),
    ),
    node("application/zlib", "", Is(binary::is_zlib)),
    // Last, since any bytes but control characters match.
    node("text/plain", ".txt", Is(text::is_text)).with(TEXTS),
];
