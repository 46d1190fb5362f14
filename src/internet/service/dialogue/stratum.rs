//! A mining pool: JSON-RPC, one object a line, in the dialects of Bitcoin's, Monero's and Ethereum's miners.
//! It is recognised on any port, since miners use every one.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::lines::{Line, Lines};
use super::{Dialogue, Turn};

pub struct Stratum {
    lines: Lines,
    /// Jobs that were given.
    jobs: u64,
}

/// An object that asks for a method: begun, perhaps not complete.
pub fn is_begun(first: &[u8]) -> bool {
    let text = first.trim_ascii_start();
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    text.starts_with(b"{") && (has(b"\"method\"") || has(b"\"jsonrpc\""))
}

impl Stratum {
    pub fn new() -> Stratum {
        Stratum { lines: Lines::new(), jobs: 0 }
    }

    fn line(&mut self, line: &Line, turn: &mut Turn) {
        let Ok(asked) = serde_json::from_slice::<Value>(&line.text) else {
            return turn.command(b"", &line.text, line.size);
        };
        let method = asked["method"].as_str().unwrap_or_default();
        turn.command(method.as_bytes(), &line.text, line.size);
        let id = asked["id"].clone();
        match method {
            "mining.subscribe" => {
                let notes = json!([["mining.set_difficulty", "1"], ["mining.notify", "1"]]);
                result(&id, &json!([notes, "08000002", 4]), turn);
            }
            "mining.authorize" => {
                result(&id, &json!(true), turn);
                tell("mining.set_difficulty", &json!([8192]), turn);
                tell("mining.notify", &self.notice(), turn);
            }
            "mining.configure" => result(&id, &json!({"version-rolling": false}), turn),
            "login" => {
                let job = self.job();
                let session = hash(b"session", self.jobs);
                let answer = json!({"id": &session[..32], "job": job, "extensions": ["algo", "keepalive"], "status": "OK"});
                monero(&id, &answer, turn);
            }
            "getjob" => {
                let job = self.job();
                monero(&id, &job, turn);
            }
            "submit" => monero(&id, &json!({"status": "OK"}), turn),
            "keepalived" => monero(&id, &json!({"status": "KEEPALIVED"}), turn),
            "eth_getWork" => {
                let work = [
                    hash(b"header", self.jobs),
                    hash(b"seed", 0),
                    format!("0000{}", &hash(b"target", 0)[4..]),
                ];
                result(&id, &json!(work.map(|word| format!("0x{word}"))), turn);
            }
            "" => {}
            _ => result(&id, &json!(true), turn),
        }
    }

    /// A block to work on, as xmrig's dialect has it.
    fn job(&mut self) -> Value {
        self.jobs += 1;
        let (one, two) = (hash(b"blob", self.jobs), hash(b"root", self.jobs));
        // Version and time of a block, its parent, the nonce's place, the root and the number of its transactions.
        let blob = format!("1010e4b0b9b306{one}00000000{two}1a");
        json!({
            "blob": blob, "job_id": &hash(b"job", self.jobs)[..28], "target": "b88d0600", "algo": "rx/0",
            "height": 3_210_000 + self.jobs, "seed_hash": hash(b"seed", 0),
        })
    }

    /// A block to work on, in Bitcoin's dialect.
    fn notice(&mut self) -> Value {
        self.jobs += 1;
        let parent = hash(b"parent", self.jobs);
        let first = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff20";
        let second = "ffffffff0100f2052a010000001976a914";
        json!([
            format!("{:x}", self.jobs),
            parent,
            first,
            second,
            [],
            "20000000",
            "1703255b",
            "67763a40",
            true
        ])
    }
}

fn result(id: &Value, result: &Value, turn: &mut Turn) {
    turn.say(&format!("{}\n", json!({"id": id, "result": result, "error": null})));
}

fn monero(id: &Value, result: &Value, turn: &mut Turn) {
    turn.say(&format!("{}\n", json!({"id": id, "jsonrpc": "2.0", "error": null, "result": result})));
}

fn tell(method: &str, parameters: &Value, turn: &mut Turn) {
    turn.say(&format!("{}\n", json!({"id": null, "method": method, "params": parameters})));
}

/// Digits that look like a hash, the same in every run.
fn hash(kind: &[u8], number: u64) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update(number.to_be_bytes()).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Dialogue for Stratum {
    fn service(&self) -> &'static str {
        "stratum"
    }

    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], turn: &mut Turn) {
        for line in self.lines.take(bytes) {
            self.line(&line, turn);
        }
    }
}
