//! Tests for binary formats that a signature at a fixed place does not tell.

use super::text;

pub(super) fn has_at(head: &[u8], offset: usize, signature: &[u8]) -> bool {
    head.get(offset..)
        .is_some_and(|rest| rest.starts_with(signature))
}

fn contains(head: &[u8], wanted: &[u8]) -> bool {
    find(head, wanted).is_some()
}

/// The offset of the first occurrence.
pub(super) fn find(head: &[u8], wanted: &[u8]) -> Option<usize> {
    head.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

fn be16(head: &[u8], at: usize) -> Option<u16> {
    head.get(at..)?
        .first_chunk()
        .map(|bytes| u16::from_be_bytes(*bytes))
}

fn be32(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

fn le32(head: &[u8], at: usize) -> Option<u32> {
    be32(head, at).map(u32::swap_bytes)
}

/// A container of chunks: its mark, four bytes of length, and the kind of content.
pub(super) fn is_chunked(head: &[u8], mark: &[u8; 4], content: &[u8; 4]) -> bool {
    head.len() > 12 && head.starts_with(mark) && has_at(head, 8, content)
}

pub(super) fn is_avi(head: &[u8]) -> bool {
    head.len() > 16 && head.starts_with(b"RIFF") && has_at(head, 8, b"AVI LIST")
}

/// PDF's appendix H lets other bytes come first.
pub(super) fn is_pdf(head: &[u8]) -> bool {
    contains(head.get(..1024).unwrap_or(head), b"%PDF-")
}

pub(super) fn is_pkcs7(head: &[u8]) -> bool {
    if head.starts_with(b"-----BEGIN PKCS7") {
        return true;
    }
    // DER: a sequence whose length takes up to four more bytes, then the object identifier of signed data.
    let identifier = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07";
    match head {
        [0x30, length @ 0x80..=0x84, ..] if head.len() >= 20 => {
            has_at(head, 2 + usize::from(length - 0x80), identifier)
        }
        _ => false,
    }
}

pub(super) fn is_ogg_audio(head: &[u8]) -> bool {
    let codecs: [&[u8]; 4] = [b"\x7fFLAC", b"\x01vorbis", b"OpusHead", b"Speex   "];
    head.len() >= 37 && codecs.iter().any(|codec| has_at(head, 28, codec))
}

pub(super) fn is_ogg_video(head: &[u8]) -> bool {
    let codecs: [&[u8]; 3] = [b"\x80theora", b"fishead\0", b"\x01video\0\0\0"];
    head.len() >= 37 && codecs.iter().any(|codec| has_at(head, 28, codec))
}

pub(super) fn is_jpeg_2000(head: &[u8], brand: &[u8; 4]) -> bool {
    (has_at(head, 4, b"jP  ") || has_at(head, 4, b"jP2 ")) && has_at(head, 20, brand)
}

pub(super) fn is_elf(head: &[u8], kind: u8) -> bool {
    has_at(head, 16, &[kind, 0]) || has_at(head, 16, &[0, kind])
}

/// The first record's check sum: unsigned, or signed as old systems had it.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(record) = head.get(..512) else {
        return false;
    };
    let (name, field) = (record.get(..100), record.get(148..156));
    if name.is_none_or(|name| contains(name, b"/gpkg-1\0")) {
        return false;
    }
    let Some(recorded) = field.and_then(octal) else {
        return false;
    };
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (index, byte) in record.iter().enumerate() {
        let byte = if (148..156).contains(&index) {
            b' '
        } else {
            *byte
        };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    recorded == unsigned || recorded == signed
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_padding(byte))?;
    let end = field.iter().rposition(|byte| !is_padding(byte))?;
    let mut value = 0;
    for byte in field
        .get(start..=end)?
        .iter()
        .take_while(|byte| **byte != 0)
    {
        if !(b'0'..=b'7').contains(byte) {
            return None;
        }
        value = value * 8 + i64::from(byte - b'0');
    }
    Some(value)
}

