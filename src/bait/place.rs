//! Where baits lie, and what the files say around them.
//!
//! The paths and the words are the same in every run; only the secrets differ. Nothing here may change what
//! a program of the image does. So a client finds logins for hosts that it never talks to
//! (`*.intern.lan`), accounts under names that nobody selects, and contexts that are not current: whoever
//! reads the file finds a secret, whoever uses it as it is meant to be used finds nothing for himself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

use super::{Baits, key};

/// One decoy of a bait: the files that belong to it.
pub(super) struct Place {
    /// As a profile calls it.
    pub name: &'static str,
    pub bait: &'static str,
    pub files: &'static [File],
}

pub(super) struct File {
    /// Below the home of the program's user (`~/`), below its working directory (`./`), or absolute.
    pub path: &'static str,
    /// A program that makes its own file at this place, and the place where it does not: a generator of
    /// keys would stop and ask.
    pub yields: Option<(&'static str, &'static str)>,
    pub mode: u32,
    /// False: it belongs to the scenery, and to read it is to read nothing secret.
    pub secret: bool,
    pub content: fn(&Baits) -> Vec<u8>,
}

const fn secret(path: &'static str, mode: u32, content: fn(&Baits) -> Vec<u8>) -> File {
    File { path, yields: None, mode, secret: true, content }
}

const fn scenery(path: &'static str, mode: u32, content: fn(&Baits) -> Vec<u8>) -> File {
    File { path, yields: None, mode, secret: false, content }
}

const fn yielding(program: &'static str, elsewhere: &'static str, file: File) -> File {
    File { yields: Some((program, elsewhere)), ..file }
}

const fn place(name: &'static str, bait: &'static str, files: &'static [File]) -> Place {
    Place { name, bait, files }
}

#[rustfmt::skip]
pub(super) const PLACES: &[Place] = &[
    place("aws-credentials", "aws-credentials", &[
        secret("~/.aws/credentials", 0o600, aws_credentials),
        scenery("~/.aws/config", 0o600, |_| b"[profile deploy]\nregion = eu-central-1\noutput = json\n".to_vec()),
    ]),
    place("azure-credentials", "azure-credentials", &[secret("~/.azure/msal_token_cache.json", 0o600, azure)]),
    place("bitcoin-default", "bitcoin-wallet", &[secret("~/.bitcoin/wallet.dat", 0o600, bitcoin)]),
    place("bitcoin-wallet", "bitcoin-wallet", &[secret("~/backup/wallet.dat", 0o600, bitcoin)]),
    place("browser-logins", "browser-logins", &[
        secret("~/.mozilla/firefox/k3v9x1ql.default-release/logins.json", 0o600, browser),
    ]),
    place("database-dump", "database-dump", &[secret("/var/backups/orders-2024-03-11.sql.gz", 0o640, dump)]),
    place("dotenv", "dotenv", &[secret("./.env", 0o600, dotenv)]),
    place("ethereum-wallet", "ethereum-wallet", &[
        secret(
            "~/.ethereum/keystore/UTC--2021-09-14T08-21-37.418290713Z--5a3f1c6e0d9b47a28cfe13b0964d7e2185ab30fd",
            0o600, ethereum,
        ),
    ]),
    place("gcp-credentials", "gcp-credentials", &[
        secret("~/.config/gcloud/legacy_credentials/deploy@orders-prod.iam.gserviceaccount.com/adc.json", 0o600, gcp),
    ]),
    place("gcp-default", "gcp-credentials", &[
        secret("~/.config/gcloud/application_default_credentials.json", 0o600, gcp),
    ]),
    place("github-token", "github-token", &[secret("~/.git-credentials", 0o600, git)]),
    place("kube-config", "kube-config", &[secret("~/.kube/config", 0o600, kube_config)]),
    place("kube-token", "kube-token", &[
        secret("/var/run/secrets/kubernetes.io/serviceaccount/token", 0o644, kube_token),
        scenery("/var/run/secrets/kubernetes.io/serviceaccount/namespace", 0o644, |_| b"default".to_vec()),
    ]),
    place("mysql-login", "mysql-login", &[secret("~/.my.cnf", 0o600, mysql)]),
    place("netrc-login", "netrc-login", &[secret("~/.netrc", 0o600, netrc)]),
    place("npm-token", "npm-token", &[secret("~/.npmrc", 0o600, npm)]),
    place("postgres-login", "postgres-login", &[secret("~/.pgpass", 0o600, postgres)]),
    place("pypi-token", "pypi-token", &[secret("~/.pypirc", 0o600, pypi)]),
    place("registry-login", "registry-login", &[secret("~/.docker/config.json", 0o600, docker)]),
    place("shell-history", "shell-history", &[secret("~/.bash_history", 0o600, history)]),
    place("solana-wallet", "solana-wallet", &[
        yielding("solana-keygen", "~/.config/solana/old.json", secret("~/.config/solana/id.json", 0o600, solana)),
    ]),
    place("ssh-key", "ssh-key", &[
        yielding("ssh-keygen", "~/.ssh/deploy", secret("~/.ssh/id_ed25519", 0o600, key)),
        yielding("ssh-keygen", "~/.ssh/id_legacy", secret("~/.ssh/id_rsa", 0o600, legacy_key)),
        yielding("ssh-keygen", "~/.ssh/deploy.pub", scenery("~/.ssh/id_ed25519.pub", 0o644, |baits| key::public(&key(baits)))),
        yielding("ssh-keygen", "~/.ssh/id_legacy.pub", scenery("~/.ssh/id_rsa.pub", 0o644, |baits| key::public(&legacy_key(baits)))),
    ]),
    place("vault-token", "vault-token", &[
        secret("~/.vault-token", 0o600, |baits| baits.secret("vault-token", "token").into()),
    ]),
];

