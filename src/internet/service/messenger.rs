//! Messengers and paste sites that malware reports to: Telegram, Discord, Slack, and places to leave text.

use serde_json::{Value, json};

use super::payload::TEXT_OF_COMMANDS;
use super::request::cut;
use super::{Answer, Request};
use crate::internet::world::World;

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    if request.is_at("api.telegram.org") {
        return Some(telegram(world, &parts));
    }
    if request.is_at_any(&["discord.com", "discordapp.com"]) {
        return Some(discord(request, &parts));
    }
    if request.is_at_any(&["slack.com"]) {
        return Some(slack(&parts));
    }
    request.is_at_any(&PASTES).then(|| paste(request, &parts))
}

/// The Bot API: `/bot<token>/<method>`.
fn telegram(world: &World, parts: &[&str]) -> Answer {
    const SERVICE: &str = "telegram";
    let bot = json!({"id": 6_482_013_975_u64, "is_bot": true, "first_name": "bot", "username": "report_bot"});
    let chat = json!({"id": 401_827_365, "first_name": "User", "type": "private"});
    let message = json!({"message_id": 117, "from": bot, "chat": chat, "date": world.now});
    let (token, method) = match parts {
        ["file", token, ..] => (*token, "file"),
        [token, method] => (*token, *method),
        _ => ("", ""),
    };
    let result: Value = match method.to_ascii_lowercase().as_str() {
        _ if !token.starts_with("bot") => {
            let error = json!({"ok": false, "error_code": 404, "description": "Not Found"});
            return Answer::json(SERVICE, &error).status(404);
        }
        "getme" => bot,
        "getupdates" => json!([]),
        "getchat" => chat,
        "getwebhookinfo" => json!({"url": "", "pending_update_count": 0}),
        "getfile" => json!({"file_id": "BQAC", "file_path": "documents/file_0.txt"}),
        "file" => return Answer::text(SERVICE, "ok\n"),
        method
            if method.starts_with("send") || method.starts_with("forward") || method.starts_with("edit") =>
        {
            message
        }
        _ => json!(true),
    };
    Answer::json(SERVICE, &json!({"ok": true, "result": result}))
}

fn discord(request: &Request<'_>, parts: &[&str]) -> Answer {
    const SERVICE: &str = "discord";
    let hook = parts.iter().position(|part| *part == "webhooks");
    let message = json!({"id": "1284710936255189044", "channel_id": "1284710936255189043", "content": ""});
    match (request.method, hook) {
        ("POST", Some(_)) if request.parameter("wait").is_some_and(|wait| wait == "true") => {
            Answer::json(SERVICE, &message)
        }
        ("POST" | "DELETE", Some(_)) => Answer::new(SERVICE, 204),
        (_, Some(at)) => {
            let id = parts.get(at + 1).map_or("", |id| cut(id, 32));
            Answer::json(
                SERVICE,
                &json!({"type": 1, "id": id, "name": "hook", "channel_id": "1284710936255189043"}),
            )
        }
        _ if parts.first() == Some(&"api") => Answer::json(SERVICE, &message),
        _ => Answer::with(SERVICE, super::answer::HTML, super::payload::page("Discord")),
    }
}

fn slack(parts: &[&str]) -> Answer {
    const SERVICE: &str = "slack";
    match parts.first() {
        Some(&"services" | &"workflows" | &"triggers") => Answer::text(SERVICE, "ok"),
        _ => Answer::json(SERVICE, &json!({"ok": true, "ts": "1767323045.000100", "channel": "C07DTMA"})),
    }
}

const PASTES: [&str; 21] = [
    "pastebin.com",
    "paste.ee",
    "hastebin.com",
    "rentry.co",
    "ix.io",
    "sprunge.us",
    "dpaste.com",
    "paste.rs",
    "termbin.com",
    "controlc.com",
    "ghostbin.com",
    "pastie.io",
    "transfer.sh",
    "file.io",
    "0x0.st",
    "bashupload.com",
    "temp.sh",
    "oshi.at",
    "catbox.moe",
    "gofile.io",
    "anonfiles.com",
];

/// What is left gets an address; what is fetched is a line of text.
fn paste(request: &Request<'_>, parts: &[&str]) -> Answer {
    const SERVICE: &str = "paste";
    let url = format!("https://{}/k4Tz9q", request.host);
    match request.method {
        "GET" | "HEAD" if parts.is_empty() => {
            Answer::with(SERVICE, super::answer::HTML, super::payload::page(request.host))
        }
        // A line that is also a harmless command: pastes are read as both.
        "GET" | "HEAD" => Answer::text(SERVICE, TEXT_OF_COMMANDS),
        _ if request.is_at_any(&["file.io", "gofile.io", "anonfiles.com", "hastebin.com"]) => {
            let answer = json!({"success": true, "status": "ok", "key": "k4Tz9q", "link": url});
            Answer::json(SERVICE, &answer)
        }
        _ => Answer::text(SERVICE, format!("{url}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::tests::{get, text, world};
    use super::*;

    #[test]
    fn a_report_is_taken() {
        let check = |method: &str, host: &str, target: &str, status: u16, starts: &str| {
            let answer = answer(&world(), &Request { method, ..get(host, target) });
            assert_eq!(answer.status, status, "{host}{target}");
            assert!(text(&answer).starts_with(starts), "{host}{target}: {}", text(&answer));
        };
        check("POST", "api.telegram.org", "/bot1:AA/sendMessage", 200, "{\"ok\":true");
        check("GET", "api.telegram.org", "/bot1:AA/getUpdates", 200, "{\"ok\":true,\"result\":[]}");
        check("GET", "api.telegram.org", "/x", 404, "{");
        check("POST", "discord.com", "/api/webhooks/1/a", 204, "");
        check("POST", "hooks.slack.com", "/services/T/B/x", 200, "ok");
        check("PUT", "transfer.sh", "/loot.tgz", 200, "https://transfer.sh/");
        check("GET", "pastebin.com", "/raw/abc", 200, TEXT_OF_COMMANDS);
    }
}