pub(super) fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && le32(head, 14).is_some_and(|size| [48, 24, 16, 64, 52, 56, 40, 124, 108].contains(&size))
}

pub(super) fn is_lotus(head: &[u8]) -> bool {
    if head.len() <= 20 {
        return false;
    }
    match be32(head, 0) {
        Some(0x200) => matches!(head.get(6..8), Some([1..=255, 0])),
        Some(0x1a00) => head.get(20).is_some_and(|byte| (1..32).contains(byte)),
        _ => false,
    }
}

/// An ID3 tag, or a frame of layer III.
pub(super) fn is_mp3(head: &[u8]) -> bool {
    let frame = be16(head, 0).is_some_and(|word| matches!(word & 0xfffe, 0xfffa | 0xfff2 | 0xffe2));
    head.starts_with(b"ID3") || head.len() >= 3 && frame
}

pub(super) fn is_mpeg(head: &[u8]) -> bool {
    matches!(head, [0, 0, 1, 0xb0..=0xbf, ..])
}

pub(super) fn is_quicktime(head: &[u8]) -> bool {
    if head.len() < 12 {
        return false;
    }
    if has_at(head, 4, b"ftypqt  ") || has_at(head, 4, b"ftypmoov") {
        // The box is small, so its length starts with a zero. Text that happens to hold the mark does not.
        return head.starts_with(&[0]);
    }
    let atoms: [&[u8]; 5] = [b"moov\0", b"mdat\0", b"free\0", b"skip\0", b"pnot\0"];
    atoms.iter().any(|atom| has_at(head, 4, atom)) || head.starts_with(b"\0\0\0\x08wide")
}

pub(super) fn is_mp4(head: &[u8]) -> bool {
    head.len() >= 12 && head.starts_with(&[0]) && has_at(head, 4, b"ftyp")
}

/// The major brand of an ISO base media file.
pub(super) fn has_brand(head: &[u8], brands: &[&[u8; 4]]) -> bool {
    head.get(8..12)
        .is_some_and(|brand| brands.iter().any(|wanted| wanted.as_slice() == brand))
}

/// EBML whose document type, after the type's length, is `kind`.
pub(super) fn is_matroska(head: &[u8], kind: &[u8]) -> bool {
    if !head.starts_with(b"\x1a\x45\xdf\xa3") {
        return false;
    }
    let Some(at) = find(head, b"\x42\x82").filter(|at| *at > 0) else {
        return false;
    };
    let length_bytes = |first: &u8| (first.leading_zeros() as usize + 1).min(8);
    head.get(at + 2)
        .is_some_and(|first| has_at(head, at + 2 + length_bytes(first), kind))
}

pub(super) fn is_java_class(head: &[u8]) -> bool {
    be32(head, 0) == Some(0xcafe_babe) && head.get(7).is_some_and(|version| *version > 30)
}

pub(super) fn is_mach(head: &[u8]) -> bool {
    if be32(head, 0) == Some(0xcafe_babe) && head.get(7).is_some_and(|count| *count < 20) {
        return true;
    }
    let magic = |word: Option<u32>| matches!(word, Some(0xfeed_face | 0xfeed_facf));
    magic(be32(head, 0)) || magic(le32(head, 0))
}

pub(super) fn is_chrome_extension(head: &[u8]) -> bool {
    if !head.starts_with(b"Cr24") {
        return false;
    }
    let (Some(key), Some(signature)) = (le32(head, 8), le32(head, 12)) else {
        return false;
    };
    let start = 16 + u64::from(key) + u64::from(signature);
    usize::try_from(start)
        .ok()
        .and_then(|start| head.get(start..))
        .is_some_and(is_zip)
}