/// What a profile may put into the environment: the bait, its field, and the variable.
#[rustfmt::skip]
pub(super) const VARIABLES: &[(&str, &str, &str)] = &[
    ("aws-credentials", "access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws-credentials", "secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("dotenv", "db_password", "ORDERS_DB_PASSWORD"),
    ("github-token", "token", "GITHUB_TOKEN"),
    ("npm-token", "token", "NPM_TOKEN"),
    ("pypi-token", "token", "TWINE_PASSWORD"),
    ("vault-token", "token", "VAULT_TOKEN"),
];

fn key(baits: &Baits) -> Vec<u8> {
    baits.secret("ssh-key", "private_key").into()
}

fn legacy_key(baits: &Baits) -> Vec<u8> {
    baits.secret("ssh-key", "legacy_key").into()
}

/// No profile is called `default`: the SDKs would take that one unasked.
fn aws_credentials(baits: &Baits) -> Vec<u8> {
    let secret = |field| baits.secret("aws-credentials", field);
    let (id, key) = (secret("access_key_id"), secret("secret_access_key"));
    format!("[deploy]\naws_access_key_id = {id}\naws_secret_access_key = {key}\n").into()
}

fn azure(baits: &Baits) -> Vec<u8> {
    let token = baits.secret("azure-credentials", "refresh_token");
    format!(
        concat!(
            r#"{{"AccessToken": {{}}, "Account": {{}}, "IdToken": {{}}, "RefreshToken": {{"#,
            r#""8d1f6a40-2c53-4b7e-9a11-7f0e64c2d935.3c9e0b72-login.microsoftonline.com-refreshtoken-1--": "#,
            r#"{{"credential_type": "RefreshToken", "secret": "{}", "#,
            r#""environment": "login.microsoftonline.com", "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "#,
            r#""target": "https://management.core.windows.net//.default", "family_id": "1"}}}}, "AppMetadata": {{}}}}"#,
            "\n"
        ),
        token
    )
    .into()
}

/// The first page of a Berkeley DB (magic and version of a btree), and in it a record of the seed.
fn bitcoin(baits: &Baits) -> Vec<u8> {
    let record = format!("\x06hdseed\x01o{}\x09hdchain\x02", baits.secret("bitcoin-wallet", "key"));
    let mut file = vec![0; 512];
    file[12..16].copy_from_slice(&0x0005_3162u32.to_le_bytes());
    file[16..20].copy_from_slice(&9u32.to_le_bytes());
    file[20..24].copy_from_slice(&4096u32.to_le_bytes());
    file[25] = 9;
    file.extend(record.bytes());
    file.resize(3 * 4096, 0);
    file
}

fn browser(baits: &Baits) -> Vec<u8> {
    let password = baits.secret("browser-logins", "password");
    format!(
        concat!(
            r#"{{"nextId":2,"logins":[{{"id":1,"hostname":"https://orders.intern.lan","httpRealm":null,"#,
            r#""formSubmitURL":"https://orders.intern.lan","usernameField":"user","passwordField":"pass","#,
            r#""encryptedUsername":"MDIEEPgAAAAAAAAAAAAAAAAAAAEwFAYIKoZIhvcNAwcECOkz1cPq8mGQBAgF3TqYw8n0lg==","#,
            r#""encryptedPassword":"{}","guid":"{{5f0b6c1e-83da-4a70-9b4f-2d8e7c019a36}}","encType":1,"#,
            r#""timeCreated":1690871234567,"timeLastUsed":1709543210987,"timePasswordChanged":1690871234567,"#,
            r#""timesUsed":41}}],"potentiallyVulnerablePasswords":[],"version":3}}"#
        ),
        password
    )
    .into()
}

fn dump(baits: &Baits) -> Vec<u8> {
    const NAMES: [&str; 24] = [
        "alice", "andrew", "barbara", "chris", "claire", "daniel", "elena", "frank", "grace", "henry",
        "irene", "jan", "karin", "lukas", "maria", "nina", "oliver", "petra", "robert", "sara", "thomas",
        "ursula", "victor", "wendy",
    ];
    let hashes = baits.secret("database-dump", "password_hash").lines();
    let mut text = String::from(
        "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n-- Host: db.intern.lan    Database: orders\n\
         DROP TABLE IF EXISTS `customer`;\nCREATE TABLE `customer` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  \
         `mail` varchar(190) NOT NULL,\n  `password` char(60) NOT NULL,\n  PRIMARY KEY (`id`)\n);\n",
    );
    for (number, (name, hash)) in NAMES.iter().zip(hashes).enumerate() {
        text +=
            &format!("INSERT INTO `customer` VALUES ({},'{name}@mail.intern.lan','{hash}');\n", number + 1);
    }
    let mut file = GzBuilder::new().filename("orders-2024-03-11.sql").mtime(1_710_122_402);
    file = file.operating_system(3);
    let mut encoder = file.write(Vec::new(), Compression::new(6));
    // Into memory: nothing that could fail.
    let _ = std::io::Write::write_all(&mut encoder, text.as_bytes());
    encoder.finish().unwrap_or_default()
}

fn dotenv(baits: &Baits) -> Vec<u8> {
    let (password, secret) = (baits.secret("dotenv", "db_password"), baits.secret("dotenv", "api_secret"));
    format!(
        "ORDERS_DB_HOST=db.intern.lan\nORDERS_DB_USER=orders_app\nORDERS_DB_PASSWORD={password}\n\
         ORDERS_API_SECRET={secret}\n"
    )
    .into()
}

fn ethereum(baits: &Baits) -> Vec<u8> {
    let secret = |field| baits.secret("ethereum-wallet", field);
    format!(
        concat!(
            r#"{{"address":"5a3f1c6e0d9b47a28cfe13b0964d7e2185ab30fd","crypto":{{"cipher":"aes-128-ctr","#,
            r#""ciphertext":"{}","cipherparams":{{"iv":"8e1b6a03c24f97d05a7de9b1f4c8203d"}},"kdf":"scrypt","#,
            r#""kdfparams":{{"dklen":32,"n":262144,"p":1,"r":8,"#,
            r#""salt":"c7b04d1e92f6385aa0e4db7196f3c25d8e1047b9a6d3f2c05b8e71496ad0c3f8"}},"mac":"{}"}},"#,
            r#""id":"b1e6d2f4-7a90-4c3b-8e52-d09f6b7a1c48","version":3}}"#
        ),
        secret("ciphertext"),
        secret("mac")
    )
    .into()
}

fn gcp(baits: &Baits) -> Vec<u8> {
    let key = baits.secret("gcp-credentials", "private_key").replace('\n', "\\n");
    format!(
        concat!(
            "{{\n  \"type\": \"service_account\",\n  \"project_id\": \"orders-prod\",\n",
            "  \"private_key_id\": \"3f8a1d6c0b7e4925d18c63f09e7b2a45c0d1f8e6\",\n  \"private_key\": \"{}\",\n",
            "  \"client_email\": \"deploy@orders-prod.iam.gserviceaccount.com\",\n",
            "  \"client_id\": \"108374650912837465091\",\n",
            "  \"token_uri\": \"https://oauth2.googleapis.com/token\"\n}}\n"
        ),
        key
    )
    .into()
}

/// Git looks here only where a helper named `store` is configured.
fn git(baits: &Baits) -> Vec<u8> {
    format!("https://orders-deploy:{}@github.com\n", baits.secret("github-token", "token")).into()
}

/// No context is current: a client goes on as if there were no file.
fn kube_config(baits: &Baits) -> Vec<u8> {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster:\n    \
         server: https://k8s.intern.lan:6443\n    insecure-skip-tls-verify: true\nusers:\n- name: deploy\n  \
         user:\n    token: {}\ncontexts:\n- name: prod\n  context:\n    cluster: prod\n    user: deploy\n\
         current-context: \"\"\n",
        baits.secret("kube-config", "token")
    )
    .into()
}

