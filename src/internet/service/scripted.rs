//! What the run's scenario says: before everything else.

use super::dialogue::Lines;
use super::{Answer, Dialogue, Request, Turn};
use crate::internet::scenario::{HEADERS, Script};
use crate::internet::world::World;

const SERVICE: &str = "scenario";

pub fn answer(world: &World, request: &Request<'_>) -> Option<Answer> {
    let reply = world.scenario.reply(request.host, request.path(), request.method)?;
    let headers = reply.headers.iter().filter_map(|(name, value)| {
        let known = HEADERS.into_iter().find(|known| known == name)?;
        Some((known, value.clone()))
    });
    let headers = headers.collect();
    Some(Answer {
        service: SERVICE,
        status: reply.status,
        headers,
        body: reply.body.clone(),
        accepts: &[],
        takes: &[],
    })
}

/// A conversation as the scenario has written it down.
pub struct Scripted {
    script: Script,
    lines: Lines,
}

impl Scripted {
    pub fn new(script: &Script) -> Scripted {
        Scripted { script: script.clone(), lines: Lines::new() }
    }
}

impl Dialogue for Scripted {
    fn service(&self) -> &'static str {
        SERVICE
    }

    fn greet(&mut self) -> Vec<u8> {
        self.script.greeting.clone().into_bytes()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            let said = String::from_utf8_lossy(&line.text);
            if let Some(answer) = self.script.line(&said) {
                turn.say.extend(answer.answer.bytes());
                turn.close |= answer.close;
            }
            turn.command(b"", &line.text, line.size);
        }
    }
}
