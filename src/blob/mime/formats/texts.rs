//! The kinds of text.

use super::Test::{Is, Starts};
use super::{Node, node, text};

pub(super) static TEXTS: &[Node] = &[
    node("image/svg+xml", ".svg", Is(text::is_svg)),
    node("text/html", ".html", Is(text::is_html)),
    node("text/xml", ".xml", Is(text::is_xml))
        .or(&["application/xml"])
        .with(&[
            node(
                "application/rss+xml",
                ".rss",
                Is(|head| text::has_root(head, b"<rss", b"")),
            )
            .or(&["text/rss"]),
            node(
                "application/atom+xml",
                ".atom",
                Is(|head| text::has_root(head, b"<feed", b"http://www.w3.org/2005/Atom\"")),
            ),
            node(
                "application/vnd.google-earth.kml+xml",
                ".kml",
                Is(|head| {
                    text::has_root(head, b"<kml", b"http://www.opengis.net/kml/2.2\"")
                        || text::has_root(head, b"<kml", b"http://earth.google.com/kml/2.")
                }),
            ),
            node(
                "model/vnd.collada+xml",
                ".dae",
                Is(|head| {
                    text::has_root(
                        head,
                        b"<COLLADA",
                        b"http://www.collada.org/2005/11/COLLADASchema\"",
                    )
                }),
            ),
            node(
                "application/gpx+xml",
                ".gpx",
                Is(|head| text::has_root(head, b"<gpx", b"http://www.topografix.com/GPX/1/1\"")),
            ),
            node("application/xhtml+xml", ".html", Is(text::is_xhtml)),
        ]),
    node("text/x-php", ".php", Is(text::is_php)),
    node(
        "text/javascript",
        ".js",
        Is(|head| text::has_interpreter_like(head, &["node"])),
    )
    .or(&["application/x-javascript", "application/javascript"]),
    node(
        "text/x-lua",
        ".lua",
        Is(|head| text::has_interpreter(head, &["lua"])),
    ),
    node(
        "text/x-perl",
        ".pl",
        Is(|head| text::has_interpreter(head, &["perl"])),
    ),
    node(
        "text/x-python",
        ".py",
        Is(|head| text::has_interpreter_like(head, &["python"])),
    )
    .or(&["text/x-script.python", "application/x-python"]),
    node(
        "text/x-ruby",
        ".rb",
        Is(|head| text::has_interpreter_like(head, &["ruby"])),
    )
    .or(&["application/x-ruby"]),
    node("application/json", ".json", Is(text::is_json)).with(&[node(
        "application/geo+json",
        ".geojson",
        Is(text::is_geo_json),
    )]),
    node("application/x-ndjson", ".ndjson", Is(text::is_nd_json)),
    node("text/rtf", ".rtf", Starts(&[b"{\\rtf"])).or(&["application/rtf"]),
    node("application/x-subrip", ".srt", Is(text::is_subrip))
        .or(&["application/x-srt", "text/x-srt"]),
    node(
        "text/x-tcl",
        ".tcl",
        Is(|head| text::has_interpreter_like(head, &["tcl", "wish"])),
    )
    .or(&["application/x-tcl"]),
    node(
        "text/csv",
        ".csv",
        Is(|head| text::is_separated(head, b',')),
    ),
    node(
        "text/tab-separated-values",
        ".tsv",
        Is(|head| text::is_separated(head, b'\t')),
    ),
    node(
        "text/vcard",
        ".vcf",
        Is(|head| text::has_first_line(head, b"BEGIN:VCARD")),
    ),
    node(
        "text/calendar",
        ".ics",
        Is(|head| text::has_first_line(head, b"BEGIN:VCALENDAR")),
    ),
    node(
        "application/warc",
        ".warc",
        Starts(&[b"WARC/1.0", b"WARC/1.1"]),
    ),
    node("text/vtt", ".vtt", Is(text::is_web_vtt)),
    node(
        "text/x-shellscript",
        ".sh",
        Is(|head| {
            text::has_interpreter(head, &["sh", "bash", "csh", "dash", "ksh", "tcsh", "zsh"])
        }),
    )
    .or(&["text/x-sh", "application/x-shellscript", "application/x-sh"]),
    node("message/rfc822", ".eml", Is(text::is_mail)),
];