fn kube_token(baits: &Baits) -> Vec<u8> {
    baits.secret("kube-token", "token").into()
}

/// A group that clients read only where `--defaults-group-suffix` asks for it.
fn mysql(baits: &Baits) -> Vec<u8> {
    let password = baits.secret("mysql-login", "password");
    format!("[client_backup]\nhost = db.intern.lan\nuser = backup\npassword = {password}\n").into()
}

fn netrc(baits: &Baits) -> Vec<u8> {
    let password = baits.secret("netrc-login", "password");
    format!("machine files.intern.lan\n  login deploy\n  password {password}\n").into()
}

fn npm(baits: &Baits) -> Vec<u8> {
    format!("//npm.intern.lan/:_authToken={}\n", baits.secret("npm-token", "token")).into()
}

fn postgres(baits: &Baits) -> Vec<u8> {
    format!("db.intern.lan:5432:orders:orders_app:{}\n", baits.secret("postgres-login", "password")).into()
}

fn pypi(baits: &Baits) -> Vec<u8> {
    format!(
        "[distutils]\nindex-servers =\n    pypi\n\n[pypi]\nusername = __token__\npassword = {}\n",
        baits.secret("pypi-token", "token")
    )
    .into()
}

fn docker(baits: &Baits) -> Vec<u8> {
    let login = STANDARD.encode(format!("deploy:{}", baits.secret("registry-login", "password")));
    format!(
        "{{\n\t\"auths\": {{\n\t\t\"registry.intern.lan:5000\": {{\n\t\t\t\"auth\": \"{login}\"\n\t\t}}\n\t}}\n}}"
    )
    .into()
}

fn history(baits: &Baits) -> Vec<u8> {
    let password = baits.secret("shell-history", "password");
    format!(
        "cd /srv\nls -la\ndf -h\ntail -f /var/log/app.log\nps aux | grep orders\n\
         mysql -h db.intern.lan -u orders_admin -p{password} orders\nfree -m\ntop\nexit\n"
    )
    .into()
}

fn solana(baits: &Baits) -> Vec<u8> {
    format!("[{}]", baits.secret("solana-wallet", "keypair")).into()
}