pub(super) fn is_truetype(head: &[u8]) -> bool {
    const TABLES: [&[u8; 4]; 40] = [
        b"acnt", b"ankr", b"avar", b"bdat", b"bhed", b"bloc", b"bsln", b"cmap", b"cvar", b"cvt ",
        b"EBSC", b"fdsc", b"feat", b"fmtx", b"fond", b"fpgm", b"fvar", b"gasp", b"gcid", b"glyf",
        b"gvar", b"hdmx", b"head", b"hhea", b"hmtx", b"hvgl", b"hvpm", b"just", b"kern", b"kerx",
        b"lcar", b"loca", b"ltag", b"maxp", b"meta", b"mort", b"morx", b"name", b"opbd", b"OS/2",
    ];
    head.starts_with(&[0, 1, 0, 0])
        && be16(head, 4).is_some_and(|tables| tables < 49)
        && TABLES.iter().any(|table| has_at(head, 12, *table))
}

pub(super) fn is_opentype(head: &[u8]) -> bool {
    let directory = head.get(12..48);
    head.len() > 48
        && head.starts_with(b"OTTO\0")
        && directory.is_some_and(|directory| contains(directory, b"CFF "))
}

pub(super) fn is_embedded_font(head: &[u8]) -> bool {
    let versions: [&[u8]; 3] = [&[2, 0, 1], &[1, 0, 0], &[2, 0, 2]];
    has_at(head, 34, b"LP") && versions.iter().any(|version| has_at(head, 8, version))
}

pub(super) fn is_djvu(head: &[u8]) -> bool {
    let kinds: [&[u8]; 4] = [b"DJVM", b"DJVU", b"DJVI", b"THUM"];
    head.starts_with(b"AT&TFORM") && kinds.iter().any(|kind| has_at(head, 12, kind))
}

/// A frame, or one that is to be skipped.
pub(super) fn is_zstd(head: &[u8]) -> bool {
    matches!(
        le32(head, 0),
        Some(0xfd2f_b522..=0xfd2f_b528 | 0x184d_2a50..=0x184d_2a5f)
    )
}

/// RFC 1950's header check; text may satisfy it.
pub(super) fn is_zlib(head: &[u8]) -> bool {
    head.starts_with(b"x")
        && be16(head, 0).is_some_and(|word| word % 31 == 0)
        && !text::is_text(head)
}

pub(super) fn is_zip(head: &[u8]) -> bool {
    matches!(head, [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..])
}

/// The names of the entries whose headers lie in the head. Offsets stand at the file's end, so marks are searched.
fn zip_entries(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let header = rest.get(find(rest, b"PK\x03\x04")?..)?;
        let length = header
            .get(26..)?
            .first_chunk()
            .map(|bytes| u16::from_le_bytes(*bytes))?;
        let name = header.get(30..)?;
        rest = name;
        name.get(..usize::from(length))
            .filter(|name| !name.is_empty())
    })
}

pub(super) fn has_zip_entry(head: &[u8], names: &[&[u8]], among_first: usize) -> bool {
    zip_entries(head)
        .take(among_first)
        .any(|entry| names.contains(&entry))
}

/// An Office Open XML package: begins with one of a few parts, and has one in the application's folder.
pub(super) fn is_office(head: &[u8], folder: &[u8]) -> bool {
    for (index, entry) in zip_entries(head).take(100).enumerate() {
        if entry.starts_with(folder) {
            return true;
        }
        let folders: [&[u8]; 4] = [b"_rels/", b"docProps/", b"customXml/", b"[trash]/"];
        let usual = entry == b"[Content_Types].xml"
            || folders.iter().any(|folder| entry.starts_with(folder));
        if index == 0 && !usual {
            return false;
        }
    }
    false
}

pub(super) fn is_android_package(head: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"AndroidManifest.xml",
        b"META-INF/com/android/build/gradle/app-metadata.properties",
        b"classes.dex",
        b"resources.arsc",
        b"res/drawable",
    ];
    has_zip_entry(head, &NAMES, 100)
}

