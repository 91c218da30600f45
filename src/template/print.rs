//! Values as text, as Go's `fmt` prints them.

use super::value::Value;

/// A value as `%v` prints it; nil as nothing, as templates do.
pub(super) fn plain(value: &Value, out: &mut String) {
    match value {
        Value::Nil => {}
        other => nested(other, out),
    }
}

fn nested(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) | Value::Html(text) => out.push_str(text),
        Value::Handle(_) => out.push_str("[object]"),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                nested(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (index, (name, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(name);
                out.push(':');
                nested(item, out);
            }
            out.push(']');
        }
    }
}

/// The shortest text of a number, with an exponent where that is below -4 or from 21 on.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{number:e}");
    let exponent: i32 = text
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or_default();
    if (-4..21).contains(&exponent) {
        number.to_string()
    } else {
        with_exponent(&text)
    }
}

/// `1.5e21` as `1.5e+21`, `1e-7` as `1e-07`.
fn with_exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Text in double quotes, as `%q` prints it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Longest width and precision of a verb.
const WIDTH_MAX: usize = 10_000;

/// One verb of a format: flags, width, precision.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// `printf`
pub(super) fn formatted(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| "-+0 #".contains(*c)) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '0' => verb.zero = true,
                ' ' => verb.space = true,
                _ => verb.sharp = true,
            }
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = 0usize;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or_default() as usize;
                number = (number * 10 + digit).min(WIDTH_MAX);
            }
            number
        };
        verb.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars));
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some(kind) => match arguments.next() {
                Some(value) => verb.write(kind, value, &mut out),
                None => out.push_str(&format!("%!{kind}(MISSING)")),
            },
            None => out.push_str("%!(NOVERB)"),
        }
    }
    let extra: Vec<String> = arguments
        .map(|value| {
            let mut text = String::new();
            nested(value, &mut text);
            format!("{}={text}", go_type(value))
        })
        .collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Int(_) => "int64",
        other => other.kind(),
    }
}

impl Verb {
    fn write(&self, kind: char, value: &Value, out: &mut String) {
        let text = match (kind, value) {
            ('v' | 's', Value::Float(number)) if kind == 'v' => {
                self.signed(float(*number), *number < 0.0)
            }
            ('v' | 'd', Value::Int(number)) => self.signed(number.to_string(), *number < 0),
            ('v', _) => self.cut(&text_of(value)),
            (
                's',
                Value::Text(_) | Value::Html(_) | Value::List(_) | Value::Map(_) | Value::Handle(_),
            ) => self.cut(&text_of(value)),
            ('q', Value::Text(text) | Value::Html(text)) => quoted(text),
            ('t', Value::Bool(flag)) => flag.to_string(),
            ('T', _) => go_type(value).to_owned(),
            ('x', Value::Int(number)) => format!("{number:x}"),
            ('X', Value::Int(number)) => format!("{number:X}"),
            ('o', Value::Int(number)) => format!("{number:o}"),
            ('b', Value::Int(number)) => format!("{number:b}"),
            ('c', Value::Int(number)) => u32::try_from(*number)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
                .to_string(),
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('f' | 'F', Value::Float(number)) => {
                let precision = self.precision.unwrap_or(6);
                self.signed(format!("{number:.precision$}"), *number < 0.0)
            }
            ('e' | 'E', Value::Float(number)) => {
                let precision = self.precision.unwrap_or(6);
                let text = with_exponent(&format!("{number:.precision$e}"));
                self.signed(text, *number < 0.0)
            }
            ('g' | 'G', Value::Float(number)) => self.signed(float(*number), *number < 0.0),
            (kind, value) => format!("%!{kind}({}={})", go_type(value), text_of(value)),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        if self.minus {
            out.push_str(&text);
            out.extend(std::iter::repeat_n(' ', missing));
        } else if self.zero && missing > 0 {
            let numeric = matches!(value, Value::Int(_) | Value::Float(_));
            let (sign, digits) = match text.strip_prefix(['-', '+']).filter(|_| numeric) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text.as_str()),
            };
            out.push_str(sign);
            out.extend(std::iter::repeat_n('0', missing));
            out.push_str(digits);
        } else {
            out.extend(std::iter::repeat_n(' ', missing));
            out.push_str(&text);
        }
    }

    fn signed(&self, text: String, negative: bool) -> String {
        match (negative, self.plus, self.space) {
            (false, true, _) => format!("+{text}"),
            (false, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    }
}

fn text_of(value: &Value) -> String {
    let mut text = String::new();
    nested(value, &mut text);
    text
}
