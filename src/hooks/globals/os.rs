//! Files, the environment and commands, where the operator allows them to scripts.

use std::fs;
use std::io;
use std::path::{Component, Path};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use boa_engine::object::builtins::JsArray;
use boa_engine::{
    Context, JsArgs, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, js_string,
};

use super::registration::{list, text};
use super::request::pairs_of;
use super::{Natives, bytes};
use crate::hooks::operate::wait_for;
use crate::hooks::world::world;
use crate::js::thread::{Thread, Wait};

pub(super) const NATIVES: Natives = &[
    ("getenv", 1, getenv),
    ("environ", 0, environ),
    ("readFile", 1, read_file),
    ("writeFile", 2, write_file),
    ("readDir", 1, read_dir),
    ("stat", 1, stat),
    ("mkdir", 2, mkdir),
    ("rename", 2, rename),
    ("remove", 2, remove),
    ("truncate", 2, truncate),
    ("within", 2, within),
    ("tempDir", 0, temp_dir),
    ("getwd", 0, getwd),
    ("args", 0, args_of_process),
    ("command", 4, command),
    ("exit", 1, exit),
];

/// How long a command may run.
const COMMAND_MAX: Duration = Duration::from_secs(300);
/// The longest file that is read at once.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// # Errors
/// Where the operator has not allowed `$os`.
pub(super) fn check_allowed(what: &str) -> JsResult<()> {
    if world()?.options.hooks.allow_os {
        return Ok(());
    }
    Err(JsNativeError::error()
        .with_message(format!(
            "{what} is not allowed: start the server with --hooksAllowOs (ROTUNDA_HOOKS_ALLOW_OS=true) to let scripts use files, the environment and commands"
        ))
        .into())
}

/// A failure in the words of Go's `os`.
fn failed(operation: &str, path: &str, error: &io::Error) -> JsError {
    let text = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::AlreadyExists => "file exists".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::DirectoryNotEmpty => "directory not empty".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    };
    JsNativeError::error()
        .with_message(format!("{operation} {path}: {text}"))
        .into()
}

/// `getenv(name)`: empty where there is none.
fn getenv(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.getenv")?;
    let name = text(args.get_or_undefined(0), context)?;
    let value = std::env::var_os(name).unwrap_or_default();
    Ok(JsString::from(&*value.to_string_lossy()).into())
}

/// `environ()`: the whole environment; empty where it is not allowed.
fn environ(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let object = JsObject::with_object_proto(context.intrinsics());
    if world()?.options.hooks.allow_os {
        for (name, value) in std::env::vars_os() {
            let name = JsString::from(&*name.to_string_lossy());
            let value = JsString::from(&*value.to_string_lossy());
            object.set(name, value, false, context)?;
        }
    }
    Ok(object.into())
}

/// `within(folder, name)`: the path of a name below a folder, whether there is such a file or not. It throws for what leads
/// out of the folder, also through links that are there at this moment.
fn within(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.openRoot")?;
    let folder = text(args.get_or_undefined(0), context)?;
    let name = text(args.get_or_undefined(1), context)?;
    let root = fs::canonicalize(&folder).map_err(|error| failed("open", &folder, &error))?;
    let path = root.join(&name);
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let inside = Path::new(&name).components().all(stays) && leads_into(&root, &path);
    if !inside {
        return Err(JsNativeError::error()
            .with_message(format!("openat {name}: path escapes from parent"))
            .into());
    }
    Ok(JsString::from(&*path.to_string_lossy()).into())
}

/// Whether a path below `root` stays there when links are followed as far as it exists.
fn leads_into(root: &Path, path: &Path) -> bool {
    for part in path.ancestors() {
        match fs::canonicalize(part) {
            Ok(real) => return real.starts_with(root),
            // A link to nothing may lead anywhere.
            Err(_) if part.is_symlink() => return false,
            Err(_) => {}
        }
    }
    false
}

/// `readFile(path)`
fn read_file(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.readFile")?;
    let path = text(args.get_or_undefined(0), context)?;
    let content = read_bounded(&path)?;
    bytes::to_js(&content, context)
}

/// A file's content, if it is not too long.
pub(super) fn read_bounded(path: &str) -> JsResult<Vec<u8>> {
    let length = fs::metadata(path)
        .map_err(|error| failed("open", path, &error))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(JsNativeError::range()
            .with_message(format!("open {path}: the file is too long"))
            .into());
    }
    fs::read(path).map_err(|error| failed("read", path, &error))
}

/// `writeFile(path, content, mode)`
fn write_file(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.writeFile")?;
    let path = text(args.get_or_undefined(0), context)?;
    let content = bytes::expect(args.get_or_undefined(1), context)?;
    let is_new = !Path::new(&path).exists();
    fs::write(&path, content).map_err(|error| failed("open", &path, &error))?;
    if is_new {
        set_mode(&path, args.get_or_undefined(2), context)?;
    }
    Ok(JsValue::undefined())
}

/// Sets the permission bits that a script gave, if it gave some.
fn set_mode(path: &str, mode: &JsValue, context: &mut Context) -> JsResult<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = mode.to_u32(context)?;
        if mode != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))
                .map_err(|error| failed("chmod", path, &error))?;
        }
    }
    let _ = (path, mode, context);
    Ok(())
}