/// A manifest first, or the mark of an executable archive in the first entry's extra field.
pub(super) fn is_java_archive(head: &[u8]) -> bool {
    let name_bytes = head.get(26..).and_then(<[u8]>::first_chunk);
    let executable = name_bytes.is_some_and(|length| {
        has_at(
            head,
            30 + usize::from(u16::from_le_bytes(*length)),
            b"\xfe\xca",
        )
    });
    executable || has_zip_entry(head, &[b"META-INF/", b"META-INF/MANIFEST.MF"], 1)
}

/// Whether the root storage object of a compound file has a class id that starts so.
fn has_class(head: &[u8], class: &[u8]) -> bool {
    let sector_bytes = if has_at(head, 26, &[4, 0]) {
        4096
    } else {
        512u64
    };
    let Some(sector) = le32(head, 48).filter(|_| head.len() >= 512) else {
        return false;
    };
    let at = sector_bytes * (1 + u64::from(sector)) + 80;
    usize::try_from(at).is_ok_and(|at| head.len() > at + 16 && has_at(head, at, class))
}

const OLE_TAIL: &[u8] = b"\0\0\0\0\xc0\0\0\0\0\0\0\x46";

fn has_ole_class(head: &[u8], start: &[u8; 4]) -> bool {
    has_class(head, &[start, OLE_TAIL].concat())
}

pub(super) fn is_installer(head: &[u8]) -> bool {
    has_ole_class(head, b"\x84\x10\x0c\0")
}

pub(super) fn is_outlook(head: &[u8]) -> bool {
    has_ole_class(head, b"\x0b\x0d\x02\0")
}

pub(super) fn is_publisher(head: &[u8]) -> bool {
    has_class(head, b"\x01\x12\x02\0\0\0\0\0\0\xc0\0\0\0\0\0\x46")
}

pub(super) fn is_word(head: &[u8]) -> bool {
    [b"\x06\x09\x02\0", b"\0\x09\x02\0", b"\x07\x09\x02\0"]
        .iter()
        .any(|start| has_ole_class(head, start))
}

/// A stream's name in UTF-16 beyond the first sectors.
fn names_stream(head: &[u8], name: &str) -> bool {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = wide.strip_suffix(&[0]).unwrap_or(&wide);
    head.get(1152..).is_some_and(|rest| contains(rest, wide))
}

pub(super) fn is_excel(head: &[u8]) -> bool {
    let starts: [&[u8]; 7] = [
        b"\x09\x08\x10\0\0\x06\x05\0",
        b"\xfd\xff\xff\xff\x10",
        b"\xfd\xff\xff\xff\x1f",
        b"\xfd\xff\xff\xff\x22",
        b"\xfd\xff\xff\xff\x23",
        b"\xfd\xff\xff\xff\x28",
        b"\xfd\xff\xff\xff\x29",
    ];
    has_class(head, b"\x10\x08\x02\0\0\0\0\0")
        || has_class(head, b"\x20\x08\x02\0\0\0\0\0")
        || starts.iter().any(|start| has_at(head, 512, start))
        || names_stream(head, "WksSSWorkBook")
}

pub(super) fn is_powerpoint(head: &[u8]) -> bool {
    let starts: [&[u8]; 3] = [b"\xa0\x46\x1d\xf0", b"\0\x6e\x1e\xf0", b"\x0f\0\xe8\x03"];
    has_class(
        head,
        b"\x10\x8d\x81\x64\x9b\x4f\xcf\x11\x86\xea\0\xaa\0\xb9\x29\xe8",
    ) || has_class(
        head,
        b"\x70\xae\x7b\xea\x3b\xfb\xcd\x11\xa9\x03\0\xaa\0\x51\x0e\xa3",
    ) || starts.iter().any(|start| has_at(head, 512, start))
        || has_at(head, 512, b"\xfd\xff\xff\xff") && has_at(head, 518, &[0, 0])
}
