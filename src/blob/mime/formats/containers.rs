//! The kinds of files that are a ZIP archive, a compound file or an ISO base media file.

use super::Test::{At, Is};
use super::{Node, binary, node};

const MS_WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const MS_POWERPOINT: &str =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const MS_EXCEL: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub(super) static ZIPPED: &[Node] = &[
    node(
        MS_WORD,
        ".docx",
        Is(|head| binary::is_office(head, b"word/")),
    ),
    node(
        MS_POWERPOINT,
        ".pptx",
        Is(|head| binary::is_office(head, b"ppt/")),
    ),
    node(
        MS_EXCEL,
        ".xlsx",
        Is(|head| binary::is_office(head, b"xl/")),
    ),
    node(
        "application/epub+zip",
        ".epub",
        At(30, b"mimetypeapplication/epub+zip"),
    ),
    node(
        "application/vnd.android.package-archive",
        ".apk",
        Is(binary::is_android_package),
    ),
    node(
        "application/java-archive",
        ".jar",
        Is(binary::is_java_archive),
    )
    .or(&[
        "application/jar",
        "application/jar-archive",
        "application/x-java-archive",
    ]),
    open_document(
        "application/vnd.oasis.opendocument.text",
        ".odt",
        b"mimetypeapplication/vnd.oasis.opendocument.text",
    )
    .or(&["application/x-vnd.oasis.opendocument.text"])
    .with(&[open_document(
        "application/vnd.oasis.opendocument.text-template",
        ".ott",
        b"mimetypeapplication/vnd.oasis.opendocument.text-template",
    )
    .or(&["application/x-vnd.oasis.opendocument.text-template"])]),
    open_document(
        "application/vnd.oasis.opendocument.spreadsheet",
        ".ods",
        b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
    )
    .or(&["application/x-vnd.oasis.opendocument.spreadsheet"])
    .with(&[open_document(
        "application/vnd.oasis.opendocument.spreadsheet-template",
        ".ots",
        b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet-template",
    )
    .or(&["application/x-vnd.oasis.opendocument.spreadsheet-template"])]),
    open_document(
        "application/vnd.oasis.opendocument.presentation",
        ".odp",
        b"mimetypeapplication/vnd.oasis.opendocument.presentation",
    )
    .or(&["application/x-vnd.oasis.opendocument.presentation"])
    .with(&[open_document(
        "application/vnd.oasis.opendocument.presentation-template",
        ".otp",
        b"mimetypeapplication/vnd.oasis.opendocument.presentation-template",
    )
    .or(&["application/x-vnd.oasis.opendocument.presentation-template"])]),
    open_document(
        "application/vnd.oasis.opendocument.graphics",
        ".odg",
        b"mimetypeapplication/vnd.oasis.opendocument.graphics",
    )
    .or(&["application/x-vnd.oasis.opendocument.graphics"]),
    node(
        "application/vnd.google-earth.kmz",
        ".kmz",
        Is(|head| binary::has_zip_entry(head, &[b"doc.kml"], 100)),
    ),
    node(
        "application/vnd.ms-visio.drawing.main+xml",
        ".vsdx",
        Is(|head| binary::is_office(head, b"visio/")),
    ),
];

const fn open_document(
    essence: &'static str,
    extension: &'static str,
    first: &'static [u8],
) -> Node {
    node(essence, extension, At(30, first))
}

pub(super) static OLE: &[Node] = &[
    node(
        "application/x-ms-installer",
        ".msi",
        Is(binary::is_installer),
    )
    .or(&["application/x-windows-installer", "application/x-msi"]),
    node("application/vnd.ms-outlook", ".msg", Is(binary::is_outlook)),
    node("application/vnd.ms-excel", ".xls", Is(binary::is_excel)).or(&["application/msexcel"]),
    node(
        "application/vnd.ms-publisher",
        ".pub",
        Is(binary::is_publisher),
    ),
    node(
        "application/vnd.ms-powerpoint",
        ".ppt",
        Is(binary::is_powerpoint),
    )
    .or(&["application/mspowerpoint"]),
    node("application/msword", ".doc", Is(binary::is_word)).or(&["application/vnd.ms-word"]),
];

pub(super) static MP4: &[Node] = &[
    node(
        "image/avif",
        ".avif",
        Is(|head| binary::has_brand(head, &[b"avif", b"avis"])),
    ),
    node(
        "video/3gpp",
        ".3gp",
        Is(|head| {
            binary::has_brand(
                head,
                &[
                    b"3gp1", b"3gp2", b"3gp3", b"3gp4", b"3gp5", b"3gp6", b"3gp7", b"3gs7",
                    b"3ge6", b"3ge7", b"3gg6",
                ],
            )
        }),
    )
    .or(&["video/3gp", "audio/3gpp"]),
    node(
        "video/3gpp2",
        ".3g2",
        Is(|head| {
            binary::has_brand(
                head,
                &[
                    b"3g24", b"3g25", b"3g26", b"3g2a", b"3g2b", b"3g2c", b"KDDI",
                ],
            )
        }),
    )
    .or(&["video/3g2", "audio/3gpp2"]),
    node(
        "audio/mp4",
        ".mp4",
        Is(|head| {
            binary::has_brand(
                head,
                &[b"F4A ", b"F4B ", b"M4B ", b"M4P ", b"MSNV", b"NDAS"],
            )
        }),
    )
    .or(&["audio/x-mp4a"]),
    node(
        "video/quicktime",
        ".mqv",
        Is(|head| binary::has_brand(head, &[b"mqt "])),
    ),
    node(
        "audio/x-m4a",
        ".m4a",
        Is(|head| binary::has_brand(head, &[b"M4A "])),
    ),
    node(
        "video/x-m4v",
        ".m4v",
        Is(|head| binary::has_brand(head, &[b"M4V ", b"M4VH", b"M4VP"])),
    ),
    node(
        "image/heic",
        ".heic",
        Is(|head| binary::has_brand(head, &[b"heic", b"heix"])),
    ),
    node(
        "image/heic-sequence",
        ".heic",
        Is(|head| binary::has_brand(head, &[b"hevc", b"hevx"])),
    ),
    node(
        "image/heif",
        ".heif",
        Is(|head| binary::has_brand(head, &[b"mif1", b"heim", b"heis", b"avic"])),
    ),
    node(
        "image/heif-sequence",
        ".heif",
        Is(|head| binary::has_brand(head, &[b"msf1", b"hevm", b"hevs", b"avcs"])),
    ),
    node(
        "video/mj2",
        ".mj2",
        Is(|head| binary::has_brand(head, &[b"mj2s", b"mjp2", b"MFSM", b"MGSV"])),
    ),
];
