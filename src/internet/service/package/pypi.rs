//! The Python package index: the simple API in both forms (PEP 503, PEP 691), files, upload.

use serde_json::json;

use super::super::answer::{BYTES, HTML};
use super::super::{Answer, Request};
use super::version::{self, LATEST, is_version};
use super::wheel::wheel;
use crate::internet::world::World;

const SERVICE: &str = "pypi";
const HOSTS: [&str; 4] = ["pypi.org", "pypi.python.org", "files.pythonhosted.org", "upload.pypi.org"];
const SIMPLE_JSON: &str = "application/vnd.pypi.simple.v1+json";
/// Longer project names do not exist.
const NAME_MAX: usize = 100;

pub fn answer(_: &World, request: &Request<'_>) -> Option<Answer> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let at_home = request.is_at_any(&HOSTS);
    if let Some(file) = parts.last().filter(|file| file.ends_with("-py3-none-any.whl")) {
        return Some(download(file));
    }
    let simple = parts.iter().rposition(|part| *part == "simple" || *part == "+simple");
    match (simple, &parts[..]) {
        (Some(at), _) if at_home || is_installer(request) => Some(match &parts[at + 1..] {
            [] => index(request),
            [project] => project_page(request, project, at_home),
            _ => missing(),
        }),
        (_, ["pypi", project, rest @ ..]) if rest.ends_with(&["json"]) && rest.len() <= 2 => {
            Some(description(project, rest[0]))
        }
        (_, ["legacy"]) if at_home => Some(upload()),
        _ => at_home.then(missing),
    }
}

fn is_installer(request: &Request<'_>) -> bool {
    const AGENTS: [&str; 5] = ["pip/", "uv/", "poetry/", "setuptools/", "pdm/"];
    AGENTS.iter().any(|agent| request.agent().starts_with(agent)) || request.accepts_type("pypi.simple")
}

fn index(request: &Request<'_>) -> Answer {
    match request.accepts_type(SIMPLE_JSON) {
        true => Answer::json(SERVICE, &json!({"meta": {"api-version": "1.0"}, "projects": []}))
            .header("content-type", SIMPLE_JSON),
        false => Answer::with(SERVICE, HTML, "<!doctype html><html><body></body></html>\n"),
    }
}

/// All files of a project. At the index's own name they lie elsewhere, as they really do.
fn project_page(request: &Request<'_>, project: &str, at_home: bool) -> Answer {
    let Some(name) = normal(project) else { return missing() };
    let module = name.replace('-', "_");
    let base = match at_home && request.secure {
        true => "https://files.pythonhosted.org/packages".to_owned(),
        false => "../../packages".to_owned(),
    };
    let files = version::all().map(|version| {
        let file = format!("{module}-{version}-py3-none-any.whl");
        let url = format!("{base}/{name}/{file}");
        (version, file, url)
    });
    match request.accepts_type(SIMPLE_JSON) {
        true => {
            let (versions, files): (Vec<_>, Vec<_>) = files
                .map(|(version, file, url)| (version, json!({"filename": file, "url": url, "hashes": {}})))
                .unzip();
            let meta = json!({"api-version": "1.0"});
            let page = json!({"meta": meta, "name": name, "versions": versions, "files": files});
            Answer::json(SERVICE, &page).header("content-type", SIMPLE_JSON)
        }
        false => {
            let links: String =
                files.map(|(_, file, url)| format!("<a href=\"{url}\">{file}</a><br/>\n")).collect();
            let page =
                format!("<!doctype html>\n<html><body><h1>Links for {name}</h1>\n{links}</body></html>\n");
            Answer::with(SERVICE, HTML, page)
        }
    }
}

/// The wheel that the file's name asks for.
fn download(file: &str) -> Answer {
    let mut words = file.split('-');
    let (module, version) = (words.next().and_then(normal), words.next().filter(|text| is_version(text)));
    match (module, version) {
        (Some(module), Some(version)) => {
            Answer::with(SERVICE, BYTES, wheel(&module.replace('-', "_"), version))
        }
        _ => missing(),
    }
}

/// The JSON API: of one version, or of the latest (`version` is `json` then).
fn description(project: &str, version: &str) -> Answer {
    let Some(name) = normal(project) else { return missing() };
    let version = if is_version(version) { version } else { LATEST };
    let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
    let url = format!("https://files.pythonhosted.org/packages/{name}/{file}");
    let files = json!([{"filename": file, "url": url, "packagetype": "bdist_wheel", "yanked": false}]);
    let info = json!({"name": name, "version": version, "summary": name, "license": "MIT"});
    Answer::json(SERVICE, &json!({"info": info, "releases": {version: files}, "urls": files}))
}

/// What twine sends is taken.
fn upload() -> Answer {
    Answer::text(SERVICE, "").accepts(&["pypi-token"])
}

fn missing() -> Answer {
    Answer::text(SERVICE, "404 Not Found\n").status(404)
}

/// The project's name as the index writes it (PEP 503): lower case, one hyphen for each run of `-_.`.
/// `None`: it is no name.
fn normal(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() > NAME_MAX || !name.chars().all(plain) {
        return None;
    }
    let words: Vec<&str> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
    Some(words.join("-").to_ascii_lowercase()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::answer;
    use super::super::super::tests::{get, headers, text, with_headers, world};
    use super::*;

    #[test]
    fn a_project_has_a_page_in_both_forms() {
        let agent = headers(&[
            ("user-agent", "pip/23.2.1"),
            ("accept", "application/vnd.pypi.simple.v1+json, text/html"),
        ]);
        let page = answer(&world(), &with_headers(get("127.0.0.1", "/simple/My.Project/"), &agent));
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        assert_eq!(page["name"], "my-project");
        assert_eq!(page["files"][0]["url"], "../../packages/my-project/my_project-0.0.0-py3-none-any.whl");
        let page = answer(&world(), &Request { secure: true, ..get("pypi.org", "/simple/requests/") });
        let link =
            "<a href=\"https://files.pythonhosted.org/packages/requests/requests-2.31.0-py3-none-any.whl\">";
        assert!(text(&page).contains(link));
    }

    #[test]
    fn every_file_of_a_page_can_be_fetched() {
        let check = |file: &str, status: u16| {
            let target = format!("/packages/x/{file}");
            assert_eq!(answer(&world(), &get("files.pythonhosted.org", &target)).status, status, "{file}");
        };
        check("requests-2.31.0-py3-none-any.whl", 200);
        check("a_b-1.0-py3-none-any.whl", 200);
        check("x-..-py3-none-any.whl", 404);
        check("-1.0-py3-none-any.whl", 404);
        check("x-1.0.tar.gz", 404);
    }

    #[test]
    fn a_name_is_written_in_one_way() {
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(normal(name).as_deref(), expected, "{name}");
        check("Foo._-Bar", Some("foo-bar"));
        check("a/b", None);
        check("a\"><script>", None);
        check("...", None);
        check(&"a".repeat(101), None);
    }
}