/// `{name, size, isDir, modified, mode}`
fn described(name: &str, metadata: &fs::Metadata, context: &mut Context) -> JsResult<JsValue> {
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    #[cfg(not(unix))]
    let mode = 0o666_u32;
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let object = JsObject::with_object_proto(context.intrinsics());
    object.set(js_string!("name"), JsString::from(name), true, context)?;
    #[expect(clippy::cast_precision_loss, reason = "files are shorter than 2^53")]
    object.set(js_string!("size"), metadata.len() as f64, true, context)?;
    object.set(js_string!("isDir"), metadata.is_dir(), true, context)?;
    object.set(js_string!("mode"), mode, true, context)?;
    let modified = modified.unwrap_or_default().as_secs_f64() * 1_000.0;
    object.set(js_string!("modified"), modified.floor(), true, context)?;
    Ok(object.into())
}

/// `readDir(path)`: its entries by name.
fn read_dir(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.readDir")?;
    let path = text(args.get_or_undefined(0), context)?;
    let entries = fs::read_dir(&path).map_err(|error| failed("open", &path, &error))?;
    let mut found: Vec<(String, fs::Metadata)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name, entry.metadata().ok()?))
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let mut list = Vec::with_capacity(found.len());
    for (name, metadata) in &found {
        list.push(described(name, metadata, context)?);
    }
    Ok(JsArray::from_iter(list, context).into())
}

/// `stat(path)`
fn stat(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.stat")?;
    let path = text(args.get_or_undefined(0), context)?;
    let metadata = fs::metadata(&path).map_err(|error| failed("stat", &path, &error))?;
    let name = Path::new(&path).file_name().unwrap_or_default();
    described(&name.to_string_lossy(), &metadata, context)
}

/// `mkdir(path, withParents, mode)`
fn mkdir(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.mkdir")?;
    let path = text(args.get_or_undefined(0), context)?;
    let made = if args.get_or_undefined(1).to_boolean() {
        fs::create_dir_all(&path)
    } else {
        fs::create_dir(&path)
    };
    made.map_err(|error| failed("mkdir", &path, &error))?;
    set_mode(&path, args.get_or_undefined(2), context)?;
    Ok(JsValue::undefined())
}

/// `rename(from, to)`
fn rename(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.rename")?;
    let from = text(args.get_or_undefined(0), context)?;
    let to = text(args.get_or_undefined(1), context)?;
    fs::rename(&from, &to).map_err(|error| failed("rename", &format!("{from} {to}"), &error))?;
    Ok(JsValue::undefined())
}

/// `remove(path, withContent)`: what is not there is no error with its content.
fn remove(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.remove")?;
    let path = text(args.get_or_undefined(0), context)?;
    let all = args.get_or_undefined(1).to_boolean();
    let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
    let removed = match (is_folder, all) {
        (true, true) => fs::remove_dir_all(&path),
        (true, false) => fs::remove_dir(&path),
        (false, _) => fs::remove_file(&path),
    };
    match removed {
        Err(error) if !(all && error.kind() == io::ErrorKind::NotFound) => {
            Err(failed("remove", &path, &error))
        }
        _ => Ok(JsValue::undefined()),
    }
}

/// `truncate(path, bytes)`
fn truncate(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.truncate")?;
    let path = text(args.get_or_undefined(0), context)?;
    let length = args.get_or_undefined(1).to_length(context)?;
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(length))
        .map_err(|error| failed("truncate", &path, &error))?;
    Ok(JsValue::undefined())
}

/// `tempDir()`
fn temp_dir(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.tempDir")?;
    Ok(JsString::from(&*std::env::temp_dir().to_string_lossy()).into())
}

/// `getwd()`
fn getwd(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.getwd")?;
    let folder = std::env::current_dir().map_err(|error| failed("getwd", "", &error))?;
    Ok(JsString::from(&*folder.to_string_lossy()).into())
}

/// `args()`: the server's own arguments; none where that is not allowed.
fn args_of_process(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut list: Vec<JsValue> = Vec::new();
    if world()?.options.hooks.allow_os {
        for argument in std::env::args_os() {
            list.push(JsString::from(&*argument.to_string_lossy()).into());
        }
    }
    Ok(JsArray::from_iter(list, context).into())
}

/// `command(list, folder, environment, input)`: `[exit code, output, errors]`; the environment's pairs are instead of the
/// server's own if there are any.
fn command(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.cmd")?;
    let words = list(args.get_or_undefined(0), context)?
        .iter()
        .map(|word| text(word, context))
        .collect::<JsResult<Vec<_>>>()?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(JsNativeError::error()
            .with_message("exec: no command")
            .into());
    };
    let folder = text(args.get_or_undefined(1), context)?;
    let environment = pairs_of(args.get_or_undefined(2), context)?;
    let input = bytes::expect(args.get_or_undefined(3), context)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !folder.is_empty() {
        command.current_dir(folder);
    }
    if !environment.is_empty() {
        command.env_clear().envs(environment);
    }
    let thread = Thread::of_native()?;
    let chain = thread.chain();
    let wait = Wait {
        limit: COMMAND_MAX,
        serves_others: !thread.on_behalf().in_writer,
    };
    let work = thread.host().runtime().spawn_blocking(move || {
        use std::io::Write;
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may have ended already.
            let _ = stdin.write_all(&input);
        }
        child.wait_with_output()
    });
    let done = wait_for(&thread, context, &chain, &wait, work)?;
    let output = done
        .map_err(|error| JsNativeError::error().with_message(error.to_string()))?
        .map_err(|error| failed("exec", program, &error))?;
    let parts = [
        JsValue::from(output.status.code().unwrap_or(-1)),
        bytes::to_js(&output.stdout, context)?,
        bytes::to_js(&output.stderr, context)?,
    ];
    Ok(JsArray::from_iter(parts, context).into())
}

/// `exit(code)`: ends the server at once.
fn exit(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    check_allowed("$os.exit")?;
    let code = args.get_or_undefined(0).to_i32(context)?;
    tracing::warn!(code, "a script ends the server");
    std::process::exit(code)
}
